#include "proxy/base/log_limit.h"

#include "proxy/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The clock log_limit.c sees (by -Wl,--wrap=clock_gettime). */
static time_t now_s = 1000;

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	(void)clock;
	*out = (struct timespec){ .tv_sec = now_s };
	return 0;
}

/* What was written to standard error while the function ran. */
static char written[65536];
static int saved, from;

static void capture(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	from = ends[0];
}

static const char *release(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	const ssize_t len = read(from, written, sizeof(written) - 1);
	close(from);
	written[len > 0 ? len : 0] = '\0';
	return written;
}

static unsigned allowed(const char *source, unsigned tries)
{
	unsigned count = 0;

	for (unsigned i = 0; i < tries; i++) {
		count += log_limit_allows(source);
	}
	return count;
}

static void test_a_source_has_so_many_lines_a_second(void **state)
{
	(void)state;
	now_s++;
	capture();
	const unsigned first = allowed("192.0.2.1", 1000);
	const unsigned other = allowed("192.0.2.2", 10);
	const bool more = log_limit_report();
	now_s++;
	const unsigned next = allowed("192.0.2.1", 10);
	const char *text = release();
	assert_int_equal(first, LOG_LIMIT_LINES);
	assert_int_equal(other, 10);
	assert_true(more);
	assert_int_equal(next, 10);
	assert_non_null(
		strstr(text, "event=\"lines suppressed\" peer=192.0.2.1 lines=900\n"));
	assert_null(strstr(text, "192.0.2.2"));
}

static void test_what_was_suppressed_is_said_though_nothing_follows(void **state)
{
	(void)state;
	now_s++;
	capture();
	allowed("192.0.2.9", LOG_LIMIT_LINES + 7);
	now_s++;
	const bool more = log_limit_report();
	const bool again = log_limit_report();
	const char *text = release();
	assert_false(more || again);
	const char *line = strstr(text, "peer=192.0.2.9 lines=7\n");
	assert_non_null(line);
	assert_null(strstr(line + 1, "suppressed"));
}

/* More sources than there are places: the loud ones keep theirs. */
static void test_many_quiet_sources_do_not_make_a_loud_one_forgotten(void **state)
{
	char name[32];

	(void)state;
	now_s++;
	capture();
	allowed("203.0.113.1", 500);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "10.0.%d.%d", i / 250, i % 250);
		assert_true(log_limit_allows(name));
	}
	const unsigned more = allowed("203.0.113.1", 500);
	now_s++;
	log_limit_report();
	const char *text = release();
	assert_int_equal(more, 0);
	assert_non_null(strstr(text, "peer=203.0.113.1 lines=900\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_source_has_so_many_lines_a_second),
		cmocka_unit_test(test_what_was_suppressed_is_said_though_nothing_follows),
		cmocka_unit_test(
			test_many_quiet_sources_do_not_make_a_loud_one_forgotten),
	};
	log_setup(LOG_INFO, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
