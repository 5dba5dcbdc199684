#include "proxy/base/memory.h"
#include "proxy/rt/wait.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	loop_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	size_t left = task_count();
	loop_close();
	return left == 0 ? 0 : -1;
}

/* What happened, in order, as letters. */
static char story[64];

static void tell(const char *word)
{
	strncat(story, word, sizeof(story) - strlen(story) - 1);
}

static SUSPENDS void nap(void *argument)
{
	tell("a");
	assert_true(task_sleep_until(loop_deadline_ms(10)));
	tell(argument);
}

static void test_a_task_runs_at_once_until_it_suspends(void **state)
{
	(void)state;
	story[0] = '\0';
	assert_null(task_self());
	task_start(nap, "c");
	tell("b");
	assert_int_equal(task_count(), 1);
	loop_run();
	assert_string_equal(story, "abc");
	assert_int_equal(task_count(), 0);
}

static SUSPENDS void sleep_past(void *argument)
{
	uint64_t *took_ms = argument;
	uint64_t before = loop_now_ms();
	assert_true(task_sleep_until(before + 30));
	*took_ms = loop_now_ms() - before;
	assert_true(task_sleep_until(0)); // long past
}

static void test_sleep_ends_at_its_deadline(void **state)
{
	(void)state;
	uint64_t took_ms = 0;
	task_start(sleep_past, &took_ms);
	loop_run();
	assert_in_range(took_ms, 29, 2000);
}

static SUSPENDS void until_cancelled(void *argument)
{
	bool *seen = argument;
	assert_false(task_is_cancelled());
	assert_false(task_sleep_until(DEADLINE_NEVER));
	assert_true(task_is_cancelled());
	assert_false(task_sleep_until(loop_deadline_ms(10))); // and every later one
	*seen = true;
}

static SUSPENDS void cancel_another(void *argument)
{
	struct task *other = task_start_child(until_cancelled, argument);
	task_cancel(other);
	assert_false(*(bool *)argument); // only asked; it runs later
	task_join(other);
	assert_true(*(bool *)argument);
}

static void test_cancellation_fails_every_later_wait(void **state)
{
	(void)state;
	bool seen = false;
	task_start(cancel_another, &seen);
	loop_run();
	assert_true(seen);
}

struct rendezvous {
	struct gate gate;
	struct failure failure;
	bool passed;
	bool second;
};

static SUSPENDS void pass_gate(void *argument)
{
	struct rendezvous *at = argument;
	at->passed = gate_wait(&at->gate, loop_deadline_ms(50), &at->failure);
	at->second = task_sleep_until(loop_deadline_ms(1));
}

static SUSPENDS void open_then_cancel(void *argument)
{
	struct rendezvous *at = argument;
	struct task *other = task_start_child(pass_gate, at);
	gate_open(&at->gate);
	task_cancel(other); // woken already: this counts for its next wait
	task_join(other);
}

static void test_a_cancellation_after_the_wake_is_kept(void **state)
{
	(void)state;
	struct rendezvous at = { 0 };
	task_start(open_then_cancel, &at);
	loop_run();
	assert_true(at.passed);
	assert_false(at.second);
}

static void test_a_gate_nobody_opens_times_out(void **state)
{
	(void)state;
	struct rendezvous at = { 0 };
	task_start(pass_gate, &at);
	loop_run();
	assert_false(at.passed);
	assert_int_equal(at.failure.kind, FAILURE_TIMEOUT);
	assert_null(at.gate.first);
}

static SUSPENDS void cancel_at_gate(void *argument)
{
	struct task *other = task_start_child(pass_gate, argument);
	task_cancel(other);
	task_join(other);
}

static void test_a_wait_at_a_gate_can_be_cancelled(void **state)
{
	(void)state;
	struct rendezvous at = { 0 };
	task_start(cancel_at_gate, &at);
	loop_run();
	assert_false(at.passed);
	assert_int_equal(at.failure.kind, FAILURE_CANCELLED);
	assert_null(at.gate.first);
}

static struct gate queue;

static SUSPENDS void queue_up(void *argument)
{
	if (gate_wait(&queue, DEADLINE_NEVER, NULL)) {
		tell(argument);
	}
}

static SUSPENDS void leave_queue(void *argument)
{
	task_cancel(argument);
	task_sleep_until(loop_deadline_ms(5));
	gate_open(&queue);
}

static void test_a_gate_lets_in_order_of_arrival(void **state)
{
	(void)state;
	story[0] = '\0';
	task_start(queue_up, "1");
	struct task *gone = task_start(queue_up, "2");
	task_start(queue_up, "3");
	task_start(leave_queue, gone);
	loop_run();
	assert_string_equal(story, "13");
}

static SUSPENDS void join_the_ended(void *argument)
{
	struct task *child = task_start_child(nap, "b");
	task_sleep_until(loop_deadline_ms(40)); // it ends meanwhile
	assert_string_equal(story, "ab");
	task_cancel(child);
	task_join(child);
	*(bool *)argument = true;
}

static void test_a_child_that_has_ended_can_be_joined(void **state)
{
	(void)state;
	bool joined = false;
	story[0] = '\0';
	task_start(join_the_ended, &joined);
	loop_run();
	assert_true(joined);
}

static SUSPENDS void join_while_cancelled(void *argument)
{
	struct task *child = task_start_child(nap, "c");
	assert_false(task_sleep_until(DEADLINE_NEVER));
	task_join(child);
	tell(argument);
}

static void test_joining_is_not_cancelled(void **state)
{
	(void)state;
	story[0] = '\0';
	struct task *task = task_start(join_while_cancelled, "d");
	task_cancel(task);
	loop_run();
	assert_string_equal(story, "acd");
}

static int finished;

static SUSPENDS void many(void *argument)
{
	(void)argument;
	char on_stack[2000];
	for (int i = 0; i < 5; i++) {
		memset(on_stack, i + 1, sizeof(on_stack));
		assert_true(task_sleep_until(loop_deadline_ms((uint64_t)i % 3 + 1)));
		assert_int_equal(on_stack[1999], i + 1);
		task_trim_stack();
		assert_int_equal(on_stack[0], i + 1);
	}
	finished++;
}

static void test_a_thousand_tasks_share_the_loop_twice(void **state)
{
	(void)state;
	finished = 0;
	for (int round = 1; round <= 2; round++) { // the second time on used stacks
		for (int i = 0; i < 1000; i++) {
			task_start(many, NULL);
		}
		assert_int_equal(task_count(), 1000);
		loop_run();
		assert_int_equal(finished, round * 1000);
	}
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAVE_ASAN 1 // whose allocator keeps what is freed
#else
#define HAVE_ASAN 0
#endif

#define CROWD 400
#define HOLDING ((size_t)32 * 1024) // below what malloc maps by itself

static size_t resident_kib(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%*u %lu", &pages), 1);
	fclose(statm);
	return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* What is kept lies above all that is freed, as it does in a heap of many sessions. */
static SUSPENDS void hold_memory(void *argument)
{
	char *held = memory_new(HOLDING);
	char **kept = argument;
	struct failure failure;
	memset(held, 1, HOLDING);
	*kept = memory_new(64);
	gate_wait(&queue, DEADLINE_NEVER, &failure);
	free(held);
}

static void test_a_crowd_that_ends_gives_its_memory_back(void **state)
{
	(void)state;
	static char *kept[CROWD];
	for (size_t i = 0; i < CROWD; i++) {
		task_start(hold_memory, &kept[i]);
	}
	size_t crowded = resident_kib();
	gate_open(&queue);
	loop_run();
	assert_int_equal(task_count(), 0);
	task_give_memory_back();
	assert_true(HAVE_ASAN ||
		    resident_kib() + CROWD * HOLDING / 1024 * 3 / 4 < crowded);
	for (size_t i = 0; i < CROWD; i++) {
		free(kept[i]);
	}
}

static SUSPENDS void ping(void *argument)
{
	struct gate *gates = argument;
	for (int i = 0; i < 1000; i++) {
		gate_open(&gates[1]);
		assert_true(gate_wait(&gates[0], loop_deadline_ms(5000), NULL));
	}
	gate_open(&gates[1]);
}

static SUSPENDS void pong(void *argument)
{
	struct gate *gates = argument;
	for (int i = 0; i < 1000; i++) {
		assert_true(gate_wait(&gates[1], loop_deadline_ms(5000), NULL));
		gate_open(&gates[0]);
	}
}

static void test_two_tasks_wake_each_other_without_growing(void **state)
{
	(void)state;
	struct gate gates[2] = { 0 };
	task_start(pong, gates);
	task_start(ping, gates);
	loop_run();
	assert_null(gates[0].first);
	assert_null(gates[1].first);
	assert_true(task_stack_high_water() < (size_t)128 * 1024);
}

static SUSPENDS void wait_for_signals(void *argument)
{
	static const int wanted[] = { SIGUSR1, SIGUSR2, 0 };
	int *got = argument;
	got[0] = signal_wait(wanted);
	kill(getpid(), SIGUSR1);
	task_sleep_until(loop_deadline_ms(20)); // nobody waits for it meanwhile
	got[1] = signal_wait(wanted);
	got[2] = signal_wait(wanted);
}

static SUSPENDS void send_signal(void *argument)
{
	task_sleep_until(loop_deadline_ms(10));
	kill(getpid(), SIGUSR2);
	task_sleep_until(loop_deadline_ms(60));
	task_cancel(argument);
}

static void test_signals_are_waited_for_and_not_lost(void **state)
{
	(void)state;
	int got[3] = { -1, -1, -1 };
	task_start(send_signal, task_start(wait_for_signals, got));
	loop_run();
	assert_int_equal(got[0], SIGUSR2);
	assert_int_equal(got[1], SIGUSR1);
	assert_int_equal(got[2], 0);
}

static void test_deadlines_saturate(void **state)
{
	(void)state;
	assert_true(loop_deadline_ms(DEADLINE_NEVER) == DEADLINE_NEVER);
	assert_true(loop_deadline_ms(10) >= loop_now_ms());
}

#define TASK_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TASK_TEST(test_a_task_runs_at_once_until_it_suspends),
		TASK_TEST(test_sleep_ends_at_its_deadline),
		TASK_TEST(test_cancellation_fails_every_later_wait),
		TASK_TEST(test_a_cancellation_after_the_wake_is_kept),
		TASK_TEST(test_a_gate_nobody_opens_times_out),
		TASK_TEST(test_a_wait_at_a_gate_can_be_cancelled),
		TASK_TEST(test_a_gate_lets_in_order_of_arrival),
		TASK_TEST(test_a_child_that_has_ended_can_be_joined),
		TASK_TEST(test_joining_is_not_cancelled),
		TASK_TEST(test_a_thousand_tasks_share_the_loop_twice),
		TASK_TEST(test_a_crowd_that_ends_gives_its_memory_back),
		TASK_TEST(test_two_tasks_wake_each_other_without_growing),
		TASK_TEST(test_signals_are_waited_for_and_not_lost),
		TASK_TEST(test_deadlines_saturate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
