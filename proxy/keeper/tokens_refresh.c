/*
 * All goes well: a token that is good is given out; at four fifths of its life another
 * one is fetched meanwhile. What can go wrong: the provider is down (told, and not asked
 * again at once: the next try waits longer each time), the consent is gone (told by the
 * provider itself, read once more, then kept: nobody asks again until somebody consents),
 * the oauth role dies (its questions are asked again), this process dies (the role keeps
 * what is not stored, and tells it to the next keeper by its tag).
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LIFE_S 3600 // where the provider does not say
#define TAG_MAX (REGISTRY_TEXT_MAX + 32)

/* ---- what a grant changes ---- */

struct tokens_life tokens_life_of(const struct oauth_reply *reply)
{
	const uint64_t now_s = tokens_wall_s();

	return (struct tokens_life){
		now_s, now_s + (reply->expires_s > 0 ? reply->expires_s : LIFE_S)
	};
}

static void take_grant(struct tokens *tokens, struct registered *registered,
		       const struct oauth_reply *reply)
{
	const struct tokens_life life = tokens_life_of(reply);
	struct secret kept = { 0 };
	struct failure ignored;

	/* Some providers give no new refresh token: the old one stays good. */
	if (reply->refresh_token.len > 0) {
		secret_set(&kept, reply->refresh_token);
	} else if (registered->secret.len > 0) {
		tokens_unseal(tokens, registered, &kept, &ignored);
	}
	buffer_release(&registered->secret);
	buffer_release(&registered->access);
	registered->version++;
	if (kept.len > 0) {
		tokens_seal_part(tokens, registered, "secret", secret_bytes(&kept),
				 &registered->secret);
	}
	tokens_seal_part(tokens, registered, "access", reply->access_token,
			 &registered->access);
	secret_release(&kept);
	registered->access_from_s = life.from_s;
	registered->access_until_s = life.until_s;
	registered->consent = CONSENT_GOOD;
	free(registered->consent_text);
	registered->consent_text = NULL;
	if (reply->refresh_expires_s > 0) {
		registered->consent_until_s = tokens_wall_s() + reply->refresh_expires_s;
	}
}

/* Where the provider does not say. */
static uint64_t known_end(const struct tokens *tokens,
			  const struct registered *registered)
{
	const struct config_provider *provider =
		config_provider_named(tokens->config, bytes_of(registered->provider));

	return provider && provider->consent_lasts_s > 0
		       ? registered->consent_since_s + provider->consent_lasts_s
		       : 0;
}

SUSPENDS bool tokens_grant(struct tokens *tokens, struct bytes account,
			   const struct oauth_reply *reply, struct failure *failure)
{
	struct registered registered;
	bool done;

	if (!registry_find(tokens->store, account, &registered)) {
		return failure_set(failure, FAILURE_PERMANENT, "no such account");
	}
	registered.consent_since_s = tokens_wall_s();
	registered.consent_until_s = known_end(tokens, &registered);
	take_grant(tokens, &registered, reply);
	done = registry_save(tokens->store, &registered);
	registered_release(&registered);
	if (!done) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "the store cannot be written");
	}
	tokens_set_back_end(tokens, account);
	tokens_kept(tokens, reply);
	return true;
}

/* ---- refreshing ---- */

/*
 * A provider that gives each refresh token once takes the consent back when it sees one a
 * second time, and so it does where its answer to the first time was lost.
 */
static char *why_consent_is_needed(struct tokens *tokens,
				   const struct registered *registered,
				   const struct tokens_answer *answer)
{
	const bool lost = answer->asked_again ||
			  tokens_is_set_back(tokens, bytes_of(registered->account));
	struct buffer text;
	char *why;

	buffer_init(&text, CHANNEL_MESSAGE_MAX);
	buffer_printf(&text, "%.*s%s", (int)answer->reply.text.len, answer->reply.text.at,
		      lost ? " (the provider's answer to an earlier request may have "
			     "been lost)"
			   : "");
	why = memory_copy_text(buffer_bytes(&text));
	buffer_release(&text);
	return why;
}

static void need_consent(struct tokens *tokens, struct registered *registered,
			 const struct tokens_answer *answer)
{
	struct log_line line;

	registered->consent = CONSENT_NEEDED;
	free(registered->consent_text);
	registered->consent_text = why_consent_is_needed(tokens, registered, answer);
	tokens_set_back_end(tokens, bytes_of(registered->account));
	buffer_release(&registered->access);
	registered->access_until_s = 0;
	registry_save(tokens->store, registered);
	if (log_begin(&line, LOG_ERROR, "consent needed")) {
		log_string(&line, "user", registered->account);
		log_string(&line, "provider", registered->provider);
		log_string(&line, "cause", registered->consent_text);
		log_string(&line, "advice",
			   "run: popbridge account consent USER, or send the user an "
			   "invitation: popbridge account invite USER");
		log_end(&line);
	}
}

/* Which record an answer belongs to, should another keeper get it. */
static void write_tag(const struct registered *registered, char out[TAG_MAX])
{
	snprintf(out, TAG_MAX, "%" PRIu64 " %s", registered->version,
		 registered->account);
}

/* How this account's provider is asked; the account consents where there is a secret. */
static bool make_request(struct tokens *tokens, const struct registered *registered,
			 struct secret *refresh_token, struct oauth_request *request,
			 struct failure *failure)
{
	const struct config_provider *provider =
		config_provider_named(tokens->config, bytes_of(registered->provider));

	if (!provider) {
		failure_set(failure, FAILURE_PERMANENT,
			    "provider %s is not configured any more",
			    registered->provider);
		return failure_advise(failure, "put it back under providers:, or give "
					       "the account another one: popbridge "
					       "account change --provider");
	}
	request->provider = bytes_of(registered->provider);
	request->subject = bytes_of(*registered->signs_in_as ? registered->signs_in_as
							     : registered->mailbox);
	if (provider->service_account_file) {
		request->what = OAUTH_SERVICE_ACCOUNT;
		return vault_can_seal(tokens->vault, failure); // what comes is stored
	}
	request->what = OAUTH_REFRESH;
	if (registered->secret.len == 0) {
		failure_set(failure, FAILURE_PERMANENT,
			    "nobody has consented yet for account %s",
			    registered->account);
		return failure_advise(failure, "run: popbridge account consent USER");
	}
	if (!tokens_unseal(tokens, registered, refresh_token, failure)) {
		return false;
	}
	request->secret = secret_bytes(refresh_token);
	return true;
}

void tokens_refused(const struct oauth_reply *reply, struct bytes provider,
		    struct failure *failure)
{
	failure_set(failure,
		    reply->verdict == OAUTH_TEMPORARY ? FAILURE_TEMPORARY
						      : FAILURE_PERMANENT,
		    "the provider %.*s gives no token: %.*s", (int)provider.len,
		    provider.at, (int)reply->text.len, reply->text.at);
	failure_advise(failure,
		       reply->verdict == OAUTH_TEMPORARY
			       ? "it is tried again by itself; if it lasts, see "
				 "whether the provider is reached from here"
			       : "see the provider's settings here and the "
				 "application's there (README.md has the steps)");
}

/* What the answer changes in the account; read again: we have waited. */
SUSPENDS static void take_answer(struct tokens *tokens, struct bytes account,
				 uint64_t version, const struct tokens_answer *answer)
{
	struct registered now;
	struct failure failure;

	if (!registry_find(tokens->store, account, &now)) {
		tokens_set_back_end(tokens, account);
		tokens_kept(tokens, &answer->reply);
		return;
	}
	const bool is_same = now.version == version;

	if (!is_same) {
		tokens_kept(tokens, &answer->reply);
	}

	if (is_same && answer->reply.verdict == OAUTH_GRANTED) {
		if (!tokens_grant_refreshed(tokens, &now, &answer->reply)) {
			failure_set(&failure, FAILURE_TEMPORARY,
				    "the new token cannot be stored");
			tokens_set_back(tokens, account, &failure);
		}
	} else if (is_same && answer->reply.verdict == OAUTH_INVALID_GRANT) {
		need_consent(tokens, &now, answer);
	} else if (answer->reply.verdict != OAUTH_GRANTED &&
		   answer->reply.verdict != OAUTH_INVALID_GRANT) {
		failure_set(&failure,
			    answer->reply.verdict == OAUTH_TEMPORARY ? FAILURE_TEMPORARY
								     : FAILURE_PERMANENT,
			    "the provider %s gives no token: %.*s", now.provider,
			    (int)answer->reply.text.len, answer->reply.text.at);
		tokens_set_back(tokens, account, &failure);
	}
	registered_release(&now);
}

SUSPENDS bool tokens_grant_refreshed(struct tokens *tokens, struct registered *registered,
				     const struct oauth_reply *reply)
{
	take_grant(tokens, registered, reply);
	if (!registry_save(tokens->store, registered)) {
		return false;
	}
	tokens_set_back_end(tokens, bytes_of(registered->account));
	tokens_kept(tokens, reply);
	return true;
}

/* One refresh, from the record as it is to the record as it is then. */
SUSPENDS static void refresh(struct tokens *tokens, struct bytes account)
{
	struct oauth_request request = { 0 };
	struct secret refresh_token = { 0 };
	struct registered registered;
	struct tokens_answer *answer = NULL;
	struct failure failure;
	char tag[TAG_MAX];

	if (!registry_find(tokens->store, account, &registered)) {
		tokens_set_back_end(tokens, account);
		return;
	}
	write_tag(&registered, tag);
	request.tag = bytes_of(tag);
	if (make_request(tokens, &registered, &refresh_token, &request, &failure)) {
		answer = tokens_ask(tokens, &request, loop_deadline_ms(TOKENS_REFRESH_MS),
				    &failure);
	}
	if (answer) {
		take_answer(tokens, account, registered.version, answer);
	} else {
		tokens_set_back(tokens, account, &failure);
	}
	tokens_answer_free(answer);
	secret_release(&refresh_token);
	registered_release(&registered);
}

SUSPENDS static void run_flight(void *argument)
{
	struct flight *flight = argument;
	struct tokens *tokens = flight->tokens;

	if (tokens_is_app_key(bytes_of(flight->account))) {
		tokens_refresh_app(tokens, bytes_of(flight->account));
	} else {
		refresh(tokens, bytes_of(flight->account));
	}
	tokens_land(flight);
}

void tokens_fly(struct tokens *tokens, struct bytes account)
{
	struct flight *flight = memory_new(sizeof(*flight));

	flight->tokens = tokens;
	flight->account = memory_copy_text(account);
	flight->next = tokens->flights;
	tokens->flights = flight;
	task_start(run_flight, flight);
}

/* ---- what was answered to another keeper ---- */

SUSPENDS void tokens_take_orphan(struct tokens *tokens, const struct oauth_reply *reply)
{
	struct bytes account = reply->tag;
	struct registered registered;
	uint64_t version;

	if (reply->verdict != OAUTH_GRANTED) {
		return;
	}
	if (!bytes_take_u64(&account, &version) ||
	    !registry_find(tokens->store, account, &registered)) {
		tokens_kept(tokens, reply);
		return;
	}
	if (registered.version != version) {
		tokens_kept(tokens, reply);
	} else if (tokens_grant_refreshed(tokens, &registered, reply)) {
		log_say(LOG_INFO, "token recovered",
			"a refresh token for %s was not stored when the last keeper "
			"ended",
			registered.account);
	}
	registered_release(&registered);
}
