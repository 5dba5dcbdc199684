#include "proxy/web/history.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x3172756f68706f70u // "pophour1"
#define MINUTE_S 60
#define TURN_S (30 * 60)

struct point {
	uint64_t series[HISTORY_SERIES];
};

/* All of it lies in one piece, which may be shared memory. */
struct history {
	uint64_t magic;                      // 0: begun by nobody
	struct point points[HISTORY_POINTS]; // a ring
	size_t next, count;
	uint64_t minute_s;      // begin of the running minute
	uint64_t samples;       // in it
	uint64_t session_sum;   // over them
	struct point at_minute; // the counters at its begin
	struct metrics_values before, since_turn;
	uint64_t before_s, turn_s;
	uint64_t failures[METRICS_FAILURES]; // in all, when last looked at
	uint64_t failed_s[METRICS_FAILURES]; // when one was added
};

static uint64_t sum(const uint64_t *numbers, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		total += numbers[i];
	}
	return total;
}

static struct point counters(const struct metrics_values *now)
{
	return (struct point){
		.series = {
			[HISTORY_SIGN_INS] = now->counters[METRICS_SIGN_INS],
			[HISTORY_MESSAGES] = now->counters[METRICS_MESSAGES_RETRIEVED],
			[HISTORY_OCTETS] = now->counters[METRICS_OCTETS_RETRIEVED],
			[HISTORY_REMOVED] = now->counters[METRICS_MESSAGES_DELETED],
			[HISTORY_FAILURES] =
				sum(now->sign_ins_failed, METRICS_FAILURES) +
				sum(now->refused, METRICS_FAILURES),
		},
	};
}

static uint64_t failures_of(const struct metrics_values *now, size_t kind)
{
	return now->sign_ins_failed[kind] + now->refused[kind];
}

static void begin(struct history *history, const struct metrics_values *now,
		  uint64_t now_s)
{
	history->minute_s = now_s - now_s % MINUTE_S;
	history->at_minute = counters(now);
	history->before = *now;
	history->since_turn = *now;
	history->before_s = now_s;
	history->turn_s = now_s;
	for (size_t kind = 0; kind < METRICS_FAILURES; kind++) {
		history->failures[kind] = failures_of(now, kind);
	}
	history->magic = MAGIC;
}

static struct history *map(int fd, int kind)
{
	void *mapped =
		mmap(NULL, sizeof(struct history), PROT_READ | PROT_WRITE, kind, fd, 0);

	if (mapped == MAP_FAILED) {
		abort();
	}
	return mapped;
}

struct history *history_new(const struct metrics_values *now, uint64_t now_s)
{
	struct history *history = map(-1, MAP_PRIVATE | MAP_ANONYMOUS);

	begin(history, now, now_s);
	return history;
}

int history_create(void)
{
	int fd = memfd_create("popbridge-history", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, sizeof(struct history)) != 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool history_fits(int fd)
{
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 &&
	       status.st_size == (off_t)sizeof(struct history);
}

struct history *history_share(int fd, const struct metrics_values *now, uint64_t now_s)
{
	struct history *history;

	if (!history_fits(fd)) {
		return history_new(now, now_s);
	}
	history = map(fd, MAP_SHARED);
	if (history->magic != MAGIC) {
		begin(history, now, now_s);
	}
	return history;
}

void history_free(struct history *history)
{
	munmap(history, sizeof(*history));
}

static void push(struct history *history, const struct point *point)
{
	history->points[history->next] = *point;
	history->next = (history->next + 1) % HISTORY_POINTS;
	if (history->count < HISTORY_POINTS) {
		history->count++;
	}
}

/* The running minute is over: what grew in it is its point. */
static void end_minute(struct history *history, const struct metrics_values *now)
{
	const struct point at_end = counters(now);
	struct point point = { 0 };

	for (size_t i = 0; i < HISTORY_SERIES; i++) {
		point.series[i] = at_end.series[i] - history->at_minute.series[i];
	}
	if (history->samples > 0) {
		point.series[HISTORY_SESSIONS] =
			(history->session_sum + history->samples / 2) / history->samples;
	}
	push(history, &point);
	history->at_minute = at_end;
	history->samples = 0;
	history->session_sum = 0;
	history->minute_s += MINUTE_S;
}

/* A clock that was set, or a machine that slept: the chart begins anew. */
static void begin_anew(struct history *history, const struct metrics_values *now,
		       uint64_t now_s)
{
	history->count = history->next = 0;
	history->minute_s = now_s - now_s % MINUTE_S;
	history->at_minute = counters(now);
	history->samples = history->session_sum = 0;
}

static void turn(struct history *history, const struct metrics_values *now,
		 uint64_t now_s)
{
	history->before = history->since_turn;
	history->before_s = history->turn_s;
	history->since_turn = *now;
	history->turn_s = now_s;
}

static void look_for_failures(struct history *history, const struct metrics_values *now,
			      uint64_t now_s)
{
	for (size_t kind = 0; kind < METRICS_FAILURES; kind++) {
		if (failures_of(now, kind) != history->failures[kind]) {
			history->failures[kind] = failures_of(now, kind);
			history->failed_s[kind] = now_s;
		}
	}
}

void history_sample(struct history *history, const struct metrics_values *now,
		    uint64_t now_s)
{
	const uint64_t whole_s = (uint64_t)HISTORY_POINTS * MINUTE_S;

	if (now_s < history->minute_s || now_s > history->minute_s + whole_s) {
		begin_anew(history, now, now_s);
	}
	while (now_s >= history->minute_s + MINUTE_S) {
		end_minute(history, now);
	}
	look_for_failures(history, now, now_s);
	history->samples++;
	history->session_sum += sum(now->sessions, METRICS_STATES);
	if (now_s < history->turn_s || now_s - history->turn_s >= TURN_S) {
		turn(history, now, now_s);
	}
}

size_t history_points(const struct history *history, enum history_series series,
		      uint64_t out[HISTORY_POINTS])
{
	const size_t first = history->next + HISTORY_POINTS - history->count;

	for (size_t i = 0; i < history->count; i++) {
		out[i] = history->points[(first + i) % HISTORY_POINTS].series[series];
	}
	return history->count;
}

uint64_t history_failed_s(const struct history *history, enum failure_kind kind)
{
	return history->failed_s[kind];
}

const struct metrics_values *history_before(const struct history *history)
{
	return &history->before;
}

uint64_t history_since_s(const struct history *history)
{
	return history->before_s;
}
