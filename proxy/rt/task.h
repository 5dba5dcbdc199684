/*
 * Tasks: stackful coroutines over one libuv loop. A task is a function that reads from
 * top to bottom; where it has to wait, it calls a SUSPENDS function and others run.
 *
 * One loop, one thread, no locks: between two SUSPENDS calls nothing else changes.
 * Cancelling a task makes its current and every later SUSPENDS call fail with
 * FAILURE_CANCELLED; the task unwinds by itself. A suspended task is never destroyed.
 */
#ifndef PROXY_RT_TASK_H
#define PROXY_RT_TASK_H

#include "proxy/base/failure.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Marks a function that may suspend, in declaration and definition. A lint test refuses
 * a call of one from a function that is not marked.
 */
#ifdef __clang__
#define SUSPENDS __attribute__((annotate("suspends")))
#else
#define SUSPENDS
#endif

#define DEADLINE_NEVER UINT64_MAX

struct task;
typedef void (*task_fn)(void *argument);

/* The process's loop. loop_open() once, before anything else of rt. */
void loop_open(void);
/* Runs until nothing is left to run. */
void loop_run(void);
/* Frees the pooled stacks and the loop; call after loop_run(). */
void loop_close(void);

/* Milliseconds on the loop's monotonic clock: what every deadline_ms is measured by. */
uint64_t loop_now_ms(void);
/* now + ms, saturating. */
uint64_t loop_deadline_ms(uint64_t ms);

/*
 * Runs fn on a stack of its own, at once, until it suspends or returns. The task ends
 * when fn returns, and the handle with it.
 */
struct task *task_start(task_fn fn, void *argument);

/*
 * The same, but the handle stays good until task_join() has returned, which somebody has
 * to call: for who cancels or joins a task that may have ended meanwhile.
 */
struct task *task_start_child(task_fn fn, void *argument);

struct task *task_self(void); // NULL outside of tasks

void task_cancel(struct task *task);

/* Was this task cancelled? */
bool task_is_cancelled(void);

/* False: cancelled before the deadline came. */
SUSPENDS bool task_sleep_until(uint64_t deadline_ms);

/*
 * Give the stack pages below this frame back to the system. Called before a long wait,
 * with little on the stack.
 */
void task_trim_stack(void);

/* The deepest any stack has been, in bytes, since the start. */
size_t task_stack_high_water(void);

/* Tasks that have started and not yet ended. */
size_t task_count(void);

/*
 * A gate: tasks wait at it until somebody opens it; those waiting at that moment pass.
 * Zeroed is valid. Lives as long as anybody waits.
 */
struct gate {
	struct gate_waiter *first; // in the order they came
};

/* FAILURE_TIMEOUT, FAILURE_CANCELLED. */
SUSPENDS bool gate_wait(struct gate *gate, uint64_t deadline_ms, struct failure *failure);
void gate_open(struct gate *gate);

/*
 * Suspends until the task has ended. Not to be cancelled itself. One joiner a task. For a
 * task of task_start(): only while it has not ended.
 */
SUSPENDS void task_join(struct task *task);

/*
 * Wait for one of the signals (0-terminated list). Returns its number, 0 when
 * cancelled. Several tasks may wait, each for signals of its own.
 */
SUSPENDS int signal_wait(const int *signals);

/* From now on these are not lost before somebody waits for them. */
void signal_expect(const int *signals);

#endif
