/*
 * The last hour, as the web role saw it: rates for charts, and what had been counted half
 * an hour to an hour ago.
 */
#ifndef PROXY_WEB_HISTORY_H
#define PROXY_WEB_HISTORY_H

#include "proxy/base/metrics.h"

#include <stdbool.h>

#define HISTORY_SAMPLE_S 10
#define HISTORY_POINTS 60 // minutes

enum history_series {
	HISTORY_SESSIONS, // on average
	HISTORY_SIGN_INS, // in the minute, as all that follow
	HISTORY_MESSAGES,
	HISTORY_OCTETS,
	HISTORY_REMOVED,
	HISTORY_FAILURES,
	HISTORY_SERIES
};

struct history;

struct history *history_new(const struct metrics_values *now, uint64_t now_s);

/*
 * In a memory file of history_create(), where it goes on with what is there; as
 * history_new() where the descriptor is none that fits. One process samples at a time.
 */
struct history *history_share(int fd, const struct metrics_values *now, uint64_t now_s);
int history_create(void); // -1: errno says why
bool history_fits(int fd);

void history_free(struct history *history);

/* Every HISTORY_SAMPLE_S seconds, roughly; later is fine. */
void history_sample(struct history *history, const struct metrics_values *now,
		    uint64_t now_s);

/* The last minutes, oldest first, the running one excluded. Returns how many. */
size_t history_points(const struct history *history, enum history_series series,
		      uint64_t out[HISTORY_POINTS]);

/* When a failure of this kind, of sign-ins or sessions, was last seen; 0: never. */
uint64_t history_failed_s(const struct history *history, enum failure_kind kind);

/* What had been counted at history_since_s(). */
const struct metrics_values *history_before(const struct history *history);
uint64_t history_since_s(const struct history *history);

#endif
