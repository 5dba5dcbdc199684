#include "proxy/ipc/keeper_client_internal.h"

#include <stdlib.h>

/*
 * A failure borrows its advice from who lives longer. The keeper has only a few to give:
 * each is kept once.
 */
static const char *keep_advice(struct keeper_client *client, struct bytes advice)
{
	size_t i = 0;

	while (i < KEEPER_ADVICES_MAX && client->advices[i] &&
	       !bytes_equal(bytes_of(client->advices[i]), advice)) {
		i++;
	}
	if (i == KEEPER_ADVICES_MAX) {
		return "popbridge account show says how the account stands";
	}
	if (!client->advices[i]) {
		client->advices[i] = memory_copy_text(advice);
	}
	return client->advices[i];
}

struct keeper_answer *keeper_answer_copy(struct keeper_client *client,
					 const struct keeper_message *message)
{
	struct keeper_answer *answer = memory_new(sizeof(*answer));
	struct keeper_credential *credential = &answer->credential;

	credential->kind = message->credential;
	credential->rights = message->rights;
	secret_set(&credential->secret, message->secret);
	credential->mailbox = memory_copy_text(message->mailbox);
	credential->route = memory_copy_text(message->route);
	credential->folder = memory_copy_text(message->folder);
	failure_set(&answer->failure, (enum failure_kind)message->kind, "%.*s",
		    (int)message->cause.len, message->cause.at);
	if (message->advice.len > 0) {
		failure_advise(&answer->failure, keep_advice(client, message->advice));
	}
	return answer;
}

bool keeper_offers_apop(const struct keeper_client *client)
{
	return client && client->offers_apop;
}

void keeper_credential_release(struct keeper_credential *credential)
{
	secret_release(&credential->secret);
	free(credential->mailbox);
	free(credential->route);
	free(credential->folder);
	*credential = (struct keeper_credential){ 0 };
}

void keeper_answer_free(struct keeper_answer *answer)
{
	if (answer) {
		keeper_credential_release(&answer->credential);
		free(answer);
	}
}

static struct question *prove_question(const struct keeper_sign_in *who,
				       enum keeper_prove how, struct bytes stamp)
{
	struct question *question = memory_new(sizeof(*question));

	question->message =
		(struct keeper_message){ .type = KEEPER_PROVE, .number = how };
	question->message.shared_address = who->shared_address;
	keeper_address_octets(who->address, question->message.address);
	question->text = memory_copy_text(who->account);
	question->message.account = (struct bytes){ question->text, who->account.len };
	secret_set(&question->secret, who->secret);
	question->message.secret = secret_bytes(&question->secret);
	question->set = memory_copy_text(stamp); // until the answer takes its place
	question->message.stamp = (struct bytes){ question->set, stamp.len };
	return question;
}

static enum keeper_proof take_answer(struct question *question,
				     struct keeper_credential *out,
				     struct failure *failure)
{
	const enum keeper_proof proof = (enum keeper_proof)question->number;

	switch (proof) {
	case KEEPER_UNREGISTERED:
		break;
	case KEEPER_PROVEN:
		*out = question->proof->credential;
		question->proof->credential = (struct keeper_credential){ 0 };
		break;
	case KEEPER_DISPROVEN:
	case KEEPER_UNPROVABLE:
	case KEEPER_PROOFS:
		*failure = question->proof->failure;
		break;
	}
	return proof;
}

SUSPENDS enum keeper_proof
keeper_prove(struct keeper_client *client, const struct keeper_sign_in *who,
	     enum keeper_prove how, struct bytes stamp, uint64_t deadline_ms,
	     struct keeper_credential *out, struct failure *failure)
{
	struct question *question;
	enum keeper_proof proof;

	*out = (struct keeper_credential){ 0 };
	if (!client || who->account.len > KEEPER_TEXT_MAX ||
	    who->secret.len > KEEPER_SECRET_MAX) {
		return KEEPER_UNREGISTERED;
	}
	question = prove_question(who, how, stamp);
	if (!keeper_question_ask(client, question, deadline_ms, failure)) {
		keeper_unanswered(client, false, failure);
		return KEEPER_UNPROVABLE;
	}
	proof = take_answer(question, out, failure);
	keeper_question_free(question);
	return proof;
}
