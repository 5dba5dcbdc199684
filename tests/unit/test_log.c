#include "proxy/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What was written to standard error since capture(). */
static char captured[8192];
static int saved_stderr, pipe_end;

static void capture(void)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	pipe_end = ends[0];
}

static const char *release(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	ssize_t len = read(pipe_end, captured, sizeof(captured) - 1);
	close(pipe_end);
	captured[len > 0 ? len : 0] = '\0';
	return captured;
}

/* The line without its time, which is checked by shape. */
static const char *behind_time(const char *line, const char *before)
{
	int year, month, day, hour, minute, second, ms, end = 0;
	assert_memory_equal(line, before, strlen(before));
	line += strlen(before);
	assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month,
				&day, &hour, &minute, &second, &ms, &end),
			 7);
	assert_int_equal(end, 24);
	assert_true(year >= 2020);
	return line + end;
}

static void test_a_line_has_time_level_event_and_fields(void **state)
{
	(void)state;
	struct log_line line;
	log_setup(LOG_INFO, LOG_LOGFMT);
	capture();
	if (log_begin(&line, LOG_INFO, "session ended")) {
		log_string(&line, "user", "anna");
		log_number(&line, "retrieved", 12);
		log_seconds(&line, "seconds", 61007);
		log_end(&line);
	}
	assert_string_equal(behind_time(release(), "time="),
			    " level=info event=\"session ended\" user=anna retrieved=12"
			    " seconds=61.007\n");
}

static void test_json_lines_are_objects(void **state)
{
	(void)state;
	struct log_line line;
	log_setup(LOG_INFO, LOG_JSON);
	capture();
	if (log_begin(&line, LOG_WARNING, "odd")) {
		log_string(&line, "text", "a\"b\\c\n");
		log_number(&line, "n", UINT64_MAX);
		log_end(&line);
	}
	assert_string_equal(
		behind_time(release(), "{\"time\":\""),
		"\",\"level\":\"warning\",\"event\":\"odd\","
		"\"text\":\"a\\\"b\\\\c\\u000a\",\"n\":18446744073709551615}\n");
}

static void test_no_value_makes_a_second_field_or_line(void **state)
{
	(void)state;
	struct log_line line;
	log_setup(LOG_INFO, LOG_LOGFMT);
	capture();
	if (log_begin(&line, LOG_ERROR, "x")) {
		log_string(&line, "empty", "");
		log_string(&line, "none", NULL);
		log_string(&line, "space", "a b=c");
		log_string(&line, "quote", "a\"");
		log_text(&line, "octets", (struct bytes){ "\r\n\0\x7f\xc3", 5 });
		log_end(&line);
	}
	assert_string_equal(
		behind_time(release(), "time="),
		" level=error event=x empty=\"\" none=\"\" space=\"a b=c\""
		" quote=\"a\\\"\" octets=\"\\u000d\\u000a\\u0000\\u007f\\u00c3\"\n");
}

static void test_long_values_end_in_dots(void **state)
{
	(void)state;
	struct log_line line;
	static char value[2000];
	memset(value, 'v', sizeof(value));
	log_setup(LOG_INFO, LOG_LOGFMT);
	capture();
	assert_true(log_begin(&line, LOG_INFO, "x"));
	log_text(&line, "exact", (struct bytes){ value, LOG_VALUE_MAX });
	log_text(&line, "long", (struct bytes){ value, LOG_VALUE_MAX + 1 });
	log_end(&line);
	const char *text = release();
	const char *second = strstr(text, "v long=");
	assert_non_null(second);
	assert_int_equal(strspn(second + 7, "v"), LOG_VALUE_MAX - 3);
	assert_string_equal(second + 7 + LOG_VALUE_MAX - 3, "...\n");
}

static void test_fields_that_do_not_fit_are_left_out(void **state)
{
	(void)state;
	struct log_line line;
	char value[LOG_VALUE_MAX];
	memset(value, '\n', sizeof(value));
	log_setup(LOG_INFO, LOG_JSON);
	capture();
	assert_true(log_begin(&line, LOG_INFO, "x"));
	for (int i = 0; i < 10; i++) {
		log_text(&line, "big", (struct bytes){ value, sizeof(value) });
	}
	log_end(&line);
	const char *text = release();
	assert_true(strlen(text) <= LOG_LINE_MAX);
	assert_string_equal(strchr(text, '\n'), "\n");
	assert_non_null(strstr(text, "...\",\"truncated\":true}\n"));
}

static void test_unwanted_levels_are_not_written(void **state)
{
	(void)state;
	struct log_line line;
	log_setup(LOG_WARNING, LOG_LOGFMT);
	capture();
	assert_false(log_begin(&line, LOG_INFO, "x"));
	log_say(LOG_DEBUG, "x", "nothing");
	log_say(LOG_WARNING, "seen", "%d of %s", 1, "two words");
	assert_string_equal(behind_time(release(), "time="),
			    " level=warning event=seen message=\"1 of two words\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_time_level_event_and_fields),
		cmocka_unit_test(test_json_lines_are_objects),
		cmocka_unit_test(test_no_value_makes_a_second_field_or_line),
		cmocka_unit_test(test_long_values_end_in_dots),
		cmocka_unit_test(test_fields_that_do_not_fit_are_left_out),
		cmocka_unit_test(test_unwanted_levels_are_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
