/*
 * Giving out: a token that is good goes out at once, and another one is fetched meanwhile
 * where it is getting old; who comes without a good one waits for the refresh.
 */
#include "proxy/keeper/tokens.h"

#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define SPARE_S                                                                          \
	60 // a token is not given out shorter before its end, or a quarter of its life
#define CLOCK_S 300      // clocks are set by so much without anybody noticing
#define EARLY_OF_100 80  // of its life, then another one is fetched
#define JITTER_OF_100 10 // less, at most: not all at once

uint64_t tokens_wall_s(void)
{
	return (uint64_t)time(NULL);
}

struct tokens *tokens_new(struct store *store, struct vault *vault,
			  const struct config *config)
{
	struct tokens *tokens = memory_new(sizeof(*tokens));

	tokens->store = store;
	tokens->vault = vault;
	tokens->config = config;
	/* Answers to the last keeper's questions must not look like answers to ours. */
	if (getrandom(&tokens->last_id, sizeof(tokens->last_id), 0) < 0) {
		abort();
	}
	return tokens;
}

void tokens_configure(struct tokens *tokens, const struct config *config)
{
	tokens->config = config;
}

/* One from the future was got while the clock was wrong: nobody knows when it ends. */
bool tokens_is_good(const struct tokens_life *life)
{
	const uint64_t quarter_s = (life->until_s - life->from_s) / 4;

	return life->from_s <= tokens_wall_s() + CLOCK_S &&
	       life->until_s >
		       tokens_wall_s() + (quarter_s < SPARE_S ? quarter_s : SPARE_S);
}

bool tokens_is_getting_old(const struct tokens_life *life, struct bytes key)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ (unsigned char)key.at[i]) * 16777619U;
	}
	const uint64_t early_s = (life->until_s - life->from_s) *
				 (EARLY_OF_100 - hash % (JITTER_OF_100 + 1)) / 100;

	return tokens_wall_s() >= life->from_s + early_s;
}

static struct tokens_life life_of(const struct registered *registered)
{
	return (struct tokens_life){ registered->access_from_s,
				     registered->access.len > 0
					     ? registered->access_until_s
					     : 0 };
}

static bool is_app_only(const struct tokens *tokens, const struct registered *registered)
{
	const struct config_provider *provider =
		config_provider_named(tokens->config, bytes_of(registered->provider));

	return provider && provider->app_only;
}

static bool needs_consent(const struct registered *registered, struct failure *failure)
{
	if (registered->consent != CONSENT_NEEDED) {
		return false;
	}
	failure_set(failure, FAILURE_PERMANENT, "account %s needs consent anew: %s",
		    registered->account, registered->consent_text);
	failure_advise(failure, "run: popbridge account consent USER");
	return true;
}

SUSPENDS static bool get_token(struct tokens *tokens, struct bytes account, bool anew,
			       uint64_t deadline_ms, struct secret *out,
			       struct failure *failure)
{
	bool renew = anew && tokens_is_to_renew(tokens, account);
	struct registered registered;
	bool got = false;
	bool over = false;

	while (!over) {
		if (!registry_find(tokens->store, account, &registered)) {
			return failure_set(failure, FAILURE_TEMPORARY,
					   "the account was removed");
		}
		const struct tokens_life life = life_of(&registered);

		over = true;
		if (is_app_only(tokens, &registered)) {
			got = tokens_get_app(tokens, bytes_of(registered.provider), anew,
					     deadline_ms, out, failure);
		} else if (tokens_is_good(&life) && !renew) {
			got = tokens_unseal_part(tokens, &registered, "access",
						 &registered.access, out, failure);
			if (tokens_is_getting_old(&life, account) &&
			    tokens_may_fly(tokens, account, NULL)) {
				tokens_fly(tokens, account);
			}
		} else if (needs_consent(&registered, failure)) {
			got = false;
		} else if (tokens_flight_of(tokens, account) ||
			   tokens_may_fly(tokens, account, failure)) {
			over = !tokens_wait(tokens, account, deadline_ms, failure);
			renew = false;
		}
		registered_release(&registered);
	}
	return got;
}

SUSPENDS bool tokens_get(struct tokens *tokens, struct bytes account, bool anew,
			 uint64_t deadline_ms, struct secret *out,
			 struct failure *failure)
{
	struct registered registered;
	enum registered_kind kind;
	bool got;

	if (!registry_find(tokens->store, account, &registered)) {
		return failure_set(failure, FAILURE_TEMPORARY, "the account was removed");
	}
	kind = registered.kind;
	if (kind == REGISTERED_OAUTH) {
		registered_release(&registered);
		return get_token(tokens, account, anew, deadline_ms, out, failure);
	}
	got = kind == REGISTERED_PASS_THROUGH ||
	      tokens_unseal(tokens, &registered, out, failure);
	registered_release(&registered);
	return got;
}
