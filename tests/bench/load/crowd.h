/* Many sessions at a time, a thread each, and what they took. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "tests/bench/load/options.h"

/* One session from connect to close. False: it failed. */
typedef bool (*session_fn)(const struct options *options, long number);

/*
 * Runs options->sessions of them, or as many as options->seconds allow, options->conc at
 * a time, and reports sessions, errors, t_total, sessions_s, p50, p99, max. Returns the
 * program's exit code.
 */
int crowd_run(const struct options *options, session_fn session);

#endif
