/*
 * A provider's answers: whatever comes, a token is visible ASCII within its limit, and
 * what people are shown is printable.
 */
#include "proxy/oauth/answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void must_be_visible(const char *text, size_t len, char least)
{
	for (size_t i = 0; i < len; i++) {
		must(text[i] >= least && text[i] <= '~');
	}
}

static void check_token(const struct secret *token)
{
	must(token->len <= ANSWER_TOKEN_MAX);
	must_be_visible(token->at, token->len, '!');
}

static void check_answer(struct bytes json, unsigned status)
{
	struct answer *answer = memory_new(sizeof(*answer));

	answer_read(json, status, answer);
	check_token(&answer->access_token);
	check_token(&answer->refresh_token);
	check_token(&answer->device_code);
	must_be_visible(answer->user_code, strlen(answer->user_code), '!');
	must_be_visible(answer->text, strlen(answer->text), ' ');
	must(answer->verdict != OAUTH_GRANTED || answer->access_token.len > 0 ||
	     answer->device_code.len > 0);
	must(status < 500 || answer->verdict == OAUTH_TEMPORARY);
	answer_release(answer);
	free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const unsigned statuses[] = { 200, 400, 401, 429, 500 };
	const struct answer_expected expected = { .issuer = "https://a/*/b",
						  .client_id = "c",
						  .claim = "email",
						  .now_s = 1000 };
	struct answer_endpoints *found = memory_new(sizeof(*found));
	char who[64];
	const char *why;

	if (size > 0) {
		const struct bytes text = { (const char *)input + 1, size - 1 };

		check_answer(text, statuses[input[0] % 5]);
		answer_read_discovery(text, found);
		answer_identity(text, &expected, who, sizeof(who), &why);
	}
	free(found);
	return 0;
}
