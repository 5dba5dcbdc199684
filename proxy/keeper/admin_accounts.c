/*
 * Registered accounts and their device passwords, as operators see and change them.
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/admin.h"
#include "proxy/keeper/page.h"
#include "proxy/keeper/proof.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 100          // rows, before others have their turn
#define COLLECTED_MAX 200000 // accounts of one import

/* Those of an import, until all of them are there. */
struct admin_imported {
	struct registered registered;
	bool keeps_secrets; // brings none, and stays the same person's
};

struct admin_collected {
	struct admin_imported *list; // owned
	size_t count, room;
};

void admin_drop_collected(struct admin_client *client)
{
	struct admin_collected *collected = client->collected;

	if (!collected) {
		return;
	}
	for (size_t i = 0; i < collected->count; i++) {
		registered_release(&collected->list[i].registered);
	}
	free(collected->list);
	free(collected);
	client->collected = NULL;
}

SUSPENDS bool admin_refuse(struct admin_client *client, const char *why)
{
	struct failure failure;

	failure_set(&failure, FAILURE_PERMANENT, "%s", why);
	return admin_fail(client, &failure);
}

SUSPENDS bool admin_not_written(struct admin_client *client)
{
	struct failure failure;

	failure_set(&failure, FAILURE_TEMPORARY,
		    "the store cannot be written: is the disk full?");
	return admin_fail(client, &failure);
}

bool admin_find(struct admin_client *client, struct bytes user, struct registered *out)
{
	struct buffer name;
	bool found;

	buffer_init(&name, REGISTRY_TEXT_MAX);
	found = registry_canonical(user, &name) &&
		registry_find(client->keeper->store, buffer_bytes(&name), out);
	buffer_release(&name);
	return found;
}

/* ---- rows ---- */

static uint64_t count_devices(struct store *store, struct bytes account)
{
	struct device device;
	uint64_t count = 0;
	uint32_t after = 0;

	while (device_next(store, account, after, &device)) {
		after = device.id;
		count++;
		device_release(&device);
	}
	return count;
}

bool admin_needs_no_consent(const struct admin_client *client,
			    const struct registered *registered)
{
	const struct config_provider *provider =
		config_provider_named(client->config, bytes_of(registered->provider));

	return registered->kind == REGISTERED_OAUTH && provider &&
	       (provider->app_only || provider->service_account_file);
}

SUSPENDS static bool say_registered(struct admin_client *client,
				    const struct registered *registered)
{
	const struct bytes account = bytes_of(registered->account);

	return admin_say(
		client,
		&(struct admin_message){
			.type = ADMIN_REGISTERED,
			.number[ADMIN_TYPE] = registered->kind,
			.number[ADMIN_HAS_SECRET] = registered->secret.len > 0,
			.number[ADMIN_STATE] = admin_needs_no_consent(client, registered)
						       ? ADMIN_CONSENT_NOT_NEEDED
						       : registered->consent,
			.number[ADMIN_SINCE_S] = registered->consent_since_s,
			.number[ADMIN_UNTIL_S] = registered->consent_until_s,
			.number[ADMIN_AT_S] = registered->created_s,
			.number[ADMIN_DEVICES] =
				count_devices(client->keeper->store, account),
			.text[ADMIN_USER] = account,
			.text[ADMIN_ROUTE] = bytes_of(registered->route),
			.text[ADMIN_MAILBOX] = bytes_of(registered->mailbox),
			.text[ADMIN_SIGNS_IN_AS] = bytes_of(registered->signs_in_as),
			.text[ADMIN_ALIASES] = bytes_of(registered->aliases),
			.text[ADMIN_PROVIDER] = bytes_of(registered->provider),
			.text[ADMIN_CAUSE] = bytes_of(
				registered->consent_text ? registered->consent_text : ""),
		});
}

SUSPENDS static bool say_all(struct admin_client *client)
{
	struct registered registered;
	struct buffer after;
	uint64_t count = 0;
	bool goes_on = true;

	buffer_init(&after, REGISTRY_TEXT_MAX);
	while (goes_on &&
	       registry_next(client->keeper->store, buffer_bytes(&after), &registered)) {
		buffer_clear(&after);
		buffer_append(&after, bytes_of(registered.account));
		goes_on = say_registered(client, &registered);
		registered_release(&registered);
		if (++count % AT_ONCE == 0) {
			goes_on = goes_on && task_sleep_until(loop_now_ms());
		}
	}
	buffer_release(&after);
	return goes_on && admin_end(client, count);
}

SUSPENDS static bool say_accounts(struct admin_client *client, struct bytes user)
{
	struct registered registered;
	bool goes_on;

	if (user.len == 0) {
		return say_all(client);
	}
	if (!admin_find(client, user, &registered)) {
		return admin_refuse(client,
				    "there is no such account (popbridge account list)");
	}
	goes_on = say_registered(client, &registered) &&
		  admin_say_devices(client, bytes_of(registered.account)) &&
		  admin_end(client, 1);
	registered_release(&registered);
	return goes_on;
}

/* ---- accounts ---- */

static const char *unfit(const struct admin_client *client,
			 const struct registered *registered)
{
	const bool is_oauth = registered->kind == REGISTERED_OAUTH;

	if (!*registered->mailbox) {
		return "the account needs a mailbox: the user name upstream";
	}
	if (is_oauth && !*registered->provider) {
		return "an account that signs in with OAuth2 needs a provider";
	}
	if (is_oauth &&
	    !config_provider_named(client->config, bytes_of(registered->provider))) {
		return "no provider of that name is configured (providers)";
	}
	if (!is_oauth && *registered->provider) {
		return "a provider is for accounts that sign in with OAuth2";
	}
	if (!config_route_for(client->config,
			      bytes_of(*registered->route ? registered->route
							  : registered->account))) {
		return "no route matches the account's name: add one whose match fits, "
		       "or name another that one fits with --route";
	}
	return NULL;
}

static bool is_clean(const struct admin_message *message)
{
	static const enum admin_text texts[] = { ADMIN_USER, ADMIN_ROUTE, ADMIN_MAILBOX,
						 ADMIN_SIGNS_IN_AS, ADMIN_PROVIDER };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const struct bytes text = message->text[texts[i]];

		for (size_t j = 0; j < text.len; j++) {
			if ((unsigned char)text.at[j] < ' ' || text.at[j] == 0x7F) {
				return false;
			}
		}
		if (text.len > REGISTRY_TEXT_MAX) {
			return false;
		}
	}
	return true;
}

static void put_text(char **to, struct bytes text, bool keep)
{
	if (*to && keep && text.len == 0) {
		return;
	}
	free(*to);
	*to = memory_copy_text(text);
}

/* keep: what is not said stays. */
static void put_texts(struct registered *registered, const struct admin_message *message,
		      bool keep)
{
	put_text(&registered->route, message->text[ADMIN_ROUTE], keep);
	put_text(&registered->mailbox, message->text[ADMIN_MAILBOX], keep);
	put_text(&registered->signs_in_as, message->text[ADMIN_SIGNS_IN_AS], keep);
	put_text(&registered->aliases, message->text[ADMIN_ALIASES], keep);
	put_text(&registered->provider, message->text[ADMIN_PROVIDER], keep);
	if (!registered->consent_text) {
		registered->consent_text = memory_copy_text((struct bytes){ 0 });
	}
}

/* Other people's consent, or another provider's, is none. */
static void drop_consent(struct registered *registered)
{
	buffer_release(&registered->secret);
	buffer_release(&registered->access);
	registered->consent = CONSENT_NONE;
	registered->consent_since_s = registered->consent_until_s = 0;
	registered->version++;
}

static bool is_other_identity(const struct registered *old,
			      const struct admin_message *message)
{
	const struct bytes provider = message->text[ADMIN_PROVIDER];
	const struct bytes signs_in_as = message->text[ADMIN_SIGNS_IN_AS];

	return old->kind != (enum registered_kind)message->number[ADMIN_TYPE] ||
	       (provider.len > 0 && !bytes_equal(provider, bytes_of(old->provider))) ||
	       (signs_in_as.len > 0 &&
		!bytes_equal(signs_in_as, bytes_of(old->signs_in_as)));
}

/* What the operator said, over what there was. NULL: *out is it; else why not. */
static const char *compose(struct admin_client *client,
			   const struct admin_message *message, struct registered *out,
			   struct failure *failure)
{
	const enum admin_mode mode = (enum admin_mode)message->number[ADMIN_MODE];
	const struct bytes secret = message->text[ADMIN_SECRET];
	struct buffer name;

	*out = (struct registered){ 0 };
	if (mode >= ADMIN_MODES || message->number[ADMIN_TYPE] >= REGISTERED_KINDS ||
	    !is_clean(message)) {
		return "a name is too long, or has control characters in it";
	}
	buffer_init(&name, REGISTRY_TEXT_MAX);
	const bool named = registry_canonical(message->text[ADMIN_USER], &name);
	const bool exists =
		named && registry_find(client->keeper->store, buffer_bytes(&name), out);

	if (!exists && named) {
		out->account = memory_copy_text(buffer_bytes(&name));
		out->created_s = keeper_wall_s();
	}
	buffer_release(&name);
	if (!named || (mode == ADMIN_MODE_NEW && exists) ||
	    (mode == ADMIN_MODE_CHANGE && !exists)) {
		return !named   ? "an account needs a name"
		       : exists ? "there is such an account already (popbridge account "
				  "change)"
				: "there is no such account (popbridge account add)";
	}
	if (exists && is_other_identity(out, message)) {
		drop_consent(out);
	}
	out->kind = (enum registered_kind)message->number[ADMIN_TYPE];
	put_texts(out, message, exists && mode == ADMIN_MODE_CHANGE);
	if (secret.len > 0 &&
	    !tokens_seal(client->keeper->tokens, out, secret, failure)) {
		return failure->text;
	}
	if (secret.len > 0 && out->kind == REGISTERED_OAUTH) {
		out->consent = CONSENT_GOOD; // a pasted refresh token
		out->consent_since_s = keeper_wall_s();
	}
	return unfit(client, out);
}

/* Nothing has waited since it was composed. */
static bool keeps_secrets(struct store *store, const struct registered *composed)
{
	struct registered now;
	bool keeps;

	if (!registry_find(store, bytes_of(composed->account), &now)) {
		return false;
	}
	keeps = now.version == composed->version;
	registered_release(&now);
	return keeps;
}

SUSPENDS static bool collect(struct admin_client *client, struct registered *registered)
{
	struct admin_collected *collected = client->collected;

	if (!collected) {
		client->collected = collected = memory_new(sizeof(*collected));
	}
	if (collected->count >= COLLECTED_MAX) {
		registered_release(registered);
		return admin_refuse(client, "too many accounts at once");
	}
	if (collected->count == collected->room) {
		collected->room = collected->room * 2 + 64;
		collected->list = memory_resize(
			collected->list, collected->room * sizeof(*collected->list));
	}
	collected->list[collected->count++] =
		(struct admin_imported){ *registered, keeps_secrets(client->keeper->store,
								    registered) };
	return admin_end(client, collected->count);
}

SUSPENDS static bool registered_anew(struct admin_client *client,
				     struct registered *registered)
{
	const bool saved = registry_save(client->keeper->store, registered);

	if (saved) {
		prover_forget(client->keeper->prover);
		page_forget(client->keeper->page, bytes_of(registered->account));
		log_say(LOG_INFO, "account saved", "%s, mailbox %s", registered->account,
			registered->mailbox);
	}
	registered_release(registered);
	return saved ? admin_end(client, 1) : admin_not_written(client);
}

SUSPENDS static bool do_register(struct admin_client *client,
				 const struct admin_message *message)
{
	struct registered registered;
	struct failure failure;
	const char *why = compose(client, message, &registered, &failure);

	if (why) {
		registered_release(&registered);
		return admin_refuse(client, why);
	}
	if (message->number[ADMIN_MODE] == ADMIN_MODE_COLLECT) {
		return collect(client, &registered);
	}
	return registered_anew(client, &registered);
}

/* Those of one go to the other, which has had its own. */
static void move_secrets(struct registered *from, struct registered *to)
{
	buffer_release(&to->secret);
	buffer_release(&to->access);
	free(to->consent_text);
	to->version = from->version;
	to->secret = from->secret;
	to->access = from->access;
	to->access_from_s = from->access_from_s;
	to->access_until_s = from->access_until_s;
	to->consent = from->consent;
	to->consent_text = from->consent_text;
	to->consent_since_s = from->consent_since_s;
	to->consent_until_s = from->consent_until_s;
	from->secret = from->access = (struct buffer){ 0 };
	from->consent_text = NULL;
}

/* What was sealed for a version stays readable under a later one. */
static bool outdo(struct tokens *tokens, uint64_t version, struct registered *registered)
{
	struct secret secret = { 0 };
	struct failure ignored;
	bool done = true;

	if (registered->secret.len > 0) {
		done = tokens_unseal(tokens, registered, &secret, &ignored);
		registered->version = version;
		done = done &&
		       tokens_seal(tokens, registered, secret_bytes(&secret), &ignored);
	} else {
		registered->version = version + 1;
	}
	secret_release(&secret);
	return done;
}

/* Tokens may have been rotated since, and somebody may be about to store one. */
static bool bring_up_to_date(struct keeper *keeper, struct admin_imported *imported)
{
	struct registered *registered = &imported->registered;
	struct registered now;
	bool done = true;

	if (!registry_find(keeper->store, bytes_of(registered->account), &now)) {
		return true;
	}
	if (imported->keeps_secrets) {
		move_secrets(&now, registered);
	} else if (registered->version <= now.version) {
		done = outdo(keeper->tokens, now.version, registered);
	}
	registered_release(&now);
	return done;
}

/* Nothing waits in here, so it is all or nothing for everybody who looks. */
SUSPENDS static bool register_all(struct admin_client *client)
{
	struct admin_collected *collected = client->collected;
	struct store *store = client->keeper->store;
	const size_t count = collected ? collected->count : 0;
	bool good = registry_begin(store);

	for (size_t i = 0; i < count && good; i++) {
		good = bring_up_to_date(client->keeper, &collected->list[i]) &&
		       registry_save(store, &collected->list[i].registered);
	}
	good = registry_end(store, good);
	prover_forget(client->keeper->prover);
	for (size_t i = 0; i < count && good; i++) {
		page_forget(client->keeper->page,
			    bytes_of(collected->list[i].registered.account));
	}
	admin_drop_collected(client);
	return good ? admin_end(client, count) : admin_not_written(client);
}

SUSPENDS static bool unregister(struct admin_client *client, struct bytes user)
{
	struct registered registered;
	bool removed;

	if (!admin_find(client, user, &registered)) {
		return admin_refuse(client,
				    "there is no such account (popbridge account list)");
	}
	removed = registry_remove(client->keeper->store, bytes_of(registered.account));
	prover_forget(client->keeper->prover);
	page_forget(client->keeper->page, bytes_of(registered.account));
	keeper_tell_apop(client->keeper);
	if (removed) {
		log_say(LOG_INFO, "account removed", "%s", registered.account);
	}
	registered_release(&registered);
	return removed ? admin_end(client,
				   admin_kick(client->admin, user, KEEPER_KICK_SESSIONS))
		       : admin_not_written(client);
}

/* ---- new keys ---- */

/*
 * Every record is sealed anew; one that cannot be opened is told, and keeps the old key
 * in use. Cut off, the next rekey goes on where this one was.
 */
SUSPENDS static bool rekey(struct admin_client *client, struct bytes master)
{
	struct keeper *keeper = client->keeper;
	struct registered registered;
	struct failure failure;
	struct buffer after;
	uint64_t count = 0;
	bool all = true;

	if (!vault_rekey(keeper->vault, master, &failure)) {
		return admin_fail(client, &failure);
	}
	buffer_init(&after, REGISTRY_TEXT_MAX);
	while (registry_next(keeper->store, buffer_bytes(&after), &registered)) {
		buffer_clear(&after);
		buffer_append(&after, bytes_of(registered.account));
		if (!tokens_reseal(keeper->tokens, &registered, &failure) ||
		    !admin_reseal_devices(client, buffer_bytes(&after), &failure)) {
			log_say(LOG_ERROR, "secret not sealed anew", "%s", failure.text);
			all = false;
		}
		registered_release(&registered);
		if (++count % AT_ONCE == 0) {
			task_sleep_until(loop_now_ms());
		}
	}
	buffer_release(&after);
	if (all && vault_drop_old_keys(keeper->vault)) {
		return admin_end(client, count);
	}
	return admin_refuse(client,
			    "some secrets could not be sealed anew, see the log; the old "
			    "key stays for them");
}

SUSPENDS bool admin_answer_accounts(struct admin_client *client,
				    const struct admin_message *message)
{
	const struct bytes user = message->text[ADMIN_USER];

	if (message->type == ADMIN_ASK_REGISTERED) {
		return say_accounts(client, user);
	}
	if (message->type == ADMIN_REGISTER) {
		return do_register(client, message);
	}
	if (message->type == ADMIN_REGISTER_ALL) {
		return register_all(client);
	}
	if (message->type == ADMIN_UNREGISTER) {
		return unregister(client, user);
	}
	if (message->type == ADMIN_ADD_DEVICE) {
		return admin_add_device(client, message);
	}
	if (message->type == ADMIN_REMOVE_DEVICE) {
		return admin_remove_device(client, message);
	}
	if (message->type == ADMIN_CONSENT) {
		return admin_consent(client, user);
	}
	if (message->type == ADMIN_INVITE) {
		return admin_invite(client, user);
	}
	if (message->type == ADMIN_GRANT) {
		return admin_grant(client, user, message->text[ADMIN_SECRET]);
	}
	return rekey(client, message->text[ADMIN_SECRET]);
}
