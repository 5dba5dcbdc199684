/*
 * Signals as something to wait for. A handler once installed stays, so that a signal
 * which comes while its task is busy with another is not lost.
 */
#include "proxy/rt/wait.h"

#include <assert.h>

#define WATCHES_MAX 8

struct watch {
	int number; // 0: free
	bool pending;
	struct task *waiter;
	uv_signal_t handle;
};

static struct watch watches[WATCHES_MAX];

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	struct watch *watch = handle->data;
	watch->pending = true;
	task_wake(watch->waiter);
}

static struct watch *watch_for(int number)
{
	struct watch *watch = watches;
	while (watch->number != 0 && watch->number != number) {
		watch++;
		assert(watch < watches + WATCHES_MAX);
	}
	if (watch->number == 0) {
		watch->number = number;
		watch->pending = false;
		watch->handle.data = watch;
		uv_signal_init(loop_uv(), &watch->handle);
		uv_signal_start(&watch->handle, on_signal, number);
		uv_unref((uv_handle_t *)&watch->handle);
	}
	return watch;
}

static int take_pending(const int *signals)
{
	for (; *signals != 0; signals++) {
		struct watch *watch = watch_for(*signals);
		if (watch->pending) {
			watch->pending = false;
			return *signals;
		}
	}
	return 0;
}

void signal_expect(const int *signals)
{
	for (; *signals != 0; signals++) {
		watch_for(*signals);
	}
}

static void set_waiter(const int *signals, struct task *waiter)
{
	for (; *signals != 0; signals++) {
		watch_for(*signals)->waiter = waiter;
	}
}

SUSPENDS int signal_wait(const int *signals)
{
	int number = take_pending(signals);
	enum wake why = WAKE_EVENT;
	while (number == 0 && why == WAKE_EVENT) {
		struct watch *first = watch_for(*signals);
		set_waiter(signals, task_self());
		uv_ref((uv_handle_t *)&first->handle); // who waits keeps the loop running
		why = task_wait(DEADLINE_NEVER);
		uv_unref((uv_handle_t *)&first->handle);
		set_waiter(signals, NULL);
		number = take_pending(signals);
	}
	return number;
}

void signal_end(void)
{
	for (struct watch *watch = watches; watch < watches + WATCHES_MAX; watch++) {
		if (watch->number != 0) {
			uv_close((uv_handle_t *)&watch->handle, NULL);
			watch->number = 0;
		}
	}
}
