/*
 * The authorization code flow up to where the provider would be asked: the address the
 * browser is sent to, and the answers that are refused before anybody is asked.
 */
#include "proxy/oauth/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char name[] = "test";
static char client[] = "client 1";
static char scope[] = "openid imap";
static char extra[] = "prompt=consent";
static const struct config_provider provider = {
	.name = name,
	.kind = CONFIG_CUSTOM,
	.client_id = client,
	.scope = scope,
	.authorization_extra = extra,
};
static const struct exchange_papers no_papers;

/* Nobody listens at port 1: an exchange that got so far is OAUTH_TEMPORARY. */
static struct answer_endpoints *endpoints(void)
{
	struct answer_endpoints *made = memory_new(sizeof(*made));

	snprintf(made->issuer, sizeof(made->issuer), "https://p.example");
	snprintf(made->authorization, sizeof(made->authorization),
		 "https://p.example/authorize");
	snprintf(made->token, sizeof(made->token), "http://127.0.0.1:1/token");
	return made;
}

static struct exchange_result *asked(const struct answer_endpoints *where,
				     const struct oauth_request *request)
{
	struct exchange_result *result = memory_new(sizeof(*result));

	exchange(&provider, &no_papers, where, request, result);
	return result;
}

static void release(struct exchange_result *result, struct answer_endpoints *where)
{
	exchange_result_release(result);
	free(result);
	free(where);
}

static void test_the_browsers_address_has_challenge_state_and_nonce(void **state)
{
	struct answer_endpoints *where = endpoints();
	struct exchange_result *result =
		asked(where, &(struct oauth_request){
				     .what = OAUTH_AUTHORIZE_URL,
				     .redirect = bytes_of("https://gw.example/callback"),
				     .verifier = bytes_of("challenge"),
				     .state = bytes_of("s1"),
				     .nonce = bytes_of("n1"),
				     .hint = bytes_of("joe@example.com"),
			     });

	(void)state;
	assert_int_equal(result->answer.verdict, OAUTH_GRANTED);
	assert_string_equal(
		result->answer.verification_uri,
		"https://p.example/authorize?response_type=code&client_id=client%201&"
		"redirect_uri=https%3A%2F%2Fgw.example%2Fcallback&scope=openid%20imap&"
		"state=s1&nonce=n1&code_challenge=challenge&code_challenge_method=S256&"
		"login_hint=joe%40example.com&prompt=consent");
	release(result, where);
}

static void test_a_provider_without_that_way_is_said(void **state)
{
	struct answer_endpoints *where = endpoints();

	(void)state;
	where->authorization[0] = '\0';
	struct exchange_result *result =
		asked(where, &(struct oauth_request){ .what = OAUTH_AUTHORIZE_URL });

	assert_int_equal(result->answer.verdict, OAUTH_REFUSED);
	assert_non_null(strstr(result->answer.text, "no endpoint"));
	release(result, where);
}

static enum oauth_verdict verdict_for(const char *issuer, bool says_issuer,
				      const char *words)
{
	struct answer_endpoints *where = endpoints();

	where->says_issuer = says_issuer;
	struct exchange_result *result =
		asked(where, &(struct oauth_request){ .what = OAUTH_CODE,
						      .secret = bytes_of("code"),
						      .issuer = bytes_of(issuer) });
	const enum oauth_verdict verdict = result->answer.verdict;

	if (words) {
		assert_non_null(strstr(result->answer.text, words));
	}
	release(result, where);
	return verdict;
}

static void test_a_code_of_another_issuer_is_not_exchanged(void **state)
{
	(void)state;
	assert_int_equal(verdict_for("https://evil.example", true, "another issuer"),
			 OAUTH_REFUSED);
	assert_int_equal(verdict_for("https://evil.example", false, "another issuer"),
			 OAUTH_REFUSED);
}

static void
test_a_code_without_the_issuer_that_is_always_said_is_not_exchanged(void **state)
{
	(void)state;
	assert_int_equal(verdict_for("", true, "does not say whose"), OAUTH_REFUSED);
}

static void test_a_code_of_our_issuer_or_of_a_silent_one_is(void **state)
{
	(void)state;
	assert_int_equal(verdict_for("https://p.example", true, NULL), OAUTH_TEMPORARY);
	assert_int_equal(verdict_for("", false, NULL), OAUTH_TEMPORARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_browsers_address_has_challenge_state_and_nonce),
		cmocka_unit_test(test_a_provider_without_that_way_is_said),
		cmocka_unit_test(test_a_code_of_another_issuer_is_not_exchanged),
		cmocka_unit_test(
			test_a_code_without_the_issuer_that_is_always_said_is_not_exchanged),
		cmocka_unit_test(test_a_code_of_our_issuer_or_of_a_silent_one_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
