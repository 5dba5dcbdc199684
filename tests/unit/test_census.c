#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/base/census.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEBODY 0x123456789abcdef1u
#define OTHER 0x42u
#define NOW_MS ((uint64_t)1000 * CENSUS_WINDOW_MS)

static int table_fd;

static int attach_new_table(void **state)
{
	(void)state;
	return census_create(&table_fd) && census_attach(table_fd) && census_use_row(1)
		       ? 0
		       : -1;
}

static int detach(void **state)
{
	(void)state;
	census_detach();
	close(table_fd);
	return 0;
}

static void test_sessions_are_counted_by_key_and_in_all(void **state)
{
	struct census_place *one = census_enter(SOMEBODY);
	struct census_place *two = census_enter(SOMEBODY);
	struct census_place *all = census_enter(CENSUS_ALL);

	(void)state;
	assert_int_equal(census_sessions(SOMEBODY), 2);
	assert_int_equal(census_sessions(OTHER), 0);
	assert_int_equal(census_sessions(CENSUS_ALL), 1);
	census_leave(one);
	assert_int_equal(census_sessions(SOMEBODY), 1);
	census_leave(two);
	census_leave(all);
	census_leave(NULL);
	assert_int_equal(census_sessions(SOMEBODY), 0);
	assert_int_equal(census_sessions(CENSUS_ALL), 0);
}

/* A worker of its own process: counts, says so, and lives until it is killed. */
static pid_t start_worker(uint32_t row, int sessions)
{
	int ready[2];
	char octet;

	assert_int_equal(pipe(ready), 0);
	const pid_t pid = fork();

	if (pid == 0) {
		const bool good = census_attach(table_fd) && census_use_row(row);

		for (int i = 0; good && i < sessions; i++) {
			census_enter(SOMEBODY);
			census_arrived(census_enter(CENSUS_ALL), NOW_MS);
		}
		census_set_oldest(row);
		_exit(good && write(ready[1], "x", 1) == 1 ? pause() : 1);
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void kill_worker(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_the_sum_is_over_all_workers_and_the_dead_are_taken_out(void **state)
{
	const pid_t two = start_worker(2, 3);
	const pid_t three = start_worker(3, 4);

	(void)state;
	census_enter(SOMEBODY);
	assert_int_equal(census_sessions(SOMEBODY), 8);
	assert_int_equal(census_sessions(CENSUS_ALL), 7);
	assert_int_equal(census_arrivals(CENSUS_ALL, NOW_MS), 7);
	kill_worker(two);
	census_clear(2);
	assert_int_equal(census_sessions(SOMEBODY), 5);
	assert_int_equal(census_sessions(CENSUS_ALL), 4);
	kill_worker(three);
	census_clear(3);
	assert_int_equal(census_sessions(SOMEBODY), 1);
	assert_int_equal(census_sessions(CENSUS_ALL), 0);
}

static void test_a_row_begins_with_nothing(void **state)
{
	(void)state;
	census_enter(SOMEBODY);
	census_enter(CENSUS_ALL);
	assert_true(census_use_row(1));
	assert_int_equal(census_sessions(SOMEBODY), 0);
	assert_int_equal(census_sessions(CENSUS_ALL), 0);
}

/* 20,000 keys at a time in one row, ten times over: places are used again. */
static void test_many_keys_find_a_place(void **state)
{
	static struct census_place *places[20000];
	uint64_t key = 88172645463325252u; // xorshift64, as good as a keyed hash here
	size_t lost = 0;

	(void)state;
	for (int turn = 0; turn < 10; turn++) {
		for (size_t i = 0; i < 20000; i++) {
			key ^= key << 13;
			key ^= key >> 7;
			key ^= key << 17;
			places[i] = census_enter(key);
			lost += places[i] == NULL;
			assert_true(!places[i] || census_sessions(key) == 1);
		}
		for (size_t i = 0; i < 20000; i++) {
			census_leave(places[i]);
		}
	}
	assert_true(lost < 200); // 1 in 1,000
	assert_int_equal(census_sessions(key), 0);
}

static void test_arrivals_are_those_of_the_last_window(void **state)
{
	struct census_place *place = census_enter(SOMEBODY);

	(void)state;
	for (int i = 0; i < 100; i++) {
		census_arrived(place, NOW_MS + 10);
	}
	assert_int_equal(census_arrivals(SOMEBODY, NOW_MS + 20), 100);
	assert_int_equal(census_arrivals(OTHER, NOW_MS + 20), 0);
	assert_int_equal(census_arrivals(SOMEBODY, NOW_MS + CENSUS_WINDOW_MS), 100);
	assert_int_equal(census_arrivals(SOMEBODY, NOW_MS + CENSUS_WINDOW_MS +
							   CENSUS_WINDOW_MS / 2),
			 50);
	census_arrived(place, NOW_MS + CENSUS_WINDOW_MS + CENSUS_WINDOW_MS / 2);
	assert_int_equal(census_arrivals(SOMEBODY, NOW_MS + CENSUS_WINDOW_MS +
							   CENSUS_WINDOW_MS / 2),
			 51);
	assert_int_equal(
		census_arrivals(SOMEBODY, NOW_MS + (uint64_t)3 * CENSUS_WINDOW_MS), 0);
}

/* Or hanging up and coming again at once would be a way around the rate. */
static void test_arrivals_outlive_their_sessions(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct census_place *place = census_enter(SOMEBODY);

		census_arrived(place, NOW_MS);
		census_leave(place);
	}
	assert_int_equal(census_arrivals(SOMEBODY, NOW_MS), 5);
}

static void test_the_worker_with_the_oldest_newcomer_is_asked(void **state)
{
	(void)state;
	assert_true(census_is_oldest_here(100)); // nobody has any
	const pid_t two = start_worker(2, 1);

	census_set_oldest(1); // older than the other's
	assert_true(census_is_oldest_here(100));
	census_set_oldest(3);
	assert_false(census_is_oldest_here(2));
	assert_true(census_is_oldest_here(1)); // the other's came later than that
	census_set_oldest(0);
	assert_false(census_is_oldest_here(100));
	assert_int_equal(census_take_asked(), 0);
	kill_worker(two);
	assert_true(census_use_row(2)); // its successor hears nothing of old wishes
	assert_int_equal(census_take_asked(), 0);
}

static void test_who_was_asked_hears_how_often_once(void **state)
{
	(void)state;
	census_set_oldest(5);
	const pid_t pid = fork();

	if (pid == 0) {
		const bool good = census_attach(table_fd) && census_use_row(4) &&
				  !census_is_oldest_here(100) &&
				  !census_is_oldest_here(100);
		_exit(good ? 0 : 1);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(census_take_asked(), 2);
	assert_int_equal(census_take_asked(), 0);
}

static void test_without_a_table_nothing_is_counted(void **state)
{
	(void)state;
	assert_null(census_enter(CENSUS_ALL));
	assert_int_equal(census_sessions(CENSUS_ALL), 0);
	assert_false(census_use_row(1));
	census_clear(1);
}

static void test_what_is_no_table_is_refused(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(census_attach(ends[0]));
	assert_int_equal(errno, EPROTO);
	close(ends[0]);
	close(ends[1]);
}

static void test_a_row_that_is_none_is_refused(void **state)
{
	(void)state;
	assert_false(census_use_row(CENSUS_ROWS));
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, attach_new_table, detach)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_table_nothing_is_counted),
		cmocka_unit_test(test_what_is_no_table_is_refused),
		WITH_TABLE(test_sessions_are_counted_by_key_and_in_all),
		WITH_TABLE(test_the_sum_is_over_all_workers_and_the_dead_are_taken_out),
		WITH_TABLE(test_a_row_begins_with_nothing),
		WITH_TABLE(test_many_keys_find_a_place),
		WITH_TABLE(test_arrivals_are_those_of_the_last_window),
		WITH_TABLE(test_arrivals_outlive_their_sessions),
		WITH_TABLE(test_the_worker_with_the_oldest_newcomer_is_asked),
		WITH_TABLE(test_who_was_asked_hears_how_often_once),
		WITH_TABLE(test_a_row_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
