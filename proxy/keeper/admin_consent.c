/*
 * A person's consent by the device flow (RFC 8628), a refresh token that somebody has got
 * elsewhere, and an invitation to the consent page.
 *
 * All goes well: the provider gives a code, the operator's command shows it, the person
 * types it in at the provider, and the token that comes of it is the account's, where it
 * is the right person's (grant.h).
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/admin.h"
#include "proxy/keeper/grant.h"
#include "proxy/keeper/page.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS 45000
#define INTERVAL_S 5 // RFC 8628 3.2
#define SLOWER_S 5   // RFC 8628 3.5
#define CODE_S 600   // where the provider does not say; longer ones are cut, too
#define ROW_MS 4000  // the command wants to hear that we are there

struct consent {
	struct admin_client *client;
	struct registered registered;
	struct secret device_code;
	uint64_t interval_s;
	uint64_t until_ms;
	bool by_operator; // who pasted a token knows whose it is
};

static bool is_waiting(const struct oauth_reply *reply)
{
	return reply->verdict == OAUTH_PENDING || reply->verdict == OAUTH_SLOW_DOWN ||
	       reply->verdict == OAUTH_TEMPORARY;
}

/* Between two questions the command hears that we are still there. False: it is gone. */
SUSPENDS static bool wait_interval(struct consent *consent)
{
	const uint64_t until_ms = loop_deadline_ms(consent->interval_s * 1000);
	bool goes_on = true;

	while (goes_on && loop_now_ms() < until_ms) {
		const uint64_t soon_ms = loop_deadline_ms(ROW_MS);

		goes_on = task_sleep_until(soon_ms < until_ms ? soon_ms : until_ms) &&
			  admin_say(consent->client,
				    &(struct admin_message){ .type = ADMIN_PENDING });
	}
	return goes_on;
}

SUSPENDS static struct tokens_answer *ask(struct consent *consent, enum oauth_what what,
					  struct failure *failure)
{
	struct oauth_request request = {
		.what = what,
		.provider = bytes_of(consent->registered.provider),
		.secret = secret_bytes(&consent->device_code),
	};

	return tokens_ask(consent->client->keeper->tokens, &request,
			  loop_deadline_ms(ASK_MS), failure);
}

/* Minutes have passed: a token of one provider or person is not another's. */
static bool is_as_it_was(const struct consent *consent)
{
	const struct registered *was = &consent->registered;
	struct registered now;
	bool same;

	if (!registry_find(consent->client->keeper->store, bytes_of(was->account),
			   &now)) {
		return false;
	}
	same = now.kind == was->kind && strcmp(now.provider, was->provider) == 0 &&
	       strcmp(now.mailbox, was->mailbox) == 0 &&
	       strcmp(now.signs_in_as, was->signs_in_as) == 0 &&
	       strcmp(now.aliases, was->aliases) == 0;
	registered_release(&now);
	return same;
}

SUSPENDS static bool end_with(struct consent *consent, const struct oauth_reply *reply)
{
	struct failure failure;

	if (reply->verdict == OAUTH_GRANTED && !is_as_it_was(consent)) {
		grant_drop(consent->client->keeper->tokens, &consent->registered, reply);
		failure_set(&failure, FAILURE_PERMANENT,
			    "the account was changed meanwhile: nothing was stored");
		failure_advise(&failure, "run: popbridge account consent USER");
	} else if (reply->verdict == OAUTH_GRANTED) {
		if (grant_take(consent->client->keeper->tokens, consent->client->config,
			       &consent->registered, consent->by_operator, reply,
			       &failure) == GRANT_TAKEN) {
			return admin_end(consent->client, 1);
		}
	} else {
		failure_set(&failure, FAILURE_PERMANENT, "the provider says: %.*s",
			    (int)reply->text.len, reply->text.at);
	}
	return admin_fail(consent->client, &failure);
}

SUSPENDS static bool wait_for_person(struct consent *consent)
{
	struct failure failure;

	while (loop_now_ms() < consent->until_ms) {
		if (!wait_interval(consent)) {
			return false;
		}
		struct tokens_answer *answer = ask(consent, OAUTH_DEVICE_POLL, &failure);

		if (!answer && failure.kind == FAILURE_CANCELLED) {
			return false;
		}
		if (answer && !is_waiting(&answer->reply)) {
			const bool goes_on = end_with(consent, &answer->reply);

			tokens_answer_free(answer);
			return goes_on;
		}
		if (answer && answer->reply.verdict == OAUTH_SLOW_DOWN) {
			consent->interval_s += SLOWER_S;
		}
		tokens_answer_free(answer);
	}
	failure_set(&failure, FAILURE_PERMANENT, "nobody typed the code in time");
	return admin_fail(consent->client, &failure);
}

SUSPENDS static bool show_code(struct consent *consent, const struct oauth_reply *reply)
{
	const uint64_t code_s = reply->expires_s > 0 && reply->expires_s < CODE_S
					? reply->expires_s
					: CODE_S;

	secret_set(&consent->device_code, reply->device_code);
	consent->interval_s = reply->interval_s > 0 ? reply->interval_s : INTERVAL_S;
	consent->until_ms = loop_deadline_ms(code_s * 1000);
	return admin_say(consent->client,
			 &(struct admin_message){
				 .type = ADMIN_CODE,
				 .number[ADMIN_UNTIL_S] = keeper_wall_s() + code_s,
				 .text[ADMIN_URL] = reply->url,
				 .text[ADMIN_URL_COMPLETE] = reply->url_complete,
				 .text[ADMIN_USER_CODE] = reply->user_code,
			 });
}

SUSPENDS static bool run_flow(struct consent *consent)
{
	struct failure failure;
	struct tokens_answer *answer = ask(consent, OAUTH_DEVICE_START, &failure);
	bool goes_on;

	if (!answer) {
		return admin_fail(consent->client, &failure);
	}
	if (answer->reply.verdict != OAUTH_GRANTED) {
		goes_on = end_with(consent, &answer->reply);
		tokens_answer_free(answer);
		return goes_on;
	}
	goes_on = show_code(consent, &answer->reply);
	tokens_answer_free(answer);
	return goes_on && wait_for_person(consent);
}

static bool find_oauth(struct admin_client *client, struct bytes user,
		       struct registered *out, struct failure *failure)
{
	if (!admin_find(client, user, out)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "there is no such account (popbridge account list)");
	}
	if (admin_needs_no_consent(client, out)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "provider %s signs in by itself: there is nothing to "
				   "consent to; popbridge account password %s makes a "
				   "device password",
				   out->provider, out->account);
	}
	return out->kind == REGISTERED_OAUTH ||
	       failure_set(failure, FAILURE_PERMANENT,
			   "the account does not sign in with OAuth2");
}

/* A provider that is known by discovery alone may have one. */
static bool has_device_flow(struct admin_client *client,
			    const struct registered *registered, struct failure *failure)
{
	const struct config_provider *provider =
		config_provider_named(client->config, bytes_of(registered->provider));

	if (!provider || provider->device_endpoint || provider->discovery) {
		return true;
	}
	failure_set(failure, FAILURE_PERMANENT,
		    provider->kind == CONFIG_GOOGLE
			    ? "Google has no codes to type in (device flow) for mail"
			    : "the provider has no codes to type in (device flow)");
	return failure_advise(
		failure,
		provider->kind == CONFIG_GOOGLE
			? "as the mailbox's owner, take a refresh token for the scope "
			  "https://mail.google.com/ at "
			  "developers.google.com/oauthplayground (its gear: use your own "
			  "OAuth credentials), then run: popbridge account consent USER "
			  "--refresh-token-file FILE (README.md, Gmail by OAuth2)"
			: "set device-endpoint: if it has one; or take a refresh token "
			  "from it in another way, then run: popbridge account consent "
			  "USER --refresh-token-file FILE");
}

SUSPENDS bool admin_consent(struct admin_client *client, struct bytes user)
{
	struct consent consent = { .client = client };
	struct failure failure;
	bool goes_on;

	if (!find_oauth(client, user, &consent.registered, &failure) ||
	    !has_device_flow(client, &consent.registered, &failure) ||
	    !vault_can_seal(client->keeper->vault, &failure)) {
		registered_release(&consent.registered);
		return admin_fail(client, &failure);
	}
	goes_on = run_flow(&consent);
	secret_release(&consent.device_code);
	registered_release(&consent.registered);
	return goes_on;
}

static bool tells_person(const struct admin_client *client,
			 const struct registered *registered, struct failure *failure)
{
	if (grant_tells_person(client->config, registered)) {
		return true;
	}
	failure_set(failure, FAILURE_PERMANENT,
		    "provider %s does not say who signs in: anybody who had the link "
		    "could get a password for the account",
		    registered->provider);
	return failure_advise(failure,
			      "take a refresh token as the mailbox's owner, then run: "
			      "popbridge account consent USER --refresh-token-file FILE; "
			      "or register the account with an app password");
}

SUSPENDS bool admin_invite(struct admin_client *client, struct bytes user)
{
	struct admin_message row = { .type = ADMIN_INVITATION };
	struct registered registered = { 0 };
	struct failure failure;
	struct buffer url;
	bool goes_on;

	if (!find_oauth(client, user, &registered, &failure) ||
	    !tells_person(client, &registered, &failure) ||
	    !vault_can_seal(client->keeper->vault, &failure) ||
	    !page_invite(client->keeper->page, bytes_of(registered.account), &url,
			 &row.number[ADMIN_UNTIL_S], &failure)) {
		registered_release(&registered);
		return admin_fail(client, &failure);
	}
	log_say(LOG_INFO, "invitation made", "for account %s", registered.account);
	row.text[ADMIN_URL] = buffer_bytes(&url);
	goes_on = admin_say(client, &row) && admin_end(client, 1);
	memory_wipe(url.data, url.len);
	buffer_release(&url);
	registered_release(&registered);
	return goes_on;
}

/* Tried at once, so that a wrong one is told to who pasted it. */
SUSPENDS bool admin_grant(struct admin_client *client, struct bytes user,
			  struct bytes refresh_token)
{
	struct oauth_request request = { .what = OAUTH_REFRESH, .secret = refresh_token };
	struct registered registered = { 0 };
	struct tokens_answer *answer = NULL;
	struct secret kept = { 0 };
	struct failure failure;
	bool goes_on;

	if (!find_oauth(client, user, &registered, &failure) ||
	    !vault_can_seal(client->keeper->vault, &failure)) {
		registered_release(&registered);
		return admin_fail(client, &failure);
	}
	secret_set(&kept, refresh_token); // the packet it is in may be overwritten
	request.secret = secret_bytes(&kept);
	request.provider = bytes_of(registered.provider);
	answer = tokens_ask(client->keeper->tokens, &request, loop_deadline_ms(ASK_MS),
			    &failure);
	if (!answer) {
		goes_on = admin_fail(client, &failure);
	} else {
		if (answer->reply.refresh_token.len == 0) {
			answer->reply.refresh_token = secret_bytes(&kept);
		}
		struct consent consent = { .client = client,
					   .registered = registered,
					   .by_operator = true };

		goes_on = end_with(&consent, &answer->reply);
	}
	tokens_answer_free(answer);
	secret_release(&kept);
	registered_release(&registered);
	return goes_on;
}
