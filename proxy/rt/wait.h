/*
 * How the files of rt suspend a task and wake it. Nothing outside of rt includes this.
 *
 * A waiter registers itself (task_self()) where a callback will find it, suspends in
 * task_wait(), and unregisters. The callback stores its result and calls task_wake(),
 * which only queues the task: it is resumed by the loop after the callbacks, so no task
 * ever runs inside a callback of libuv or c-ares or on top of another one that woke it.
 */
#ifndef PROXY_RT_WAIT_H
#define PROXY_RT_WAIT_H

#include "proxy/rt/task.h"

#include <uv.h>

enum wake { WAKE_EVENT, WAKE_DEADLINE, WAKE_CANCELLED };

/* Suspends until task_wake(), cancellation or the deadline, whichever is first. */
SUSPENDS enum wake task_wait(uint64_t deadline_ms);

/* Suspends until task_wake(), whatever else: for closing. */
SUSPENDS void task_park(void);

/*
 * Called once for each system call of a task: after many in a row the others get their
 * turn, so that a peer who never lets us wait does not own the process.
 */
SUSPENDS void task_give_way(void);

/* Nothing happens where the task (NULL is fine) is not suspended. */
void task_wake(struct task *task);

/* False, with FAILURE_TIMEOUT ("late") or FAILURE_CANCELLED, unless why is WAKE_EVENT. */
bool wake_check(enum wake why, const char *late, struct failure *failure);

/* Closes a libuv handle of the caller's; returns when libuv has let go of it. */
SUSPENDS void handle_close(uv_handle_t *handle);

uv_loop_t *loop_uv(void);

/* For loop.c: run the tasks that were woken until now. */
void task_run_ready(void);
bool task_is_any_ready(void);
/* For task.c: tell the loop that there are some. */
void loop_has_ready(void);

/* Most tasks have ended: a little later task_give_memory_back() is called, which looks
 * again. */
void loop_give_memory_back_soon(void);
void task_give_memory_back(void);

/* For tests: "127.0.0.1:5353,..." instead of resolv.conf, until NULL; kept by reference.
 */
void resolve_from(const char *servers);

/* Begin to close what resolving and signals keep for the whole process. */
void resolve_end(void);
void signal_end(void);

#endif
