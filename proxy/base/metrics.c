#include "proxy/base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x706f706272696467u // "popbridg"
#define WORDS (sizeof(struct metrics_values) / sizeof(uint64_t))
#define ROUTE_NAME 256

/* Where a field of struct metrics_values begins, in words. */
#define WORD(field) (offsetof(struct metrics_values, field) / sizeof(uint64_t))
#define ROUTE_WORD(field) (offsetof(struct metrics_route, field) / sizeof(uint64_t))
#define ROUTE_WORDS (sizeof(struct metrics_route) / sizeof(uint64_t))
#define GAUGES_BEGIN WORD(gauges)
#define GAUGES_END WORD(routes)
#define ENDS (METRICS_CERTIFICATES + METRICS_PROVIDERS + 1) // when things end

typedef _Atomic uint64_t cell;

struct route_name {
	char match[ROUTE_NAME]; // longer ones are cut
	char server[ROUTE_NAME];
};

struct table {
	uint64_t magic;
	uint64_t bytes; // of the whole: another version's table has another size
	_Atomic uint32_t route_count;
	struct route_name routes[METRICS_ROUTES];
	_Atomic uint32_t used[METRICS_ROWS]; // rows that somebody counted in
	cell rows[METRICS_ROWS][WORDS];
};

_Static_assert(sizeof(struct metrics_values) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(cell) == sizeof(uint64_t), "a cell is a word");
_Static_assert(GAUGES_END == WORD(certificates_s) + ENDS, "gauges lie together");

const uint32_t metrics_bounds_ms[METRICS_BUCKETS - 1] = {
	5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000,
};

static struct table *table; // NULL: not attached
static cell *mine;          // the row of this process; NULL: none

bool metrics_create(int *fd)
{
	const uint64_t head[2] = { MAGIC, sizeof(struct table) };
	int made = memfd_create("popbridge metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (made < 0) {
		return false;
	}
	if (ftruncate(made, sizeof(struct table)) != 0 ||
	    pwrite(made, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		close(made);
		return false;
	}
	*fd = made;
	return true;
}

static bool attach(int fd, int protection)
{
	struct stat stat;
	struct table *mapped;

	if (fstat(fd, &stat) != 0) {
		return false;
	}
	if (stat.st_size != (off_t)sizeof(struct table)) {
		errno = EPROTO;
		return false;
	}
	mapped = mmap(NULL, sizeof(struct table), protection, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) {
		return false;
	}
	if (mapped->magic != MAGIC || mapped->bytes != sizeof(struct table)) {
		munmap(mapped, sizeof(struct table));
		errno = EPROTO;
		return false;
	}
	metrics_detach();
	table = mapped;
	return true;
}

bool metrics_attach(int fd)
{
	return attach(fd, PROT_READ | PROT_WRITE);
}

bool metrics_attach_reader(int fd)
{
	return attach(fd, PROT_READ);
}

void metrics_detach(void)
{
	if (table) {
		munmap(table, sizeof(*table));
	}
	table = NULL;
	mine = NULL;
}

void metrics_use_row(uint32_t row)
{
	if (!table || row >= METRICS_ROWS) {
		return;
	}
	metrics_clear_gauges(row);
	atomic_store_explicit(&table->used[row], 1, memory_order_relaxed);
	mine = table->rows[row];
}

void metrics_clear_gauges(uint32_t row)
{
	if (!table || row >= METRICS_ROWS) {
		return;
	}
	for (size_t i = GAUGES_BEGIN; i < GAUGES_END; i++) {
		atomic_store_explicit(&table->rows[row][i], 0, memory_order_relaxed);
	}
}

/* Routes ------------------------------------------------------------------------- */

static void write_name(char out[ROUTE_NAME], const char *name)
{
	const size_t len = strnlen(name, ROUTE_NAME - 1);

	memcpy(out, name, len);
	out[len] = '\0';
}

static bool is_name(const char *cut, const char *name)
{
	return strncmp(cut, name, ROUTE_NAME - 1) == 0;
}

static uint32_t route_count(void)
{
	return table ? atomic_load_explicit(&table->route_count, memory_order_acquire)
		     : 0;
}

uint32_t metrics_find_route(const char *match, const char *server)
{
	const uint32_t count = route_count();

	for (uint32_t i = 0; i < count; i++) {
		if (is_name(table->routes[i].match, match) &&
		    is_name(table->routes[i].server, server)) {
			return i;
		}
	}
	return METRICS_NO_ROUTE;
}

void metrics_add_route(const char *match, const char *server)
{
	const uint32_t count = route_count();

	if (!table || count == METRICS_ROUTES ||
	    metrics_find_route(match, server) != METRICS_NO_ROUTE) {
		return;
	}
	write_name(table->routes[count].match, match);
	write_name(table->routes[count].server, server);
	atomic_store_explicit(&table->route_count, count + 1, memory_order_release);
}

const char *metrics_route_match(uint32_t route)
{
	return route < route_count() ? table->routes[route].match : NULL;
}

const char *metrics_route_server(uint32_t route)
{
	return route < route_count() ? table->routes[route].server : NULL;
}

/* Counting ----------------------------------------------------------------------- */

/* One writer a row: no read-modify-write is needed. */
static void add_to(size_t word, uint64_t n)
{
	if (mine) {
		const uint64_t now =
			atomic_load_explicit(&mine[word], memory_order_relaxed);

		atomic_store_explicit(&mine[word], now + n, memory_order_relaxed);
	}
}

static void set(size_t word, uint64_t value)
{
	if (mine) {
		atomic_store_explicit(&mine[word], value, memory_order_relaxed);
	}
}

void metrics_count(enum metrics_counter counter)
{
	add_to(WORD(counters) + counter, 1);
}

void metrics_add(enum metrics_counter counter, uint64_t n)
{
	add_to(WORD(counters) + counter, n);
}

void metrics_set(enum metrics_gauge gauge, uint64_t value)
{
	set(WORD(gauges) + gauge, value);
}

void metrics_gauge_up(enum metrics_gauge gauge)
{
	add_to(WORD(gauges) + gauge, 1);
}

void metrics_gauge_down(enum metrics_gauge gauge)
{
	add_to(WORD(gauges) + gauge, UINT64_MAX); // minus one
}

void metrics_move(enum metrics_state *state, enum metrics_state to)
{
	if (*state != METRICS_STATE_NONE) {
		add_to(WORD(sessions) + *state, UINT64_MAX);
	}
	if (to != METRICS_STATE_NONE) {
		add_to(WORD(sessions) + to, 1);
	}
	*state = to;
}

void metrics_ended(enum session_end end)
{
	add_to(WORD(ended) + end, 1);
}

void metrics_sign_in_failed(enum failure_kind kind)
{
	add_to(WORD(sign_ins_failed) + kind, 1);
}

void metrics_refused(enum failure_kind kind)
{
	add_to(WORD(refused) + kind, 1);
}

void metrics_certificate(size_t index, uint64_t until_s)
{
	if (index < METRICS_CERTIFICATES) {
		set(WORD(certificates_s) + index, until_s);
	}
}

void metrics_provider(size_t index, uint64_t until_s)
{
	if (index < METRICS_PROVIDERS) {
		set(WORD(providers_s) + index, until_s);
	}
}

void metrics_consent(uint64_t until_s)
{
	set(WORD(consent_s), until_s);
}

static uint64_t unix_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

static size_t route_word(uint32_t route)
{
	return WORD(routes) + route * ROUTE_WORDS;
}

void metrics_upstream_opened(uint32_t route)
{
	if (mine && route < METRICS_ROUTES) {
		add_to(route_word(route) + ROUTE_WORD(opened), 1);
		set(route_word(route) + ROUTE_WORD(last_good_s), unix_now_s());
	}
}

/* A server that judges a password or an account, and says no, is in good health. */
static bool is_a_users(enum metrics_step step, enum failure_kind kind)
{
	return step >= METRICS_STEP_SIGN_IN &&
	       (kind == FAILURE_AUTH || kind == FAILURE_PERMANENT);
}

void metrics_upstream_failed(uint32_t route, enum metrics_step step,
			     enum failure_kind kind)
{
	if (!mine || route >= METRICS_ROUTES || kind == FAILURE_IN_USE ||
	    kind == FAILURE_CANCELLED) {
		return; // ours
	}
	add_to(route_word(route) + ROUTE_WORD(failed) + kind, 1);
	set(route_word(route) + (is_a_users(step, kind) ? ROUTE_WORD(last_good_s)
							: ROUTE_WORD(last_failed_s)),
	    unix_now_s());
}

void metrics_upstream_slowed_down(uint32_t route)
{
	if (mine && route < METRICS_ROUTES) {
		add_to(route_word(route) + ROUTE_WORD(slowed_down), 1);
		set(route_word(route) + ROUTE_WORD(last_slowed_s), unix_now_s());
	}
}

void metrics_upstream_held_back(uint32_t route)
{
	if (mine && route < METRICS_ROUTES) {
		add_to(route_word(route) + ROUTE_WORD(held_back), 1);
	}
}

static size_t bucket_of(uint64_t ms)
{
	size_t bucket = 0;

	while (bucket < METRICS_BUCKETS - 1 && ms > metrics_bounds_ms[bucket]) {
		bucket++;
	}
	return bucket;
}

void metrics_step(uint32_t route, enum metrics_step step, uint64_t ms)
{
	const size_t words = sizeof(struct metrics_histogram) / sizeof(uint64_t);
	const size_t word = route_word(route) + ROUTE_WORD(steps) + step * words;

	if (mine && route < METRICS_ROUTES) {
		add_to(word + bucket_of(ms), 1);
		add_to(word + METRICS_BUCKETS, ms);
	}
}

/* Reading ------------------------------------------------------------------------ */

/* What the rows say about one thing, together. */
enum sum { SUM_ALL, SUM_EARLIEST, SUM_LATEST };

static uint64_t sum_up(uint64_t a, uint64_t b, enum sum how)
{
	switch (how) {
	case SUM_ALL:
		return a + b;
	case SUM_EARLIEST:
		return a == 0 || (b > 0 && b < a) ? b : a;
	case SUM_LATEST:
		return a > b ? a : b;
	}
	return a;
}

static void read_words(struct metrics_values *out, size_t word, size_t count,
		       enum sum how)
{
	uint64_t *words = (uint64_t *)out;

	memset(&words[word], 0, count * sizeof(*words));
	for (size_t row = 0; table && row < METRICS_ROWS; row++) {
		if (!atomic_load_explicit(&table->used[row], memory_order_relaxed)) {
			continue; // or reading would make its pages
		}
		for (size_t i = word; i < word + count; i++) {
			const uint64_t now = atomic_load_explicit(&table->rows[row][i],
								  memory_order_relaxed);

			words[i] = sum_up(words[i], now, how);
		}
	}
}

void metrics_read(struct metrics_values *out)
{
	const uint32_t count = route_count();

	memset(out, 0, sizeof(*out));
	read_words(out, 0, WORD(routes) + count * ROUTE_WORDS, SUM_ALL);
	read_words(out, WORD(certificates_s), ENDS, SUM_EARLIEST);
	for (uint32_t i = 0; i < count; i++) {
		read_words(out, route_word(i) + ROUTE_WORD(last_good_s), 1, SUM_LATEST);
		read_words(out, route_word(i) + ROUTE_WORD(last_failed_s), 1, SUM_LATEST);
		read_words(out, route_word(i) + ROUTE_WORD(last_slowed_s), 1, SUM_LATEST);
	}
}
