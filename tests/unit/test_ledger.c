#include "proxy/base/ledger.h"

#include "proxy/base/census.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define JOE 0x123456789abcdef1u
#define NOW_MS ((uint64_t)1000 * LEDGER_DAY_MS)
#define MINUTE_MS ((uint64_t)60 * 1000)

static int table_fd;

static int attach(void **state)
{
	(void)state;
	return census_create(&table_fd) && census_attach(table_fd) ? 0 : -1;
}

static int detach(void **state)
{
	(void)state;
	census_detach();
	close(table_fd);
	return 0;
}

static void test_octets_are_those_of_the_last_day(void **state)
{
	(void)state;
	assert_int_equal(ledger_taken(JOE, NOW_MS), 0);
	ledger_take(JOE, 86400000, NOW_MS);
	ledger_take(JOE, 86400000, NOW_MS + 1);
	ledger_take(JOE + 1, 5, NOW_MS + 1);
	assert_int_equal(ledger_taken(JOE, NOW_MS + 2), 172800000);
	assert_int_equal(ledger_taken(JOE, NOW_MS + LEDGER_DAY_MS * 5 / 4), 129600000);
	ledger_take(JOE, 7, NOW_MS + LEDGER_DAY_MS * 3 / 2);
	assert_int_equal(ledger_taken(JOE, NOW_MS + LEDGER_DAY_MS * 3 / 2), 86400007);
	assert_int_equal(ledger_taken(JOE, NOW_MS + 2 * LEDGER_DAY_MS), 0);
	assert_int_equal(ledger_taken(JOE, NOW_MS + 3 * LEDGER_DAY_MS), 0);
}

static void test_what_one_process_takes_another_sees(void **state)
{
	int status = 1;
	const pid_t child = fork();

	(void)state;
	if (child == 0) {
		ledger_take(JOE, 9, NOW_MS);
		ledger_slow_down(JOE, 0, true, NOW_MS);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(ledger_taken(JOE, NOW_MS), 9);
	assert_true(ledger_state(JOE).paused_until_ms > NOW_MS);
}

static void test_the_first_strike_stops_reading_ahead_the_next_signing_in(void **state)
{
	struct ledger_state after;

	(void)state;
	after = ledger_slow_down(JOE, 0, false, NOW_MS);
	assert_true(after.calm_until_ms > NOW_MS + MINUTE_MS);
	assert_int_equal(after.paused_until_ms, 0);
	after = ledger_slow_down(JOE, 0, false, NOW_MS);
	assert_int_equal(after.paused_until_ms, NOW_MS + MINUTE_MS);
	after = ledger_slow_down(JOE, 0, false, NOW_MS);
	assert_int_equal(after.paused_until_ms, NOW_MS + 2 * MINUTE_MS);
	for (int i = 0; i < 100; i++) {
		after = ledger_slow_down(JOE, 0, false, NOW_MS);
	}
	assert_int_equal(after.paused_until_ms, NOW_MS + 15 * MINUTE_MS);
	assert_int_equal(ledger_state(JOE + 1).calm_until_ms, 0);
}

static void test_after_a_calm_time_strikes_are_forgotten(void **state)
{
	struct ledger_state after;

	(void)state;
	ledger_slow_down(JOE, 0, true, NOW_MS);
	ledger_slow_down(JOE, 0, true, NOW_MS);
	after = ledger_slow_down(JOE, 0, true, NOW_MS + 60 * MINUTE_MS);
	assert_int_equal(after.paused_until_ms, NOW_MS + 60 * MINUTE_MS + 30000);
}

static void test_what_the_server_suggests_holds_within_reason(void **state)
{
	(void)state;
	assert_int_equal(ledger_slow_down(1, 299961, false, NOW_MS).paused_until_ms,
			 NOW_MS + 299961);
	assert_int_equal(ledger_slow_down(2, 1, false, NOW_MS).paused_until_ms,
			 NOW_MS + 1000);
	assert_int_equal(ledger_slow_down(3, UINT64_MAX, false, NOW_MS).paused_until_ms,
			 NOW_MS + 60 * MINUTE_MS);
	assert_int_equal(ledger_slow_down(1, 5000, false, NOW_MS).paused_until_ms,
			 NOW_MS + 299961);
}

static void test_the_last_change_counts(void **state)
{
	(void)state;
	assert_int_equal(ledger_changed_ms(JOE), 0);
	ledger_note_change(JOE, NOW_MS);
	ledger_note_change(JOE, NOW_MS - 1); // of a worker that was slow
	assert_int_equal(ledger_changed_ms(JOE), NOW_MS);
	assert_int_equal(ledger_changed_ms(JOE + 1), 0);
	assert_int_equal(ledger_taken(JOE, NOW_MS), 0);
}

static void test_a_full_set_loses_who_was_used_longest_ago(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < LEDGER_WAYS; i++) {
		ledger_take(JOE + i * LEDGER_SETS, 1, NOW_MS + i);
	}
	ledger_take(JOE, 1, NOW_MS + LEDGER_WAYS);
	ledger_take(JOE + LEDGER_WAYS * LEDGER_SETS, 1, NOW_MS + 100);
	assert_int_equal(ledger_taken(JOE, NOW_MS + 100), 2);
	assert_int_equal(ledger_taken(JOE + LEDGER_SETS, NOW_MS + 100), 0);
	assert_int_equal(ledger_taken(JOE + 2 * LEDGER_SETS, NOW_MS + 100), 1);
}

static void test_without_a_census_nothing_is_known(void **state)
{
	(void)state;
	census_detach();
	ledger_take(JOE, 1, NOW_MS);
	assert_int_equal(ledger_taken(JOE, NOW_MS), 0);
	assert_int_equal(ledger_slow_down(JOE, 0, true, NOW_MS).paused_until_ms, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, attach, detach)
	const struct CMUnitTest tests[] = {
		TEST(test_octets_are_those_of_the_last_day),
		TEST(test_what_one_process_takes_another_sees),
		TEST(test_the_first_strike_stops_reading_ahead_the_next_signing_in),
		TEST(test_after_a_calm_time_strikes_are_forgotten),
		TEST(test_what_the_server_suggests_holds_within_reason),
		TEST(test_the_last_change_counts),
		TEST(test_a_full_set_loses_who_was_used_longest_ago),
		TEST(test_without_a_census_nothing_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
