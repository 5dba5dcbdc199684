#include "proxy/base/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x63656e7375730003u // "census", version 3
#define WAYS 8
#define SETS 8192

struct census_place {
	_Atomic uint64_t key;
	_Atomic uint32_t sessions;
	_Atomic uint32_t window; // number of the window that the next two are about
	_Atomic uint32_t now;    // arrivals in it
	_Atomic uint32_t before; // arrivals in the one before
};

struct row {
	_Atomic uint32_t used;
	_Atomic uint32_t asked; // the one field that others write
	_Atomic uint64_t oldest_ms;
	struct census_place all;
	struct census_place places[SETS * WAYS];
};

struct table {
	uint64_t magic;
	struct row rows[CENSUS_ROWS];
	struct ledger ledger;
};

static struct table *table; // NULL: not attached
static struct row *mine;    // NULL: none

bool census_create(int *fd)
{
	const uint64_t magic = MAGIC;
	int made = memfd_create("popbridge census", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (made < 0) {
		return false;
	}
	if (ftruncate(made, sizeof(struct table)) != 0 ||
	    pwrite(made, &magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		close(made);
		return false;
	}
	*fd = made;
	return true;
}

bool census_attach(int fd)
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
	mapped = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (mapped == MAP_FAILED) {
		return false;
	}
	if (mapped->magic != MAGIC) {
		munmap(mapped, sizeof(struct table));
		errno = EPROTO;
		return false;
	}
	census_detach();
	table = mapped;
	return true;
}

void census_detach(void)
{
	if (table) {
		munmap(table, sizeof(*table));
	}
	table = NULL;
	mine = NULL;
}

struct ledger *census_ledger(void)
{
	return table ? &table->ledger : NULL;
}

/* Pages of a row that was never used are not made by clearing it. */
void census_clear(uint32_t row)
{
	if (!table || row >= CENSUS_ROWS || !atomic_load(&table->rows[row].used)) {
		return;
	}
	struct row *cleared = &table->rows[row];

	atomic_store(&cleared->used, 0);
	atomic_store(&cleared->asked, 0);
	atomic_store(&cleared->oldest_ms, 0);
	atomic_store(&cleared->all.sessions, 0);
	for (size_t i = 0; i < SETS * WAYS; i++) {
		atomic_store_explicit(&cleared->places[i].sessions, 0,
				      memory_order_relaxed);
	}
}

bool census_use_row(uint32_t row)
{
	if (!table || row >= CENSUS_ROWS) {
		return false;
	}
	census_clear(row);
	mine = &table->rows[row];
	atomic_store(&mine->used, 1);
	return true;
}

/* Places ------------------------------------------------------------------------- */

static struct census_place *set_of(struct row *row, uint64_t key)
{
	return &row->places[key % SETS * WAYS];
}

static struct census_place *find(struct row *row, uint64_t key)
{
	struct census_place *set = set_of(row, key);

	if (key == CENSUS_ALL) {
		return &row->all;
	}
	for (size_t i = 0; i < WAYS; i++) {
		if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
			return &set[i];
		}
	}
	return NULL;
}

/* The one without sessions whose last arrival is longest ago; NULL: all have some. */
static struct census_place *find_free(struct row *row, uint64_t key)
{
	struct census_place *set = set_of(row, key);
	struct census_place *best = NULL;

	for (size_t i = 0; i < WAYS; i++) {
		if (atomic_load(&set[i].sessions) == 0 &&
		    (!best || atomic_load(&set[i].window) < atomic_load(&best->window))) {
			best = &set[i];
		}
	}
	return best;
}

/* A reader that looks just now may take the old key's numbers for a moment, or none. */
static void settle(struct census_place *place, uint64_t key)
{
	atomic_store(&place->key, 0);
	atomic_store(&place->window, 0);
	atomic_store(&place->now, 0);
	atomic_store(&place->before, 0);
	atomic_store(&place->key, key);
}

struct census_place *census_enter(uint64_t key)
{
	struct census_place *place = mine ? find(mine, key) : NULL;

	if (mine && !place) {
		place = find_free(mine, key);
		if (place) {
			settle(place, key);
		}
	}
	if (place) {
		atomic_store(&place->sessions, atomic_load(&place->sessions) + 1);
	}
	return place;
}

void census_leave(struct census_place *place)
{
	if (place) {
		atomic_store(&place->sessions, atomic_load(&place->sessions) - 1);
	}
}

uint32_t census_sessions(uint64_t key)
{
	uint32_t sessions = 0;

	for (size_t i = 0; table && i < CENSUS_ROWS; i++) {
		if (atomic_load(&table->rows[i].used)) {
			const struct census_place *place = find(&table->rows[i], key);

			sessions += place ? atomic_load(&place->sessions) : 0;
		}
	}
	return sessions;
}

/* Arrivals ----------------------------------------------------------------------- */

void census_arrived(struct census_place *place, uint64_t now_ms)
{
	const uint32_t window = (uint32_t)(now_ms / CENSUS_WINDOW_MS);

	if (!place) {
		return;
	}
	const uint32_t last = atomic_load(&place->window);

	if (last != window) {
		atomic_store(&place->before,
			     last + 1 == window ? atomic_load(&place->now) : 0);
		atomic_store(&place->now, 0);
		atomic_store(&place->window, window);
	}
	atomic_store(&place->now, atomic_load(&place->now) + 1);
}

/* What of the window before is still within the last so many milliseconds. */
static uint64_t share_of_last(uint64_t arrivals, uint64_t now_ms)
{
	const uint64_t left_ms = CENSUS_WINDOW_MS - now_ms % CENSUS_WINDOW_MS;

	return arrivals * left_ms / CENSUS_WINDOW_MS;
}

static uint64_t arrivals_at(const struct census_place *place, uint64_t now_ms)
{
	const uint32_t window = (uint32_t)(now_ms / CENSUS_WINDOW_MS);
	const uint32_t last = atomic_load(&place->window);
	const uint64_t arrivals = atomic_load(&place->now);

	if (last == window) {
		return arrivals + share_of_last(atomic_load(&place->before), now_ms);
	}
	return last + 1 == window ? share_of_last(arrivals, now_ms) : 0;
}

uint32_t census_arrivals(uint64_t key, uint64_t now_ms)
{
	uint64_t arrivals = 0;

	for (size_t i = 0; table && i < CENSUS_ROWS; i++) {
		if (atomic_load(&table->rows[i].used)) {
			const struct census_place *place = find(&table->rows[i], key);

			arrivals += place ? arrivals_at(place, now_ms) : 0;
		}
	}
	return (uint32_t)arrivals;
}

/* Newcomers ---------------------------------------------------------------------- */

void census_set_oldest(uint64_t since_ms)
{
	if (mine) {
		atomic_store(&mine->oldest_ms, since_ms);
	}
}

bool census_is_oldest_here(uint64_t since_ms)
{
	struct row *oldest = mine;
	uint64_t oldest_ms = mine ? atomic_load(&mine->oldest_ms) : 0;

	for (size_t i = 0; mine && i < CENSUS_ROWS; i++) {
		struct row *row = &table->rows[i];
		const uint64_t theirs_ms =
			atomic_load(&row->used) ? atomic_load(&row->oldest_ms) : 0;

		if (theirs_ms > 0 && theirs_ms <= since_ms &&
		    (oldest_ms == 0 || theirs_ms < oldest_ms)) {
			oldest = row;
			oldest_ms = theirs_ms;
		}
	}
	if (oldest != mine) {
		atomic_fetch_add(&oldest->asked, 1);
	}
	return oldest == mine;
}

uint32_t census_take_asked(void)
{
	return mine ? atomic_exchange(&mine->asked, 0) : 0;
}
