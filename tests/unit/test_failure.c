#include "proxy/base/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_setting_returns_false_and_formats(void **state)
{
	(void)state;
	struct failure failure = { .advice = "old" };
	assert_false(failure_set(&failure, FAILURE_AUTH, "no such %s: %d", "user", 7));
	assert_int_equal(failure.kind, FAILURE_AUTH);
	assert_string_equal(failure.text, "no such user: 7");
	assert_null(failure.advice);
}

static void test_nobody_has_to_want_the_reason(void **state)
{
	(void)state;
	assert_false(failure_set(NULL, FAILURE_AUTH, "unseen"));
	assert_false(failure_prefix(NULL, "unseen"));
	assert_false(failure_advise(NULL, "unseen"));
}

static void test_a_prefix_keeps_kind_and_advice(void **state)
{
	(void)state;
	struct failure failure;
	failure_set(&failure, FAILURE_TEMPORARY, "timed out");
	failure_advise(&failure, "wait");
	assert_false(failure_prefix(&failure, "host %s", "a.example"));
	assert_string_equal(failure.text, "host a.example: timed out");
	assert_int_equal(failure.kind, FAILURE_TEMPORARY);
	assert_string_equal(failure.advice, "wait");
}

static void test_long_texts_end_in_dots(void **state)
{
	(void)state;
	struct failure failure;
	char words[1000];
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	failure_set(&failure, FAILURE_PERMANENT, "%s", words);
	assert_int_equal(strlen(failure.text), sizeof(failure.text) - 1);
	assert_string_equal(failure.text + sizeof(failure.text) - 4, "...");
	failure_prefix(&failure, "%s", "before");
	assert_memory_equal(failure.text, "before: xxx", 11);
	assert_int_equal(strlen(failure.text), sizeof(failure.text) - 1);
}

static void test_the_old_text_may_be_an_argument(void **state)
{
	(void)state;
	struct failure failure;
	failure_set(&failure, FAILURE_PROTOCOL, "inner");
	failure_set(&failure, FAILURE_PERMANENT, "outer (%s)", failure.text);
	assert_string_equal(failure.text, "outer (inner)");
}

static void test_every_kind_has_a_name(void **state)
{
	(void)state;
	for (int kind = FAILURE_AUTH; kind <= FAILURE_PROTOCOL; kind++) {
		assert_string_not_equal(failure_kind_name((enum failure_kind)kind),
					"unknown");
	}
	assert_string_equal(failure_kind_name(FAILURE_IN_USE), "in-use");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setting_returns_false_and_formats),
		cmocka_unit_test(test_nobody_has_to_want_the_reason),
		cmocka_unit_test(test_a_prefix_keeps_kind_and_advice),
		cmocka_unit_test(test_long_texts_end_in_dots),
		cmocka_unit_test(test_the_old_text_may_be_an_argument),
		cmocka_unit_test(test_every_kind_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
