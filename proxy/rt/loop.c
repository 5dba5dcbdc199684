/*
 * The process's libuv loop. Woken tasks run after the callbacks of a round: in the check
 * phase for what the poll found, in the idle phase for timers and the rest. The idle
 * handle is active only while somebody is ready, and then the loop does not sleep.
 */
#include "proxy/base/log.h"
#include "proxy/rt/fiber.h"
#include "proxy/rt/stream_buffer.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <signal.h>

static uv_loop_t loop;
static uv_idle_t idle;
static uv_check_t check;
static uv_timer_t relief; // runs while memory waits to be given back

#define RELIEF_MS 2000 // a crowd that is gone may be replaced by the next one

static void on_idle(uv_idle_t *handle)
{
	task_run_ready();
	if (!task_is_any_ready()) {
		uv_idle_stop(handle);
	}
}

static void on_check(uv_check_t *handle)
{
	(void)handle;
	on_idle(&idle);
}

void loop_has_ready(void)
{
	uv_idle_start(&idle, on_idle);
}

static void on_relief(uv_timer_t *timer)
{
	(void)timer;
	task_give_memory_back();
}

void loop_give_memory_back_soon(void)
{
	if (!uv_is_active((uv_handle_t *)&relief)) {
		uv_timer_start(&relief, on_relief, RELIEF_MS, 0);
	}
}

void loop_open(void)
{
	int failed = uv_loop_init(&loop);
	if (failed) {
		log_say(LOG_ERROR, "no event loop", "%s", uv_strerror(failed));
	}
	assert(!failed);
	signal(SIGPIPE, SIG_IGN);
	uv_idle_init(&loop, &idle);
	uv_check_init(&loop, &check);
	uv_check_start(&check, on_check);
	uv_unref((uv_handle_t *)&check);
	uv_timer_init(&loop, &relief);
	uv_unref((uv_handle_t *)&relief);
}

void loop_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

void loop_close(void)
{
	resolve_end();
	signal_end();
	uv_close((uv_handle_t *)&idle, NULL);
	uv_close((uv_handle_t *)&check, NULL);
	uv_close((uv_handle_t *)&relief, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	int busy = uv_loop_close(&loop);
	assert(!busy && "a task left a handle open");
	(void)busy;
	fiber_pool_free();
	stream_buffer_pool_free();
}

uv_loop_t *loop_uv(void)
{
	return &loop;
}

uint64_t loop_now_ms(void)
{
	uv_update_time(&loop);
	return uv_now(&loop);
}

uint64_t loop_deadline_ms(uint64_t ms)
{
	uint64_t now = loop_now_ms();
	return ms > DEADLINE_NEVER - now ? DEADLINE_NEVER : now + ms;
}
