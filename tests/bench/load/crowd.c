#include "tests/bench/load/crowd.h"
#include "tests/bench/load/report.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SESSIONS_MAX 1000000

static struct {
	const struct options *options;
	session_fn session;
	double *taken_s; // of each session; 0: not run
	long max;
	double start_s, end_s;
	atomic_long next, errors, done;
} crowd;

static void sleep_until(double when_s)
{
	const struct timespec when = {
		.tv_sec = (time_t)when_s,
		.tv_nsec = (long)((when_s - (double)(time_t)when_s) * 1e9),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) != 0) {
	}
}

/* With a rate a session's time counts from when it was due: waiting for a thread that is
 * late is waiting too. */
static double begin_s(long number)
{
	const double due_s =
		crowd.options->rate > 0
			? crowd.start_s + (double)number / crowd.options->rate
			: now_s();

	if (due_s > now_s()) {
		sleep_until(due_s);
	}
	return due_s;
}

static void count_done(void)
{
	const long done = atomic_fetch_add(&crowd.done, 1) + 1;

	if (crowd.options->progress > 0 && done % crowd.options->progress == 0) {
		printf("{\"done\": %ld}\n", done); // one write a line
		fflush(stdout);
	}
}

static void *run_sessions(void *unused)
{
	(void)unused;
	for (;;) {
		const long number = atomic_fetch_add(&crowd.next, 1);

		if (number >= crowd.max) {
			return NULL;
		}
		const double before = begin_s(number);

		if (before > crowd.end_s) {
			return NULL;
		}
		if (!crowd.session(crowd.options, number)) {
			atomic_fetch_add(&crowd.errors, 1);
		}
		crowd.taken_s[number] = now_s() - before;
		count_done();
	}
}

static void run_threads(long count)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));

	for (long i = 0; threads && i < count; i++) {
		if (pthread_create(&threads[i], NULL, run_sessions, NULL) != 0) {
			report_failure("no thread", "");
		}
	}
	for (long i = 0; threads && i < count; i++) {
		pthread_join(threads[i], NULL);
	}
	free(threads);
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Ascending, those that ran only. Returns how many. */
static long sort_taken(void)
{
	long count = 0;

	for (long i = 0; i < crowd.max; i++) {
		if (crowd.taken_s[i] > 0) {
			crowd.taken_s[count++] = crowd.taken_s[i];
		}
	}
	qsort(crowd.taken_s, (size_t)count, sizeof(*crowd.taken_s), by_size);
	return count;
}

int crowd_run(const struct options *options, session_fn session)
{
	const double start_s = now_s();

	crowd.next = crowd.errors = crowd.done = 0;
	crowd.start_s = start_s;
	crowd.options = options;
	crowd.session = session;
	crowd.max = options->sessions > 0 ? options->sessions : SESSIONS_MAX;
	crowd.end_s = options->seconds > 0 ? start_s + options->seconds : 1e300;
	crowd.taken_s = calloc((size_t)crowd.max, sizeof(*crowd.taken_s));
	if (!crowd.taken_s) {
		report_failure("out of memory", "");
	}
	run_threads(options->conc);

	const double total_s = now_s() - start_s;
	const long count = sort_taken();

	report_number("sessions", (double)count);
	report_number("errors", (double)crowd.errors);
	report_number("t_total", total_s);
	report_number("sessions_s", (double)count / total_s);
	if (count > 0) {
		report_number("p50", crowd.taken_s[count / 2]);
		report_number("p99", crowd.taken_s[count * 99 / 100]);
		report_number("max", crowd.taken_s[count - 1]);
	}
	report_end();
	free(crowd.taken_s);
	return crowd.errors > 0 ? 1 : 0;
}
