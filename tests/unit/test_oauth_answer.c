#include "proxy/oauth/answer.h"

#include "protocol/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct answer *answer; // large

static int set_up(void **state)
{
	(void)state;
	answer = memory_new(sizeof(*answer));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	answer_release(answer);
	free(answer);
	return 0;
}

static void read_text(const char *json, unsigned status)
{
	answer_release(answer);
	answer_read(bytes_of(json), status, answer);
}

static void test_a_grant_has_its_tokens_and_their_lives(void **state)
{
	(void)state;
	read_text("{\"access_token\":\"at-1\",\"token_type\":\"Bearer\",\"expires_in\":"
		  "3599,"
		  "\"refresh_token\":\"rt-1\",\"refresh_token_expires_in\":604799,"
		  "\"scope\":\"x\",\"id_token\":\"a.b.c\"}",
		  200);
	assert_int_equal(answer->verdict, OAUTH_GRANTED);
	assert_string_equal(answer->access_token.at, "at-1");
	assert_string_equal(answer->refresh_token.at, "rt-1");
	assert_string_equal(answer->id_token.at, "a.b.c");
	assert_int_equal(answer->expires_s, 3599);
	assert_int_equal(answer->refresh_expires_s, 604799);
}

static void test_the_end_of_a_consent_has_two_names(void **state)
{
	(void)state;
	read_text("{\"access_token\":\"at-1\",\"refresh_expires_in\":1800}", 200);
	assert_int_equal(answer->refresh_expires_s, 1800);
	read_text("{\"access_token\":\"at-1\",\"refresh_expires_in\":0}", 200);
	assert_int_equal(answer->refresh_expires_s, 0);
}

static void test_an_unverified_address_is_nobodys(void **state)
{
	static const char *const texts[] = {
		"{\"email\":\"joe@example.com\",\"email_verified\":false}",
		"{\"email\":\"joe@example.com\",\"email_verified\":\"false\"}",
	};
	const char *why;
	char who[64];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_false(answer_person(bytes_of(texts[i]), "email", who, sizeof(who),
					   &why));
		assert_string_equal(who, "");
		assert_non_null(strstr(why, "not verified"));
	}
	assert_true(answer_person(bytes_of("{\"email\":\"joe@example.com\"}"), "email",
				  who, sizeof(who), &why));
	assert_string_equal(who, "joe@example.com");
	assert_true(answer_person(bytes_of("no JSON"), "email", who, sizeof(who), &why));
	assert_string_equal(who, "");
}

static void test_a_number_may_come_as_text(void **state)
{
	(void)state;
	read_text("{\"access_token\":\"a\",\"expires_in\":\"3600\"}", 200);
	assert_int_equal(answer->expires_s, 3600);
	read_text("{\"access_token\":\"a\",\"expires_in\":\"soon\"}", 200);
	assert_int_equal(answer->verdict, OAUTH_GRANTED);
	assert_int_equal(answer->expires_s, 0);
	read_text("{\"access_token\":\"a\",\"expires_in\":-5}", 200);
	assert_int_equal(answer->expires_s, 0);
}

static void test_a_token_with_odd_octets_is_none(void **state)
{
	(void)state;
	read_text("{\"access_token\":\"a\\r\\nX: y\"}", 200);
	assert_int_equal(answer->verdict, OAUTH_TEMPORARY);
	assert_int_equal(answer->access_token.len, 0);
	read_text("{\"access_token\":\"a\\u0001b\"}", 200);
	assert_int_equal(answer->access_token.len, 0);
	read_text("{\"access_token\":\"\"}", 200);
	assert_int_equal(answer->verdict, OAUTH_TEMPORARY);
}

static void test_another_token_type_is_not_used(void **state)
{
	(void)state;
	read_text("{\"access_token\":\"a\",\"token_type\":\"DPoP\"}", 200);
	assert_int_equal(answer->verdict, OAUTH_TEMPORARY);
	assert_int_equal(answer->access_token.len, 0);
}

static void test_each_error_code_means_an_action(void **state)
{
	static const struct {
		const char *code;
		unsigned status;
		enum oauth_verdict verdict;
	} rows[] = {
		{ "authorization_pending", 400, OAUTH_PENDING },
		{ "slow_down", 400, OAUTH_SLOW_DOWN },
		{ "access_denied", 400, OAUTH_DENIED },
		{ "authorization_declined", 400, OAUTH_DENIED },
		{ "expired_token", 400, OAUTH_EXPIRED },
		{ "invalid_grant", 400, OAUTH_INVALID_GRANT },
		{ "interaction_required", 400, OAUTH_INVALID_GRANT },
		{ "invalid_client", 401, OAUTH_INVALID_CLIENT },
		{ "temporarily_unavailable", 400, OAUTH_TEMPORARY },
		{ "invalid_grant", 500, OAUTH_TEMPORARY },
		{ "invalid_grant", 503, OAUTH_TEMPORARY },
		{ "invalid_request", 429, OAUTH_TEMPORARY },
		{ "invalid_scope", 400, OAUTH_REFUSED },
		{ "no_such_code", 400, OAUTH_REFUSED },
	};
	char json[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(json, sizeof(json), "{\"error\":\"%s\"}", rows[i].code);
		read_text(json, rows[i].status);
		assert_int_equal(answer->verdict, rows[i].verdict);
	}
}

static void test_what_is_no_json_never_kills_a_token(void **state)
{
	static const char *const texts[] = { "", "<html>invalid_grant</html>", "[]",
					     "{\"error\":", "\"invalid_grant\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		read_text(texts[i], 400);
		assert_int_equal(answer->verdict, OAUTH_TEMPORARY);
	}
}

static void test_the_reason_is_printable_and_bounded(void **state)
{
	static char json[8192];
	static char words[4096];

	(void)state;
	memset(words, 'w', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	snprintf(
		json, sizeof(json),
		"{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS70008: a\\nb "
		"%s\"}",
		words);
	read_text(json, 400);
	assert_non_null(strstr(answer->text, "invalid_grant: AADSTS70008: a b"));
	assert_null(strchr(answer->text, '\n'));
	assert_true(strlen(answer->text) < sizeof(answer->text));
}

static void test_the_device_flow_begins_with_code_and_place(void **state)
{
	(void)state;
	read_text("{\"device_code\":\"dc\",\"user_code\":\"ABCD-EFGH\","
		  "\"verification_uri\":\"https://p.example/device\","
		  "\"verification_uri_complete\":\"https://p.example/device?c=1\","
		  "\"expires_in\":900}",
		  200);
	assert_int_equal(answer->verdict, OAUTH_GRANTED);
	assert_string_equal(answer->device_code.at, "dc");
	assert_string_equal(answer->user_code, "ABCD-EFGH");
	assert_string_equal(answer->verification_uri, "https://p.example/device");
	assert_string_equal(answer->verification_uri_complete,
			    "https://p.example/device?c=1");
	assert_int_equal(answer->expires_s, 900);
	assert_int_equal(answer->interval_s, 0);
}

static void test_a_user_code_that_would_move_a_cursor_is_refused(void **state)
{
	(void)state;
	read_text("{\"device_code\":\"dc\",\"user_code\":\"A\\u001b[2J\","
		  "\"verification_uri\":\"https://p.example/device\"}",
		  200);
	assert_int_equal(answer->verdict, OAUTH_TEMPORARY);
}

static void test_discovery_names_the_endpoints(void **state)
{
	struct answer_endpoints *found = memory_new(sizeof(*found));

	(void)state;
	assert_true(answer_read_discovery(
		bytes_of("{\"issuer\":\"https://p.example\",\"token_endpoint\":"
			 "\"https://p.example/token\",\"device_authorization_endpoint\":"
			 "\"https://p.example/device/auth\"}"),
		found));
	assert_string_equal(found->issuer, "https://p.example");
	assert_string_equal(found->token, "https://p.example/token");
	assert_string_equal(found->device, "https://p.example/device/auth");
	assert_string_equal(found->revocation, "");
	assert_false(found->says_issuer);
	assert_true(answer_read_discovery(
		bytes_of("{\"issuer\":\"https://p.example\",\"token_endpoint\":"
			 "\"https://p.example/token\","
			 "\"authorization_response_iss_parameter_supported\":true}"),
		found));
	assert_true(found->says_issuer);
	assert_false(answer_read_discovery(bytes_of("{\"issuer\":\"x\"}"), found));
	free(found);
}

/* A token as a provider makes it; its signature is not looked at. */
static struct buffer token_of(const char *claims)
{
	struct buffer token;

	buffer_init(&token, 8192);
	assert_true(buffer_append(&token, bytes_of("e30.")));
	const size_t begin = token.len;
	assert_true(base64_encode(bytes_of(claims), &token));
	while (token.data[token.len - 1] == '=') {
		token.len--;
	}
	for (size_t i = begin; i < token.len; i++) {
		token.data[i] = token.data[i] == '+'   ? '-'
				: token.data[i] == '/' ? '_'
						       : token.data[i];
	}
	assert_true(buffer_append(&token, bytes_of(".c2ln")));
	return token;
}

static const struct answer_expected expected = {
	.issuer = "https://login.example/*/v2.0",
	.client_id = "client-1",
	.nonce = "n-1",
	.claim = "preferred_username",
	.now_s = 1000000,
};

/* NULL: it is fine, and `who` is filled. */
static const char *judge(const char *claims, char who[64])
{
	struct buffer token = token_of(claims);
	const char *why = NULL;
	const bool good = answer_identity(buffer_bytes(&token), &expected, who, 64, &why);

	assert_int_equal(good, why == NULL);
	buffer_release(&token);
	return why;
}

#define GOOD                                                                             \
	"\"aud\":\"client-1\",\"exp\":1000100,\"nonce\":\"n-1\","                        \
	"\"preferred_username\":\"joe@example.com\""

static void test_an_id_token_says_who_consented(void **state)
{
	char who[64] = "";

	(void)state;
	assert_null(judge("{\"iss\":\"https://login.example/t-1/v2.0\"," GOOD "}", who));
	assert_string_equal(who, "joe@example.com");
}

static void test_an_id_token_has_to_be_for_us_and_now(void **state)
{
	static const char *const bad[] = {
		"{\"iss\":\"https://evil.example/t-1/v2.0\"," GOOD "}",
		"{\"iss\":\"https://login.example/a/b/v2.0\"," GOOD "}",
		"{\"iss\":\"https://login.example//v2.0\"," GOOD "}",
		"{" GOOD "}",
		"{\"iss\":\"https://login.example/t/"
		"v2.0\",\"aud\":\"client-2\",\"exp\":1000100,"
		"\"nonce\":\"n-1\",\"preferred_username\":\"joe\"}",
		"{\"iss\":\"https://login.example/t/"
		"v2.0\",\"aud\":\"client-1\",\"exp\":999600,"
		"\"nonce\":\"n-1\",\"preferred_username\":\"joe\"}",
		"{\"iss\":\"https://login.example/t/"
		"v2.0\",\"aud\":\"client-1\",\"exp\":1000100,"
		"\"nonce\":\"n-2\",\"preferred_username\":\"joe\"}",
		"{\"iss\":\"https://login.example/t/"
		"v2.0\",\"aud\":\"client-1\",\"exp\":1000100,"
		"\"preferred_username\":\"joe\"}",
	};
	char who[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_non_null(judge(bad[i], who));
	}
}

static void test_an_id_token_may_name_nobody(void **state)
{
	char who[64] = "x";

	(void)state;
	assert_null(
		judge("{\"iss\":\"https://login.example/t/v2.0\",\"aud\":\"client-1\","
		      "\"exp\":1000100,\"nonce\":\"n-1\"}",
		      who));
	assert_string_equal(who, "");
}

static void test_an_audience_may_be_a_list(void **state)
{
	char who[64] = "";

	(void)state;
	assert_null(judge("{\"iss\":\"https://login.example/t/v2.0\",\"aud\":[\"x\","
			  "\"client-1\"],\"exp\":1000100,\"nonce\":\"n-1\","
			  "\"preferred_username\":\"joe\"}",
			  who));
	assert_string_equal(who, "joe");
}

static void test_an_unverified_address_proves_nothing(void **state)
{
	const struct answer_expected by_address = { .client_id = "client-1",
						    .claim = "email",
						    .now_s = 1000000 };
	struct buffer token = token_of("{\"aud\":\"client-1\",\"exp\":1000100,\"email\":"
				       "\"joe@example.com\",\"email_verified\":false}");
	const char *why = NULL;
	char who[64];

	(void)state;
	assert_false(answer_identity(buffer_bytes(&token), &by_address, who, sizeof(who),
				     &why));
	assert_non_null(why);
	buffer_release(&token);
}

static void test_what_is_no_token_is_refused(void **state)
{
	static const char *const bad[] = { "", "a", "a.b", "a.%%.c", "e30.bm90anNvbg.x" };
	const char *why;
	char who[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(answer_identity(bytes_of(bad[i]), &expected, who,
					     sizeof(who), &why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_grant_has_its_tokens_and_their_lives),
		cmocka_unit_test(test_the_end_of_a_consent_has_two_names),
		cmocka_unit_test(test_an_unverified_address_is_nobodys),
		cmocka_unit_test(test_a_number_may_come_as_text),
		cmocka_unit_test(test_a_token_with_odd_octets_is_none),
		cmocka_unit_test(test_another_token_type_is_not_used),
		cmocka_unit_test(test_each_error_code_means_an_action),
		cmocka_unit_test(test_what_is_no_json_never_kills_a_token),
		cmocka_unit_test(test_the_reason_is_printable_and_bounded),
		cmocka_unit_test(test_the_device_flow_begins_with_code_and_place),
		cmocka_unit_test(test_a_user_code_that_would_move_a_cursor_is_refused),
		cmocka_unit_test(test_discovery_names_the_endpoints),
		cmocka_unit_test(test_an_id_token_says_who_consented),
		cmocka_unit_test(test_an_id_token_has_to_be_for_us_and_now),
		cmocka_unit_test(test_an_id_token_may_name_nobody),
		cmocka_unit_test(test_an_audience_may_be_a_list),
		cmocka_unit_test(test_an_unverified_address_proves_nothing),
		cmocka_unit_test(test_what_is_no_token_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
