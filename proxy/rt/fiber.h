/*
 * What a task runs on: a stack of its own and the switch to and from it (ucontext).
 * Stacks are mapped with a guard page below, pooled, and known to the sanitizers and to
 * valgrind. Only for task.c.
 */
#ifndef PROXY_RT_FIBER_H
#define PROXY_RT_FIBER_H

#include <stddef.h>

struct fiber;

/* Ready to run fn; the first fiber_resume() enters it. */
struct fiber *fiber_new(void (*fn)(void *), void *argument);

/* Runs the fiber until it suspends or its function returns. */
void fiber_resume(struct fiber *fiber);

/* Back to whoever resumed this fiber, which is the running one. */
void fiber_suspend(struct fiber *fiber);

/* The fiber's function has returned. */
void fiber_free(struct fiber *fiber);

/* Give the pages below the caller's frame back to the system; fiber is the running one.
 */
void fiber_trim(struct fiber *fiber);

/* The deepest stack seen when one was trimmed or freed, in bytes. */
size_t fiber_high_water(void);

void fiber_pool_free(void);

#endif
