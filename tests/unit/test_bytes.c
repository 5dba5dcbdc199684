#include "protocol/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_keywords_come_in_any_case(void **state)
{
	(void)state;
	assert_true(bytes_is_keyword(bytes_of("quit"), "QUIT"));
	assert_true(bytes_is_keyword(bytes_of("QuIt"), "QUIT"));
	assert_false(bytes_is_keyword(bytes_of("QUITX"), "QUIT"));
	assert_false(bytes_is_keyword(bytes_of("QUI"), "QUIT"));
	assert_true(bytes_has_prefix(bytes_of("bearer x"), "BEARER "));
	assert_false(bytes_has_prefix(bytes_of("bear"), "BEARER "));
}

static void test_only_letters_have_case(void **state)
{
	(void)state;
	assert_false(bytes_is_keyword(bytes_of("{"), "["));
	assert_false(bytes_is_keyword(bytes_of("\xe1"), "\xc1"));
}

static void test_empty_runs_are_equal_wherever_they_point(void **state)
{
	(void)state;
	assert_true(bytes_equal((struct bytes){ 0 }, bytes_of("")));
	assert_false(bytes_equal((struct bytes){ 0 }, bytes_of("a")));
	assert_true(
		bytes_equal((struct bytes){ "a\0b", 3 }, (struct bytes){ "a\0b", 3 }));
	assert_false(
		bytes_equal((struct bytes){ "a\0b", 3 }, (struct bytes){ "a\0c", 3 }));
}

static void test_skip_stops_at_the_end(void **state)
{
	struct bytes text = bytes_of("abc");

	(void)state;
	bytes_skip(&text, 2);
	assert_true(bytes_equal(text, bytes_of("c")));
	bytes_skip(&text, 9);
	assert_int_equal(text.len, 0);
}

static void test_a_word_takes_one_space_with_it(void **state)
{
	struct bytes rest = bytes_of("PASS  a b ");

	(void)state;
	assert_true(bytes_equal(bytes_take_word(&rest), bytes_of("PASS")));
	assert_true(bytes_equal(rest, bytes_of(" a b ")));
	assert_int_equal(bytes_take_word(&rest).len, 0);
	assert_true(bytes_equal(bytes_take_word(&rest), bytes_of("a")));
	assert_true(bytes_equal(bytes_take_word(&rest), bytes_of("b")));
	assert_int_equal(rest.len, 0);
	assert_int_equal(bytes_take_word(&rest).len, 0);
}

static void test_numbers_are_taken_up_to_their_limits(void **state)
{
	struct bytes rest = bytes_of("0 7 4294967295 18446744073709551615");
	uint32_t small;
	uint64_t large;

	(void)state;
	assert_true(bytes_take_u32(&rest, &small));
	assert_int_equal(small, 0);
	assert_true(bytes_take_u32(&rest, &small));
	assert_int_equal(small, 7);
	assert_true(bytes_take_u32(&rest, &small));
	assert_int_equal(small, UINT32_MAX);
	assert_true(bytes_take_u64(&rest, &large));
	assert_true(large == UINT64_MAX);
	assert_int_equal(rest.len, 0);
}

static void test_what_is_no_plain_number_is_refused_and_left(void **state)
{
	const char *bad[] = { "",
			      " 1",
			      "+1",
			      "-1",
			      "01",
			      "00",
			      "0x1",
			      "1a",
			      "1.",
			      "1\t",
			      "18446744073709551616",
			      "99999999999999999999",
			      NULL };

	(void)state;
	for (size_t i = 0; bad[i]; i++) {
		struct bytes rest = bytes_of(bad[i]);
		uint64_t number = 42;

		assert_false(bytes_take_u64(&rest, &number));
		assert_int_equal(rest.len, bytes_of(bad[i]).len);
		assert_int_equal(number, 42);
	}
}

static void test_32_bits_do_not_wrap(void **state)
{
	const char *bad[] = { "4294967296", "4294967297", "42949672950",
			      "18446744073709551617", NULL };
	uint32_t number;

	(void)state;
	for (size_t i = 0; bad[i]; i++) {
		struct bytes rest = bytes_of(bad[i]);

		assert_false(bytes_take_u32(&rest, &number));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords_come_in_any_case),
		cmocka_unit_test(test_only_letters_have_case),
		cmocka_unit_test(test_empty_runs_are_equal_wherever_they_point),
		cmocka_unit_test(test_skip_stops_at_the_end),
		cmocka_unit_test(test_a_word_takes_one_space_with_it),
		cmocka_unit_test(test_numbers_are_taken_up_to_their_limits),
		cmocka_unit_test(test_what_is_no_plain_number_is_refused_and_left),
		cmocka_unit_test(test_32_bits_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
