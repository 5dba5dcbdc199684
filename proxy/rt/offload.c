#include "proxy/rt/offload.h"

#include "proxy/rt/wait.h"

#include <assert.h>

struct job {
	uv_work_t request;
	void (*work)(void *argument);
	void *argument;
	struct task *waiter;
	bool done;
};

/* On the other thread. */
static void run(uv_work_t *request)
{
	const struct job *job = request->data;

	job->work(job->argument);
}

static void on_done(uv_work_t *request, int status)
{
	struct job *job = request->data;

	assert(status == 0); // nobody cancels it
	(void)status;
	job->done = true;
	task_wake(job->waiter);
}

SUSPENDS void offload(void (*work)(void *argument), void *argument)
{
	struct job job = { .work = work, .argument = argument, .waiter = task_self() };

	job.request.data = &job;
	const int failed = uv_queue_work(loop_uv(), &job.request, run, on_done);

	assert(!failed);
	(void)failed;
	while (!job.done) {
		task_park();
	}
}
