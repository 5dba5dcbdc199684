#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_client_internal.h"
#include "proxy/rt/keyed_hash.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(KEEPER_HASH_BYTES == KEYED_HASH_BYTES, "one hash");

void keeper_address_octets(const struct address *address,
			   unsigned char out[KEEPER_ADDRESS_BYTES])
{
	const unsigned char *octets;
	const size_t len = address_octets(address, &octets);

	memset(out, 0, KEEPER_ADDRESS_BYTES);
	memcpy(out + KEEPER_ADDRESS_BYTES - len, octets, len);
	if (len == 4) {
		out[10] = out[11] = 0xff;
	}
}

static struct keeper_message sign_in_message(const struct keeper_client *client,
					     enum keeper_message_type type,
					     const struct keeper_sign_in *who)
{
	struct keeper_message message = { .type = type,
					  .shared_address = who->shared_address,
					  .tls = who->tls,
					  .account = who->account };

	keeper_address_octets(who->address, message.address);
	keyed_hash(client->key, who->account, who->secret, message.hash);
	return message;
}

static bool verdict(uint32_t number, uint64_t *delay_ms, struct failure *failure)
{
	if (number == KEEPER_REFUSE) {
		return failure_set(failure, FAILURE_AUTH,
				   "too many wrong passwords from there or for this "
				   "account; not asked upstream");
	}
	if (number == KEEPER_SUSPECT) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "workers died while this account signed in");
	}
	*delay_ms = number;
	return true;
}

SUSPENDS bool keeper_ask(struct keeper_client *client, const struct keeper_sign_in *who,
			 uint64_t deadline_ms, uint64_t *delay_ms,
			 struct failure *failure)
{
	*delay_ms = 0;
	if (!client) {
		return true;
	}
	if (who->account.len > KEEPER_TEXT_MAX) {
		return failure_set(failure, FAILURE_AUTH, "no account has such a name");
	}
	struct question *question = memory_new(sizeof(*question));

	question->message = sign_in_message(client, KEEPER_ASK, who);
	question->text = memory_copy_text(who->account);
	question->message.account = (struct bytes){ question->text, who->account.len };
	if (!keeper_question_ask(client, question, deadline_ms, failure)) {
		return keeper_unanswered(client, false, failure);
	}
	const uint32_t number = question->number;

	keeper_question_free(question);
	return verdict(number, delay_ms, failure);
}

SUSPENDS bool keeper_login(struct keeper_client *client, struct bytes key,
			   uint32_t delay_s, uint64_t deadline_ms,
			   struct failure *failure)
{
	if (!client) {
		return true;
	}
	struct question *question = memory_new(sizeof(*question));

	question->text = memory_copy_text(key);
	question->message = (struct keeper_message){
		.type = KEEPER_LOGIN,
		.number = delay_s,
		.key = { question->text, key.len },
	};
	if (!keeper_question_ask(client, question, deadline_ms, failure)) {
		return keeper_unanswered(client, false, failure);
	}
	const uint32_t early_ms = question->number;

	keeper_question_free(question);
	return early_ms == 0 || failure_set(failure, FAILURE_TOO_SOON,
					    "the account may sign in every %" PRIu32
					    " s, and again in %" PRIu32 " s",
					    delay_s, (early_ms + 999) / 1000);
}

void keeper_tell(struct keeper_client *client, const struct keeper_sign_in *who,
		 enum keeper_outcome outcome)
{
	if (client && client->is_connected) {
		struct keeper_message message = sign_in_message(client, KEEPER_TELL, who);

		message.number = outcome;
		keeper_client_say(client, &message);
	}
}

void keeper_tell_ended(struct keeper_client *client, struct bytes account,
		       const struct keeper_session *session)
{
	if (client) {
		keeper_client_say(
			client, &(struct keeper_message){ .type = KEEPER_ENDED,
							  .number = session->retrieved,
							  .lost_dele = session->lost_dele,
							  .removed = session->removed,
							  .account = account });
	}
}
