#include "proxy/keeper/admin.h"

#include <stdio.h>
#include <string.h>

#define LOOKED_AT_ONCE 200 // accounts, before others have their turn
#define SILENT_NEVER 0

struct bytes admin_address_words(const unsigned char octets[KEEPER_ADDRESS_BYTES],
				 char out[ADDRESS_TEXT_MAX])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	const bool is_ipv4 = memcmp(octets, mapped, sizeof(mapped)) == 0;
	struct address address;

	address_from_octets(octets + (is_ipv4 ? sizeof(mapped) : 0), is_ipv4 ? 4 : 16, 0,
			    &address);
	address_text(&address, out);
	return bytes_of(out);
}

/* "[2001:db8::1]:995", as a configuration has it. */
static struct bytes place_words(const struct address *address,
				char out[ADDRESS_TEXT_MAX + 8])
{
	char host[ADDRESS_TEXT_MAX];

	address_text(address, host);
	snprintf(out, ADDRESS_TEXT_MAX + 8,
		 address->socket.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 address_port(address));
	return bytes_of(out);
}

SUSPENDS static bool say_listener(struct admin_client *client, size_t index)
{
	const struct config_listener *listener = &client->config->listeners[index];
	char place[ADDRESS_TEXT_MAX + 8];

	return admin_say(
		client,
		&(struct admin_message){
			.type = ADMIN_LISTENER,
			.number[ADMIN_TLS] = listener->tls,
			.number[ADMIN_BEHIND_PROXY] = listener->proxy_from.count > 0,
			.text[ADMIN_ADDRESS] = place_words(&listener->address, place) });
}

/* A reload may change the configuration between two rows. */
SUSPENDS static bool say_service(struct admin_client *client)
{
	const struct config_web *web = &client->config->web;
	char place[ADDRESS_TEXT_MAX + 8] = "";
	bool goes_on;

	if (web->wanted) {
		place_words(&web->address, place);
	}
	goes_on = admin_say(client,
			    &(struct admin_message){
				    .type = ADMIN_SERVICE,
				    .text[ADMIN_ADDRESS] = bytes_of(place),
				    .text[ADMIN_VERSION] = bytes_of(POPBRIDGE_VERSION) });
	for (size_t i = 0; goes_on && i < client->config->listener_count; i++) {
		goes_on = say_listener(client, i);
	}
	return goes_on && admin_end(client, 0);
}

static unsigned problems_of(const struct store_account *account, uint64_t silent_s)
{
	const uint64_t now_s = keeper_wall_s();
	unsigned problems = 0;

	if (account->last_outcome == KEEPER_WRONG && account->wrong_since_right > 0) {
		problems |= ADMIN_PROBLEM_WRONG;
	}
	if (account->last_outcome == KEEPER_NO_ANSWER &&
	    account->no_answer_in_a_row > 0) {
		problems |= ADMIN_PROBLEM_UNANSWERED;
	}
	if (silent_s != SILENT_NEVER && account->last_right_s + silent_s < now_s) {
		problems |= ADMIN_PROBLEM_SILENT;
	}
	if (account->lost_in_a_row > 0) {
		problems |= ADMIN_PROBLEM_LOST;
	}
	if (account->suspect > 0) {
		problems |= ADMIN_PROBLEM_SUSPECT;
	}
	return problems;
}

SUSPENDS static bool say_account(struct admin_client *client, struct bytes name,
				 const struct store_account *account, unsigned problems)
{
	char address[ADDRESS_TEXT_MAX];

	return admin_say(client,
			 &(struct admin_message){
				 .type = ADMIN_ACCOUNT,
				 .number[ADMIN_PROBLEMS] = problems,
				 .number[ADMIN_LAST_RIGHT_S] = account->last_right_s,
				 .number[ADMIN_LAST_WRONG_S] = account->last_wrong_s,
				 .number[ADMIN_LAST_LOST_S] = account->last_lost_dele_s,
				 .number[ADMIN_WRONG] = account->wrong_since_right,
				 .number[ADMIN_UNANSWERED] = account->no_answer_in_a_row,
				 .number[ADMIN_LOST] = account->lost_in_a_row,
				 .text[ADMIN_USER] = name,
				 .text[ADMIN_ADDRESS] = admin_address_words(
					 account->last_address, address) });
}

/* Strangers, who never signed in, are counted only: anybody may invent them. */
SUSPENDS static bool say_problems(struct admin_client *client, uint64_t silent_s)
{
	struct store_account account;
	struct buffer name;
	uint64_t strangers = 0;
	uint64_t seen = 0;
	bool goes_on = true;

	buffer_init(&name, KEEPER_TEXT_MAX);
	while (goes_on && store_next_account(client->keeper->store, buffer_bytes(&name),
					     &name, &account)) {
		const unsigned problems =
			account.right > 0 ? problems_of(&account, silent_s) : 0;

		strangers += account.right == 0;
		if (problems) {
			goes_on = say_account(client, buffer_bytes(&name), &account,
					      problems);
		}
		if (++seen % LOOKED_AT_ONCE == 0) {
			goes_on = goes_on && task_sleep_until(loop_now_ms() + 1);
		}
	}
	buffer_release(&name);
	return goes_on && admin_end(client, strangers);
}

SUSPENDS static bool say_legacy(struct admin_client *client)
{
	struct store_legacy row = { .count = 0 };
	char address[ADDRESS_TEXT_MAX];
	struct buffer name;
	uint64_t count = 0;
	bool goes_on = true;

	buffer_init(&name, KEEPER_TEXT_MAX);
	while (goes_on && store_next_legacy(client->keeper->store, &name, &row)) {
		count++;
		goes_on = admin_say(client,
				    &(struct admin_message){
					    .type = ADMIN_LEGACY,
					    .number[ADMIN_TLS] = row.tls,
					    .number[ADMIN_AT_S] = row.last_s,
					    .number[ADMIN_COUNT] = row.count,
					    .text[ADMIN_USER] = buffer_bytes(&name),
					    .text[ADMIN_ADDRESS] = admin_address_words(
						    row.address, address) });
	}
	buffer_release(&name);
	return goes_on && admin_end(client, count);
}

SUSPENDS static bool say_failure(struct admin_client *client,
				 const struct store_failure *failure)
{
	char address[ADDRESS_TEXT_MAX];

	return admin_say(client, &(struct admin_message){
					 .type = ADMIN_FAILURE,
					 .number[ADMIN_AT_S] = failure->at_s,
					 .number[ADMIN_REFERENCE] = failure->reference,
					 .number[ADMIN_KIND] = failure->kind,
					 .text[ADMIN_USER] = failure->account,
					 .text[ADMIN_ADDRESS] = admin_address_words(
						 failure->address, address),
					 .text[ADMIN_ANSWER] = failure->answer,
					 .text[ADMIN_CAUSE] = failure->cause,
					 .text[ADMIN_ADVICE] = failure->advice });
}

/* user: borrowed from the packet, which stays until the answer is over. */
SUSPENDS static bool say_failures(struct admin_client *client,
				  const struct admin_message *asked)
{
	struct store *store = client->keeper->store;
	const struct bytes user = asked->text[ADMIN_USER];
	const uint32_t reference = (uint32_t)asked->number[ADMIN_REFERENCE];
	struct store_failure failure = { .id = UINT64_MAX };
	struct buffer texts;
	uint64_t count = 0;
	bool goes_on = true;

	buffer_init(&texts, STORE_FAILURE_TEXTS);
	while (goes_on &&
	       (asked->type == ADMIN_ASK_REFERENCE
			? store_failure_by_reference(store, reference, failure.id, &texts,
						     &failure)
			: store_failure_of_account(store, user, failure.id, &texts,
						   &failure))) {
		count++;
		goes_on = say_failure(client, &failure);
	}
	buffer_release(&texts);
	return goes_on && admin_end(client, count);
}

/* What the throttle knows is at hashes: they are made of what the store knows. */
static void forget_guesses(struct keeper *keeper, struct bytes user)
{
	unsigned char address[KEEPER_ADDRESS_BYTES];
	struct buffer name;
	bool is_first = true;

	buffer_init(&name, KEEPER_TEXT_MAX);
	while (store_next_trace(keeper->store, user, is_first, &name, address)) {
		is_first = false;
		throttle_forget(keeper->throttle, buffer_bytes(&name), address,
				loop_now_ms());
		suspects_clear(keeper->suspects, buffer_bytes(&name));
	}
	buffer_release(&name);
}

SUSPENDS static bool forget(struct admin_client *client, struct bytes user)
{
	struct store_forgotten forgotten[STORE_FORGOTTEN];
	struct failure failure;
	bool goes_on = true;

	admin_kick(client->admin, user, KEEPER_KICK_REMAINS);
	forget_guesses(client->keeper, user);
	if (!store_forget(client->keeper->store, user, forgotten)) {
		failure_set(&failure, FAILURE_TEMPORARY,
			    "the disk did not take it: something may be left");
		failure_advise(&failure, "see the log, make room, and ask again");
		return admin_fail(client, &failure);
	}
	for (size_t i = 0; i < STORE_FORGOTTEN && goes_on; i++) {
		goes_on = admin_say(
			client,
			&(struct admin_message){
				.type = ADMIN_FORGOTTEN,
				.number[ADMIN_COUNT] = forgotten[i].count,
				.text[ADMIN_WHAT] = bytes_of(forgotten[i].what) });
	}
	return goes_on && admin_end(client, 0);
}

SUSPENDS static bool say_unique_ids(struct admin_client *client)
{
	struct config_known known = { .account = { 0 } };
	struct buffer texts;
	bool goes_on = true;

	buffer_init(&texts, STORE_KNOWN_TEXTS);
	while (goes_on && store_next_unique_ids(client->keeper->store, &texts, &known)) {
		goes_on = admin_say(client,
				    &(struct admin_message){
					    .type = ADMIN_UNIQUE_IDS,
					    .text[ADMIN_USER] = known.account,
					    .text[ADMIN_ROUTE] = known.routed_as,
					    .text[ADMIN_FOLDER] = known.folder,
					    .text[ADMIN_TEMPLATE] = known.unique_id });
	}
	buffer_release(&texts);
	return goes_on && admin_end(client, 0);
}

SUSPENDS static bool accept_unique_ids(struct admin_client *client, uint64_t digest)
{
	keeper_accept(client->keeper, digest);
	return admin_end(client, 0);
}

SUSPENDS bool admin_answer(struct admin_client *client,
			   const struct admin_message *message)
{
	switch (message->type) {
	case ADMIN_ASK_SERVICE:
		return say_service(client);
	case ADMIN_ASK_PROBLEMS:
		return say_problems(client, message->number[ADMIN_SILENT_S]);
	case ADMIN_ASK_LEGACY:
		return say_legacy(client);
	case ADMIN_ASK_REFERENCE:
	case ADMIN_ASK_FAILURES:
		return say_failures(client, message);
	case ADMIN_KICK:
		return admin_end(client,
				 admin_kick(client->admin, message->text[ADMIN_USER],
					    KEEPER_KICK_SESSIONS));
	case ADMIN_FORGET:
		return forget(client, message->text[ADMIN_USER]);
	case ADMIN_ASK_REGISTERED:
	case ADMIN_REGISTER:
	case ADMIN_REGISTER_ALL:
	case ADMIN_UNREGISTER:
	case ADMIN_ADD_DEVICE:
	case ADMIN_REMOVE_DEVICE:
	case ADMIN_CONSENT:
	case ADMIN_GRANT:
	case ADMIN_INVITE:
	case ADMIN_REKEY:
		return admin_answer_accounts(client, message);
	case ADMIN_ASK_UNIQUE_IDS:
		return say_unique_ids(client);
	case ADMIN_ACCEPT_UNIQUE_IDS:
		return accept_unique_ids(client, message->number[ADMIN_DIGEST]);
	case ADMIN_UNIQUE_IDS:
	case ADMIN_END:
	case ADMIN_FAILED:
	case ADMIN_SERVICE:
	case ADMIN_LISTENER:
	case ADMIN_ACCOUNT:
	case ADMIN_LEGACY:
	case ADMIN_FAILURE:
	case ADMIN_FORGOTTEN:
	case ADMIN_REGISTERED:
	case ADMIN_DEVICE:
	case ADMIN_CODE:
	case ADMIN_PENDING:
	case ADMIN_INVITATION:
		return false; // answers; the decoder takes none from here
	}
	return false;
}
