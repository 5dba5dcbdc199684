#include "protocol/pop3_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char storage[8];

/* The one line of input, fed in two pieces cut at every place. */
static void expect_cut_anywhere(struct bytes input, enum pop3_line_result result,
				const char *wanted)
{
	for (size_t cut = 0; cut < input.len; cut++) {
		struct bytes first = { input.at, cut };
		struct bytes second = { input.at + cut, input.len - cut };
		struct bytes text = { 0 };
		struct pop3_line line;

		pop3_line_init(&line, storage, sizeof(storage));
		assert_int_equal(pop3_line_next(&line, &first, &text),
				 POP3_LINE_NEED_INPUT);
		assert_int_equal(first.len, 0);
		assert_int_equal(pop3_line_next(&line, &second, &text), result);
		assert_int_equal(second.len, 0);
		assert_true(bytes_equal(text, bytes_of(wanted)));
	}
}

static void expect(const char *input, enum pop3_line_result result, const char *wanted)
{
	expect_cut_anywhere(bytes_of(input), result, wanted);
}

static void test_cr_lf_and_bare_lf_end_a_line(void **state)
{
	(void)state;
	expect("NOOP\r\n", POP3_LINE_READY, "NOOP");
	expect("NOOP\n", POP3_LINE_READY, "NOOP");
	expect("\r\n", POP3_LINE_READY, "");
	expect("\n", POP3_LINE_READY, "");
}

static void test_a_line_as_long_as_the_storage_is_taken(void **state)
{
	(void)state;
	expect("12345678\r\n", POP3_LINE_READY, "12345678");
	expect("12345678\n", POP3_LINE_READY, "12345678");
}

static void test_a_longer_line_is_skipped_to_its_end(void **state)
{
	(void)state;
	expect("123456789\r\n", POP3_LINE_TOO_LONG, "");
	expect("123456789 and much, much more\n", POP3_LINE_TOO_LONG, "");
}

static void test_control_octets_spoil_the_line(void **state)
{
	(void)state;
	expect("a\tb\r\n", POP3_LINE_BAD_OCTET, "");
	expect("a\x7f\r\n", POP3_LINE_BAD_OCTET, "");
	expect("\x1b\n", POP3_LINE_BAD_OCTET, "");
	expect_cut_anywhere((struct bytes){ "a\0b\r\n", 5 }, POP3_LINE_BAD_OCTET, "");
}

static void test_a_cr_that_no_lf_follows_is_a_control_octet(void **state)
{
	(void)state;
	expect("a\rb\r\n", POP3_LINE_BAD_OCTET, "");
	expect("a\r\r\n", POP3_LINE_BAD_OCTET, "");
}

static void test_8_bit_octets_are_part_of_the_line(void **state)
{
	(void)state;
	expect("\x80\xc3\xa4\xff\r\n", POP3_LINE_READY, "\x80\xc3\xa4\xff");
}

static void test_lines_in_one_segment_come_one_by_one(void **state)
{
	struct bytes input = bytes_of("one\r\n123456789\r\nt\two\nthree\r\nfo");
	struct bytes text;
	struct pop3_line line;

	(void)state;
	pop3_line_init(&line, storage, sizeof(storage));
	assert_int_equal(pop3_line_next(&line, &input, &text), POP3_LINE_READY);
	assert_true(bytes_equal(text, bytes_of("one")));
	assert_int_equal(pop3_line_next(&line, &input, &text), POP3_LINE_TOO_LONG);
	assert_int_equal(pop3_line_next(&line, &input, &text), POP3_LINE_BAD_OCTET);
	assert_int_equal(pop3_line_next(&line, &input, &text), POP3_LINE_READY);
	assert_true(bytes_equal(text, bytes_of("three")));
	assert_int_equal(pop3_line_next(&line, &input, &text), POP3_LINE_NEED_INPUT);
	assert_int_equal(line.len, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cr_lf_and_bare_lf_end_a_line),
		cmocka_unit_test(test_a_line_as_long_as_the_storage_is_taken),
		cmocka_unit_test(test_a_longer_line_is_skipped_to_its_end),
		cmocka_unit_test(test_control_octets_spoil_the_line),
		cmocka_unit_test(test_a_cr_that_no_lf_follows_is_a_control_octet),
		cmocka_unit_test(test_8_bit_octets_are_part_of_the_line),
		cmocka_unit_test(test_lines_in_one_segment_come_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
