#include "proxy/keeper/login_delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define DELAY_MS 60000
#define BEGIN_MS 1000000

static struct login_delay *delays;

static int open_delays(void **state)
{
	(void)state;
	delays = login_delay_new();
	return 0;
}

static int close_delays(void **state)
{
	(void)state;
	login_delay_free(delays);
	return 0;
}

static uint32_t ask(const char *account, uint64_t now_ms)
{
	return login_delay_ask(delays, bytes_of(account), DELAY_MS, now_ms);
}

static void test_a_few_may_come_at_once_and_then_no_more(void **state)
{
	(void)state;
	for (int i = 0; i < LOGIN_DELAY_BURST; i++) {
		assert_int_equal(ask("ada", BEGIN_MS), 0);
	}
	assert_int_equal(ask("ada", BEGIN_MS), DELAY_MS);
	assert_int_equal(ask("ada", BEGIN_MS + 1000), DELAY_MS - 1000);
	assert_int_equal(ask("bob", BEGIN_MS), 0);
}

static void test_each_delay_gives_one_more(void **state)
{
	(void)state;
	while (ask("ada", BEGIN_MS) == 0) {
	}
	assert_int_equal(ask("ada", BEGIN_MS + DELAY_MS - 1), 1);
	assert_int_equal(ask("ada", BEGIN_MS + DELAY_MS), 0);
	assert_int_not_equal(ask("ada", BEGIN_MS + DELAY_MS), 0);
}

static void test_the_average_holds_however_often_is_asked(void **state)
{
	int good = 0;

	(void)state;
	for (uint64_t ms = 0; ms < 100 * DELAY_MS; ms += 500) {
		good += ask("ada", BEGIN_MS + ms) == 0;
	}
	assert_in_range(good, 100, 100 + LOGIN_DELAY_BURST);
}

static void test_after_a_rest_all_is_as_in_the_beginning(void **state)
{
	(void)state;
	while (ask("ada", BEGIN_MS) == 0) {
	}
	for (int i = 0; i < LOGIN_DELAY_BURST; i++) {
		assert_int_equal(ask("ada", BEGIN_MS + 10 * DELAY_MS), 0);
	}
	assert_int_not_equal(ask("ada", BEGIN_MS + 10 * DELAY_MS), 0);
}

/* 100,000 others, who asked once each, do not make it forget who asks all the time. */
static void test_a_crowd_of_accounts_does_not_free_the_busy_one(void **state)
{
	char name[32];

	(void)state;
	while (ask("ada", BEGIN_MS) == 0) {
	}
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		assert_int_equal(ask(name, BEGIN_MS), 0);
	}
	assert_int_not_equal(ask("ada", BEGIN_MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_few_may_come_at_once_and_then_no_more, open_delays,
			close_delays),
		cmocka_unit_test_setup_teardown(test_each_delay_gives_one_more,
						open_delays, close_delays),
		cmocka_unit_test_setup_teardown(
			test_the_average_holds_however_often_is_asked, open_delays,
			close_delays),
		cmocka_unit_test_setup_teardown(
			test_after_a_rest_all_is_as_in_the_beginning, open_delays,
			close_delays),
		cmocka_unit_test_setup_teardown(
			test_a_crowd_of_accounts_does_not_free_the_busy_one, open_delays,
			close_delays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
