#include "protocol/imap_backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t said(const char *text)
{
	uint64_t ms = 42;

	return imap_backoff_parse(bytes_of(text), &ms) ? ms : 0;
}

static void test_what_a_server_suggests_is_read(void **state)
{
	(void)state;
	assert_int_equal(
		said("Request is throttled. Suggested Backoff Time: 299961 milliseconds"),
		299961);
	assert_int_equal(said("suggested backoff time:7 Milliseconds."), 7);
	assert_int_equal(said("Suggested Backoff Time: 0 milliseconds"), 0);
}

static void test_anything_else_is_no_suggestion(void **state)
{
	static const char *const texts[] = {
		"",
		"Request is throttled.",
		"Suggested Backoff Time:",
		"Suggested Backoff Time: soon",
		"Suggested Backoff Time: -5 milliseconds",
		"Suggested Backoff Time: 5",
		"Suggested Backoff Time: 5 minutes",
		"Suggested Backoff Time: 99999999999999999999999 milliseconds",
	};
	uint64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(imap_backoff_parse(bytes_of(texts[i]), &ms));
	}
	assert_int_equal(ms, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_server_suggests_is_read),
		cmocka_unit_test(test_anything_else_is_no_suggestion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
