/*
 * How many sessions there are, over all workers, and whose: one table in shared memory
 * beside the metrics. Every row has one writer, a worker; readers add the rows up. So a
 * limit holds for the service as a whole, and a connection costs no message, no lock and
 * no system call. The master clears the row of a worker that is gone: what it counted
 * goes with it.
 *
 * A key is a keyed hash of an address block or an account: nobody is named here, and who
 * does not know the hash's key cannot choose his place. A row holds 65536 keys in sets of
 * 8. Where a set is full, one more key is counted in all but not by itself: that happens
 * to fewer than 1 in 1,000 where one worker has 8,000 sessions, each from an address of
 * its own.
 *
 * Newcomers are sessions that have not signed in. Each worker says here since when its
 * oldest one waits, so that the one who has waited longest of all can be told to go,
 * whichever worker has it.
 */
#ifndef PROXY_BASE_CENSUS_H
#define PROXY_BASE_CENSUS_H

#include "proxy/base/ledger.h"
#include "proxy/base/metrics.h"

#define CENSUS_ROWS METRICS_ROWS // the same numbers: one row a process
#define CENSUS_ALL 0             // the key under which every session counts
#define CENSUS_WINDOW_MS 4000    // arrivals are looked at over so long

/* Where somebody is counted, in this worker's row. */
struct census_place;

/* The master, once: an empty table. False: errno says why. */
bool census_create(int *fd);

/* The descriptor stays the caller's. False: not such a table: errno EPROTO. */
bool census_attach(int fd);
void census_detach(void);

/* A worker: counts in that row, cleared, and no other living one may. False: no such row.
 */
bool census_use_row(uint32_t row);

/* The master: the process that counted there is gone. Not attached: nothing. */
void census_clear(uint32_t row);

/* What goes with it: see ledger.h. NULL: not attached. */
struct ledger *census_ledger(void);

/* One more session of that key. NULL: its set is full, it is not counted. */
struct census_place *census_enter(uint64_t key);
void census_leave(struct census_place *place); // NULL is fine

/* Sessions of that key, in all workers. */
uint32_t census_sessions(uint64_t key);

/* It has just arrived (now_ms: monotonic, the same clock in all processes). */
void census_arrived(struct census_place *place, uint64_t now_ms); // NULL is fine

/* Arrivals of that key in all workers within the last window, estimated. */
uint32_t census_arrivals(uint64_t key, uint64_t now_ms);

/* This worker's oldest newcomer is there since then; 0: it has none. */
void census_set_oldest(uint64_t since_ms);

/*
 * A newcomer has to go, one that has been there since then or longer. False: another
 * worker has the oldest, and was asked to part with it.
 */
bool census_is_oldest_here(uint64_t since_ms);

/* How often others asked that of this worker since it last looked. */
uint32_t census_take_asked(void);

#endif
