/*
 * The life of a task: started (runs at once) -> suspended -> ready (woken, in the queue)
 * -> running -> ... -> ended (function returned, its timer is closing) -> freed.
 *
 * The first reason to wake wins; what comes while a task is ready changes nothing, except
 * that a cancellation is kept for the next wait.
 */
#include "proxy/rt/task.h"

#include "proxy/base/memory.h"
#include "proxy/rt/fiber.h"
#include "proxy/rt/stream_buffer.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <stdlib.h>

#define TURNS_MAX 32 // system calls in a row
#define CROWD_MIN 16 // tasks whose memory is worth giving back

enum task_state {
	TASK_RUNNING,
	TASK_SUSPENDED, // cancellation and the deadline wake it
	TASK_PARKED,    // only task_wake() does
	TASK_READY,
	TASK_ENDED,
	TASK_CLOSED, // and libuv has let go of the timer
};

struct task {
	enum task_state state;
	enum wake wake; // why it was woken
	bool is_cancelled;
	bool is_child; // freed by who joins it
	unsigned turns;
	task_fn fn;
	void *argument;
	struct fiber *fiber;
	struct task *starter;    // the task that runs on when this one suspends
	struct task *next_ready; // in the ready queue
	struct task *joiner;
	uv_timer_t timer;
};

struct gate_waiter {
	struct task *task;
	struct gate_waiter *next;
	bool passed;
};

static struct task *self;
static struct task *ready_first, *ready_last; // woken tasks, by next_ready
static size_t count;
static size_t crowd; // the most tasks there were since memory was given back

struct task *task_self(void)
{
	return self;
}

size_t task_count(void)
{
	return count;
}

size_t task_stack_high_water(void)
{
	return fiber_high_water();
}

void task_trim_stack(void)
{
	assert(self);
	fiber_trim(self->fiber);
}

bool task_is_cancelled(void)
{
	return self && self->is_cancelled;
}

/* The timer of an ended task is closed: nothing but a joiner knows the task any more. */
static void on_ended(uv_handle_t *timer)
{
	struct task *task = timer->data;
	struct task *joiner = task->joiner;
	task->state = TASK_CLOSED;
	if (!task->is_child && !joiner) {
		free(task);
	}
	task_wake(joiner);
}

static bool has_crowd_left(void)
{
	return crowd >= CROWD_MIN && count < crowd / 2;
}

/* A thousand sessions that end leave their memory in pools and in holes of the heap. */
void task_give_memory_back(void)
{
	if (has_crowd_left()) {
		crowd = count;
		fiber_pool_free();
		stream_buffer_pool_free();
		memory_give_back();
	}
}

static void resume(struct task *task)
{
	task->starter = self;
	task->state = TASK_RUNNING;
	task->turns = 0;
	self = task;
	fiber_resume(task->fiber);
	self = task->starter;
	if (task->state == TASK_ENDED) {
		fiber_free(task->fiber);
		uv_close((uv_handle_t *)&task->timer, on_ended);
		if (has_crowd_left()) {
			loop_give_memory_back_soon();
		}
	}
}

static void run(void *argument)
{
	struct task *task = argument;
	task->fn(task->argument);
	task->state = TASK_ENDED;
	count--;
}

static struct task *start(task_fn fn, void *argument, bool is_child)
{
	struct task *task = memory_new(sizeof(*task));
	task->fn = fn;
	task->argument = argument;
	task->is_child = is_child;
	uv_timer_init(loop_uv(), &task->timer);
	task->timer.data = task;
	task->fiber = fiber_new(run, task);
	count++;
	crowd = count > crowd ? count : crowd;
	resume(task);
	return task;
}

struct task *task_start(task_fn fn, void *argument)
{
	return start(fn, argument, false);
}

struct task *task_start_child(task_fn fn, void *argument)
{
	return start(fn, argument, true);
}

static void make_ready(struct task *task, enum wake why)
{
	task->wake = why;
	task->state = TASK_READY;
	task->next_ready = NULL;
	if (ready_last) {
		ready_last->next_ready = task;
	} else {
		ready_first = task;
	}
	ready_last = task;
	loop_has_ready();
}

void task_wake(struct task *task)
{
	if (task && (task->state == TASK_SUSPENDED || task->state == TASK_PARKED)) {
		make_ready(task, WAKE_EVENT);
	}
}

void task_cancel(struct task *task)
{
	task->is_cancelled = true;
	if (task->state == TASK_SUSPENDED) {
		make_ready(task, WAKE_CANCELLED);
	}
}

bool task_is_any_ready(void)
{
	return ready_first != NULL;
}

void task_run_ready(void)
{
	struct task *task = ready_first;
	ready_first = ready_last = NULL; // who is woken by these has its turn next time
	while (task) {
		struct task *next = task->next_ready;
		resume(task);
		task = next;
	}
}

static void on_deadline(uv_timer_t *timer)
{
	struct task *task = timer->data;
	if (task->state == TASK_SUSPENDED) {
		make_ready(task, WAKE_DEADLINE);
	}
}

static SUSPENDS void suspend(enum task_state state)
{
	assert(self && self->state == TASK_RUNNING);
	self->state = state;
	fiber_suspend(self->fiber);
}

SUSPENDS enum wake task_wait(uint64_t deadline_ms)
{
	struct task *task = self;
	uint64_t now = loop_now_ms();
	assert(task);
	if (task->is_cancelled) {
		return WAKE_CANCELLED;
	}
	if (deadline_ms <= now) {
		return WAKE_DEADLINE;
	}
	if (deadline_ms != DEADLINE_NEVER) {
		uv_timer_start(&task->timer, on_deadline, deadline_ms - now, 0);
	}
	suspend(TASK_SUSPENDED);
	uv_timer_stop(&task->timer);
	return task->wake;
}

SUSPENDS void task_park(void)
{
	suspend(TASK_PARKED);
}

SUSPENDS void task_give_way(void)
{
	struct task *task = self;
	if (++task->turns > TURNS_MAX) {
		make_ready(task, WAKE_EVENT);
		fiber_suspend(task->fiber);
	}
}

SUSPENDS bool task_sleep_until(uint64_t deadline_ms)
{
	enum wake why;
	do {
		why = task_wait(deadline_ms);
	} while (why == WAKE_EVENT);
	return why == WAKE_DEADLINE;
}

bool wake_check(enum wake why, const char *late, struct failure *failure)
{
	switch (why) {
	case WAKE_EVENT:
		return true;
	case WAKE_DEADLINE:
		return failure_set(failure, FAILURE_TIMEOUT, "%s", late);
	case WAKE_CANCELLED:
		return failure_set(failure, FAILURE_CANCELLED, "told to end");
	}
	return true;
}

static void gate_remove(struct gate *gate, struct gate_waiter *waiter)
{
	struct gate_waiter **at = &gate->first;
	while (*at != waiter) {
		at = &(*at)->next;
	}
	*at = waiter->next;
}

SUSPENDS bool gate_wait(struct gate *gate, uint64_t deadline_ms, struct failure *failure)
{
	struct gate_waiter waiter = { .task = self };
	struct gate_waiter **at = &gate->first;
	while (*at) {
		at = &(*at)->next;
	}
	*at = &waiter;
	enum wake why = task_wait(deadline_ms);
	if (waiter.passed) {
		return true;
	}
	gate_remove(gate, &waiter);
	return wake_check(why, "waited too long", failure);
}

void gate_open(struct gate *gate)
{
	struct gate_waiter *waiter = gate->first;
	gate->first = NULL;
	while (waiter) {
		struct gate_waiter *next = waiter->next;
		waiter->passed = true;
		task_wake(waiter->task);
		waiter = next;
	}
}

SUSPENDS void task_join(struct task *task)
{
	task->joiner = self;
	while (task->state != TASK_CLOSED) {
		task_park();
	}
	free(task);
}

static void on_closed(uv_handle_t *handle)
{
	struct task **waiting = handle->data;
	struct task *task = *waiting;
	*waiting = NULL;
	task_wake(task);
}

SUSPENDS void handle_close(uv_handle_t *handle)
{
	struct task *waiting = self;
	handle->data = &waiting;
	uv_close(handle, on_closed);
	while (waiting) {
		task_park();
	}
}
