/*
 * App-only tokens (client credentials): they belong to the gateway's own registration
 * with a provider, not to an account, so three hundred scanners share one, and one
 * refresh. Nobody consented to them: they are fetched anew after a restart, and not
 * stored.
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MARK '\n' // no account's name has one

struct app_token {
	struct app_token *next; // tokens::app_tokens
	char *provider;         // owned
	struct secret access;
	struct tokens_life life;
};

static struct app_token *find(struct tokens *tokens, struct bytes provider)
{
	struct app_token *token = tokens->app_tokens;

	while (token && !bytes_equal(bytes_of(token->provider), provider)) {
		token = token->next;
	}
	return token;
}

static struct app_token *find_or_make(struct tokens *tokens, struct bytes provider)
{
	struct app_token *token = find(tokens, provider);

	if (!token) {
		token = memory_new(sizeof(*token));
		token->provider = memory_copy_text(provider);
		token->next = tokens->app_tokens;
		tokens->app_tokens = token;
	}
	return token;
}

bool tokens_is_app_key(struct bytes key)
{
	return key.len > 0 && *key.at == KEY_MARK;
}

SUSPENDS void tokens_refresh_app(struct tokens *tokens, struct bytes key)
{
	const struct bytes provider = { key.at + 1, key.len - 1 };
	struct oauth_request request = { .what = OAUTH_APP_TOKEN, .provider = provider };
	struct failure failure;
	struct tokens_answer *answer = tokens_ask(
		tokens, &request, loop_deadline_ms(TOKENS_REFRESH_MS), &failure);

	if (answer && answer->reply.verdict == OAUTH_GRANTED) {
		struct app_token *token = find_or_make(tokens, provider);

		secret_release(&token->access);
		secret_set(&token->access, answer->reply.access_token);
		token->life = tokens_life_of(&answer->reply);
		tokens_set_back_end(tokens, key);
	} else {
		if (answer) {
			tokens_refused(&answer->reply, provider, &failure);
		}
		tokens_set_back(tokens, key, &failure);
	}
	tokens_answer_free(answer);
}

SUSPENDS bool tokens_get_app(struct tokens *tokens, struct bytes provider, bool anew,
			     uint64_t deadline_ms, struct secret *out,
			     struct failure *failure)
{
	char key[REGISTRY_TEXT_MAX + 2];
	const int len = snprintf(key, sizeof(key), "%c%.*s", KEY_MARK, (int)provider.len,
				 provider.at);
	const struct bytes key_text = { key, (size_t)len };
	bool renew = anew && tokens_is_to_renew(tokens, key_text);

	for (;;) {
		const struct app_token *token = find(tokens, provider);

		if (token && tokens_is_good(&token->life) && !renew) {
			secret_set(out, secret_bytes(&token->access));
			if (tokens_is_getting_old(&token->life, key_text) &&
			    tokens_may_fly(tokens, key_text, NULL)) {
				tokens_fly(tokens, key_text);
			}
			return true;
		}
		if (!(tokens_flight_of(tokens, key_text) ||
		      tokens_may_fly(tokens, key_text, failure)) ||
		    !tokens_wait(tokens, key_text, deadline_ms, failure)) {
			return false;
		}
		renew = false;
	}
}

void tokens_free_app(struct tokens *tokens)
{
	while (tokens->app_tokens) {
		struct app_token *token = tokens->app_tokens;

		tokens->app_tokens = token->next;
		secret_release(&token->access);
		free(token->provider);
		free(token);
	}
}
