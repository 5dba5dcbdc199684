/*
 * All goes well: the provider says who consented, it is who has to, and the token is the
 * account's. Somebody else signed in there: the token is taken back and not stored.
 */
#include "proxy/keeper/grant.h"

#include "proxy/base/log.h"

#include <string.h>

#define ASK_MS 45000

/* ASCII letters in any case: mail addresses at providers are. */
static bool is_same_person(struct bytes a, struct bytes b)
{
	struct buffer one, two;
	bool same;

	buffer_init(&one, REGISTRY_TEXT_MAX);
	buffer_init(&two, REGISTRY_TEXT_MAX);
	same = registry_canonical(a, &one) && registry_canonical(b, &two) &&
	       bytes_equal(buffer_bytes(&one), buffer_bytes(&two));
	buffer_release(&one);
	buffer_release(&two);
	return same;
}

const char *grant_person(const struct registered *registered)
{
	return *registered->signs_in_as ? registered->signs_in_as : registered->mailbox;
}

/* signs-in-as, the mailbox where that is not said, or a listed alias. */
static bool may_consent(const struct registered *registered, struct bytes identity)
{
	struct bytes rest = bytes_of(registered->aliases);

	if (is_same_person(identity, bytes_of(grant_person(registered)))) {
		return true;
	}
	while (rest.len > 0) {
		const char *end = memchr(rest.at, '\n', rest.len);
		const size_t len = end ? (size_t)(end - rest.at) : rest.len;

		if (is_same_person(identity, (struct bytes){ rest.at, len })) {
			return true;
		}
		bytes_skip(&rest, len + 1);
	}
	return false;
}

SUSPENDS static void take_back(struct tokens *tokens, const struct registered *registered,
			       struct bytes refresh_token)
{
	struct oauth_request request = { .what = OAUTH_REVOKE,
					 .provider = bytes_of(registered->provider),
					 .secret = refresh_token };
	struct failure ignored;

	if (refresh_token.len > 0) {
		tokens_answer_free(
			tokens_ask(tokens, &request, loop_deadline_ms(ASK_MS), &ignored));
	}
}

SUSPENDS void grant_drop(struct tokens *tokens, const struct registered *registered,
			 const struct oauth_reply *reply)
{
	take_back(tokens, registered, reply->refresh_token);
	tokens_kept(tokens, reply);
}

bool grant_tells_person(const struct config *config, const struct registered *registered)
{
	const struct config_provider *provider =
		config_provider_named(config, bytes_of(registered->provider));

	return provider && provider->identity_claim;
}

/* The provider's word on who consented, where it gives one. */
static bool is_right_person(const struct config *config,
			    const struct registered *registered, bool by_operator,
			    const struct oauth_reply *reply)
{
	if (reply->identity.len == 0) {
		/* Then the IMAP server's word has to do: it takes no other's token. */
		return !grant_tells_person(config, registered) || by_operator;
	}
	return may_consent(registered, reply->identity);
}

SUSPENDS static enum grant_verdict refuse(struct tokens *tokens,
					  const struct registered *registered,
					  const struct oauth_reply *reply,
					  struct failure *failure)
{
	grant_drop(tokens, registered, reply);
	if (reply->identity.len == 0) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the provider does not say who consented; its scope "
			    "needs openid and email");
		return GRANT_OF_NO_USE;
	}
	failure_set(failure, FAILURE_PERMANENT,
		    "%.*s consented, not %s: nothing was stored (see --signs-in-as "
		    "and --alias of popbridge account change)",
		    (int)reply->identity.len, reply->identity.at,
		    grant_person(registered));
	return GRANT_OF_ANOTHER;
}

SUSPENDS enum grant_verdict grant_take(struct tokens *tokens, const struct config *config,
				       const struct registered *registered,
				       bool by_operator, const struct oauth_reply *reply,
				       struct failure *failure)
{
	if (reply->refresh_token.len == 0) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the provider gave no refresh token: consent would end "
			    "within the hour; its scope needs offline access");
		return GRANT_OF_NO_USE;
	}
	if (!is_right_person(config, registered, by_operator, reply)) {
		return refuse(tokens, registered, reply, failure);
	}
	if (!tokens_grant(tokens, bytes_of(registered->account), reply, failure)) {
		return GRANT_OF_NO_USE;
	}
	log_say(LOG_INFO, "consent given", "for account %s", registered->account);
	return GRANT_TAKEN;
}
