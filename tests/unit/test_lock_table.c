#include "proxy/keeper/lock_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ADA 1U // workers
#define BOB 2U

static struct lock_table *table;

static int setup(void **state)
{
	(void)state;
	table = lock_table_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lock_table_free(table);
	return 0;
}

static struct lock_answer ask(const char *key, uint32_t worker, uint32_t request,
			      enum keeper_when_locked when)
{
	return lock_table_ask(table, bytes_of(key),
			      (struct lock_ticket){ worker, request }, when, 0);
}

static enum lock_verdict refuse(const char *key, uint32_t worker)
{
	return ask(key, worker, 1, KEEPER_LOCK_REFUSE).verdict;
}

static struct lock_ticket unlock(const char *key, uint32_t worker)
{
	return lock_table_unlock(table, bytes_of(key), worker);
}

static void test_one_holder_and_free_again_when_given_back(void **state)
{
	(void)state;
	assert_int_equal(refuse("a", ADA), LOCK_GRANTED);
	assert_int_equal(refuse("a", ADA), LOCK_REFUSED);
	assert_int_equal(refuse("a", BOB), LOCK_REFUSED);
	assert_int_equal(refuse("b", BOB), LOCK_GRANTED);
	assert_int_equal(unlock("a", ADA).worker, 0);
	assert_int_equal(refuse("a", BOB), LOCK_GRANTED);
	assert_int_equal(lock_table_count(table), 2);
}

static void test_nobody_gives_back_what_another_holds(void **state)
{
	(void)state;
	assert_int_equal(refuse("a", ADA), LOCK_GRANTED);
	unlock("a", BOB);
	unlock("never seen", BOB);
	assert_int_equal(refuse("a", BOB), LOCK_REFUSED);
	assert_int_equal(lock_table_count(table), 1);
}

static void test_take_over_waits_until_the_holder_has_let_go(void **state)
{
	(void)state;
	assert_int_equal(refuse("a", ADA), LOCK_GRANTED);
	struct lock_answer answer = ask("a", BOB, 7, KEEPER_LOCK_TAKE_OVER);
	assert_int_equal(answer.verdict, LOCK_WAITS);
	assert_int_equal(answer.holder, ADA);
	assert_int_equal(answer.displaced.worker, 0);
	struct lock_ticket next = unlock("a", ADA);
	assert_int_equal(next.worker, BOB);
	assert_int_equal(next.request, 7);
	assert_int_equal(refuse("a", ADA), LOCK_REFUSED);
	assert_int_equal(unlock("a", BOB).worker, 0);
	assert_int_equal(lock_table_count(table), 0);
}

static void test_the_newest_asker_takes_the_place_of_the_one_before(void **state)
{
	(void)state;
	assert_int_equal(refuse("a", ADA), LOCK_GRANTED);
	ask("a", BOB, 7, KEEPER_LOCK_TAKE_OVER);
	struct lock_answer answer = ask("a", ADA, 8, KEEPER_LOCK_TAKE_OVER);
	assert_int_equal(answer.displaced.worker, BOB);
	assert_int_equal(answer.displaced.request, 7);
	assert_int_equal(unlock("a", ADA).request, 8);
}

static void test_a_dead_workers_locks_are_free_and_its_questions_gone(void **state)
{
	(void)state;
	char key[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		assert_int_equal(refuse(key, i % 2 ? ADA : BOB), LOCK_GRANTED);
	}
	ask("key 0", ADA, 5, KEEPER_LOCK_TAKE_OVER);  // of BOB's: he waits no more
	ask("key 1", BOB, 6, KEEPER_LOCK_TAKE_OVER);  // of ADA's: he gets it
	ask("key 3", BOB, 66, KEEPER_LOCK_TAKE_OVER); // and this
	struct lock_tickets granted = lock_table_drop_worker(table, ADA);
	assert_int_equal(granted.count, 2);
	assert_int_equal(granted.list[0].worker, BOB);
	assert_int_equal(granted.list[0].request + granted.list[1].request, 72);
	free(granted.list);
	assert_int_equal(lock_table_count(table), 502);
	assert_int_equal(refuse("key 1", ADA), LOCK_REFUSED);
	assert_int_equal(refuse("key 5", ADA), LOCK_GRANTED);
	assert_int_equal(unlock("key 0", BOB).worker, 0);
}

static void test_who_waits_too_long_is_refused(void **state)
{
	(void)state;
	assert_int_equal(refuse("a", ADA), LOCK_GRANTED);
	ask("a", BOB, 7, KEEPER_LOCK_TAKE_OVER);
	assert_int_equal(lock_table_expire(table, LOCK_WAIT_MS - 1).count, 0);
	struct lock_tickets late = lock_table_expire(table, LOCK_WAIT_MS);
	assert_int_equal(late.count, 1);
	assert_int_equal(late.list[0].request, 7);
	free(late.list);
	assert_int_equal(unlock("a", ADA).worker, 0);
}

static void test_declared_locks_count_like_granted_ones(void **state)
{
	(void)state;
	assert_true(lock_table_hold(table, bytes_of("a"), ADA));
	assert_true(lock_table_hold(table, bytes_of("a"), ADA));
	assert_false(lock_table_hold(table, bytes_of("a"), BOB));
	assert_int_equal(refuse("a", BOB), LOCK_REFUSED);
}

static void test_the_table_is_bounded(void **state)
{
	(void)state;
	char key[16];
	for (int i = 0; i < LOCK_TABLE_MAX; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_true(lock_table_hold(table, bytes_of(key), ADA));
	}
	assert_int_equal(refuse("one more", ADA), LOCK_REFUSED);
	assert_int_equal(unlock("17", ADA).worker, 0);
	assert_int_equal(refuse("one more", ADA), LOCK_GRANTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_one_holder_and_free_again_when_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_gives_back_what_another_holds,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_take_over_waits_until_the_holder_has_let_go, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_the_newest_asker_takes_the_place_of_the_one_before, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_a_dead_workers_locks_are_free_and_its_questions_gone, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_too_long_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_declared_locks_count_like_granted_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_table_is_bounded, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
