/*
 * What a page is made of: one look at everything.
 */
#ifndef PROXY_WEB_VIEW_H
#define PROXY_WEB_VIEW_H

#include "protocol/buffer.h"
#include "proxy/config/config.h"
#include "proxy/web/health.h"
#include "proxy/web/history.h"

struct view {
	const struct config *config;
	const struct metrics_values *now;
	const struct history *history;
	struct health health;
	uint64_t now_s; // Unix time
};

/* What was counted in the last half hour to hour: since history_since_s(). */
uint64_t view_recent(const struct view *view, const uint64_t *counted);

/* Sessions of clients, in whatever state. */
uint64_t view_sessions(const struct view *view);

/* A failure and a session's end in words that need no manual. */
const char *view_failure_words(enum failure_kind kind);
const char *view_end_words(enum session_end end);
const char *view_state_words(enum metrics_state state);
extern const char *const view_step_names[METRICS_STEPS];

/*
 * The time, in milliseconds, below which `percent` of a histogram's steps stayed, read
 * off its buckets; only what was counted recently. False: nothing was counted.
 */
bool view_percentile(const struct view *view, const struct metrics_histogram *histogram,
		     unsigned percent, uint64_t *ms);

/* "3 d 4 h", "12 min", "45 s". */
void view_write_duration(struct buffer *out, uint64_t seconds);
/* "1.4 GiB", "830 B". */
void view_write_octets(struct buffer *out, uint64_t octets);
/* "12 345", with no-break spaces (UTF-8). */
void view_write_count(struct buffer *out, uint64_t count);
/* "17:05". */
void view_write_clock(struct buffer *out, uint64_t unix_s);

/* Whole days until then, negative once it is over. */
int64_t view_days_left(const struct view *view, uint64_t until_s);

#endif
