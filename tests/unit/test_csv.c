#include "protocol/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* "a|b;c" for two fields in the first line, one in the second; "!" where it breaks. */
static void reads_as(const char *text, const char *want)
{
	struct csv csv;
	struct buffer field, all;
	enum csv_field kind;

	buffer_init(&field, 16);
	buffer_init(&all, 256);
	csv_init(&csv, bytes_of(text));
	while ((kind = csv_next(&csv, &field)) == CSV_FIELD || kind == CSV_LAST_FIELD) {
		buffer_append(&all, buffer_bytes(&field));
		buffer_append(&all, bytes_of(kind == CSV_FIELD ? "|" : ";"));
	}
	if (kind == CSV_MALFORMED) {
		buffer_append(&all, bytes_of("!"));
	}
	buffer_append(&all, (struct bytes){ "", 1 });
	assert_string_equal(all.data, want);
	buffer_release(&field);
	buffer_release(&all);
}

static void test_fields_and_lines(void **state)
{
	(void)state;
	reads_as("", "");
	reads_as("a", "a;");
	reads_as("a,b\nc,d\n", "a|b;c|d;");
	reads_as("a,b\r\nc,d", "a|b;c|d;");
	reads_as(",\n", "|;");
	reads_as("\n", ";");
}

static void test_quotes_keep_commas_quotes_and_line_breaks(void **state)
{
	(void)state;
	reads_as("\"a,b\",c\n", "a,b|c;");
	reads_as("\"say \"\"x\"\"\"", "say \"x\";");
	reads_as("\"a\nb\",c", "a\nb|c;");
	reads_as("\"\",\"\"", "|;");
}

static void test_what_is_malformed_is_said(void **state)
{
	(void)state;
	reads_as("\"a", "!");
	reads_as("\"a\"b", "!");
	reads_as("a\"b", "!");
	reads_as("a\rb", "!");
	reads_as("0123456789abcdefg", "!");
	reads_as("\"0123456789abcdefg\"", "!");
}

static void test_a_nul_is_malformed(void **state)
{
	struct csv csv;
	struct buffer field;

	(void)state;
	buffer_init(&field, 16);
	csv_init(&csv, (struct bytes){ "a\0b", 3 });
	assert_int_equal(csv_next(&csv, &field), CSV_MALFORMED);
	buffer_release(&field);
}

static void test_lines_are_counted_where_fields_begin(void **state)
{
	struct csv csv;
	struct buffer field;

	(void)state;
	buffer_init(&field, 16);
	csv_init(&csv, bytes_of("a,\"b\nc\"\nd"));
	csv_next(&csv, &field);
	assert_int_equal(csv.line, 1);
	csv_next(&csv, &field);
	assert_int_equal(csv.line, 1);
	csv_next(&csv, &field);
	assert_int_equal(csv.line, 3);
	buffer_release(&field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_and_lines),
		cmocka_unit_test(test_quotes_keep_commas_quotes_and_line_breaks),
		cmocka_unit_test(test_what_is_malformed_is_said),
		cmocka_unit_test(test_a_nul_is_malformed),
		cmocka_unit_test(test_lines_are_counted_where_fields_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
