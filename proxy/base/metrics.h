/*
 * What all processes count: one table in shared memory. Every row has one writer, a
 * process, which counts with plain stores; the web role and `popbridge status` add the
 * rows up. Counting costs no system call and no lock, and does nothing in a process that
 * is not attached (probe, unit tests).
 *
 * Counters only grow, and outlive the process that counted: its successor goes on in the
 * same row. Gauges are what a living process has now: they begin at nothing in
 * metrics_use_row(), and the master clears those of the dead.
 *
 * Nothing here is named by a user: routes and reasons come from the configuration and
 * from this program.
 */
#ifndef PROXY_BASE_METRICS_H
#define PROXY_BASE_METRICS_H

#include "proxy/base/failure.h"
#include "proxy/base/session_end.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_ROWS 256     // processes that count at the same time
#define METRICS_MASTER_ROW 0 // the others are the workers'
#define METRICS_ROUTES 64    // further ones are not measured
#define METRICS_CERTIFICATES 16
#define METRICS_PROVIDERS 16 // further ones are not shown
#define METRICS_NO_ROUTE METRICS_ROUTES

enum metrics_counter {
	METRICS_CONNECTIONS, // accepted
	METRICS_SILENT,      // of these, closed without an octet: port checks
	METRICS_SIGN_INS,    // that worked
	METRICS_SIGN_INS_WITHOUT_TLS,
	METRICS_SIGN_INS_LEGACY_TLS, // TLS 1.0 or 1.1
	METRICS_THROTTLED,           // refused before any upstream contact
	METRICS_MESSAGES_RETRIEVED,  // RETR, whole
	METRICS_OCTETS_RETRIEVED,    // RETR and TOP
	METRICS_MESSAGES_DELETED,    // proven
	METRICS_OCTETS_DELETED,
	METRICS_RECONNECTS,    // upstream connections lost and opened again in a session
	METRICS_PARKED_USED,   // sign-ins that found a parked connection
	METRICS_LISTS_REUSED,  // sign-ins that min-poll answered for the server
	METRICS_WRONG_SIZES,   // messages whose RFC822.SIZE was not their size
	METRICS_ACCEPT_PAUSES, // no descriptors for one more connection
	/* the master's */
	METRICS_WORKER_RESTARTS, // after a death, not a reload
	METRICS_KEEPER_RESTARTS,
	METRICS_WEB_RESTARTS,
	METRICS_OAUTH_RESTARTS,
	METRICS_RELOADS, // that took effect
	METRICS_RELOADS_REFUSED,
	METRICS_UPGRADES,
	METRICS_UPGRADES_REFUSED,
	METRICS_COUNTERS
};

enum metrics_gauge {
	METRICS_UPSTREAM_CONNECTIONS,
	METRICS_UPSTREAM_PARKED, // of these, kept between sessions
	/* the master's */
	METRICS_STARTED_S, // Unix time of the service's start
	METRICS_WORKERS,   // ready
	METRICS_WORKERS_WANTED,
	METRICS_KEEPERS,         // serving: 0 or 1
	METRICS_RELOAD_BROKEN,   // 1: the last reload was refused, the old settings stay
	METRICS_FILES_BROKEN,    // 1: certificate files changed and are no good
	METRICS_CONSENTS_NEEDED, // accounts that need consent anew
	METRICS_DRAIN_UNTIL_S,   // Unix time: the service stops, sessions end by then
	METRICS_GAUGES
};

/* Where a session is. */
enum metrics_state {
	METRICS_STATE_NONE, // not counted
	METRICS_STATE_AUTHORIZATION,
	METRICS_STATE_SIGNING_IN, // a password is on its way upstream
	METRICS_STATE_TRANSACTION,
	METRICS_STATE_UPDATE,
	METRICS_STATES
};

/* Upstream: in the order of a session. */
enum metrics_step {
	METRICS_STEP_CONNECT,
	METRICS_STEP_TLS,
	METRICS_STEP_GREETING,
	METRICS_STEP_ID,
	METRICS_STEP_SIGN_IN,
	METRICS_STEP_FOLDER, // SELECT and the list of messages
	METRICS_STEP_BODY,   // from RETR or TOP to the first octet of the message
	METRICS_STEP_COMMIT, // QUIT's deletions
	METRICS_STEPS
};

#define METRICS_FAILURES (FAILURE_TOO_SOON + 1)
#define METRICS_BUCKETS 13 // the last one has no upper bound

/* Upper bounds in milliseconds, inclusive, of all buckets but the last. */
extern const uint32_t metrics_bounds_ms[METRICS_BUCKETS - 1];

struct metrics_histogram {
	uint64_t buckets[METRICS_BUCKETS]; // each for itself, not added up
	uint64_t sum_ms;
};

struct metrics_route {
	uint64_t opened;
	uint64_t failed[METRICS_FAILURES];
	uint64_t last_good_s;   // Unix time; 0: never. A no to a password is good, too
	uint64_t last_failed_s; // the server's failure, not a user's
	uint64_t slowed_down;   // times that the server asked for less
	uint64_t held_back;     // times that it was therefore not asked
	uint64_t last_slowed_s; // Unix time; 0: never
	struct metrics_histogram steps[METRICS_STEPS];
};

/* One row, or the sum of all. Words of 64 bits, nothing else. */
struct metrics_values {
	uint64_t counters[METRICS_COUNTERS];
	uint64_t ended[SESSION_ENDS];
	uint64_t sign_ins_failed[METRICS_FAILURES];
	uint64_t refused[METRICS_FAILURES]; // -ERR to a client that is signed in
	uint64_t gauges[METRICS_GAUGES];
	uint64_t sessions[METRICS_STATES];
	uint64_t certificates_s[METRICS_CERTIFICATES]; // Unix time of the end; 0: none
	uint64_t providers_s[METRICS_PROVIDERS]; // of our secret or certificate there
	uint64_t consent_s;                      // when the first consent ends
	struct metrics_route routes[METRICS_ROUTES];
};

/* The master, once: an empty table. False: errno says why. */
bool metrics_create(int *fd);

/* Every process that counts. The descriptor stays the caller's. False: not such a table,
 * or another version's: errno EPROTO. */
bool metrics_attach(int fd);
/* For those who only read. */
bool metrics_attach_reader(int fd);
void metrics_detach(void);

/*
 * This process counts in that row, and no other living one may: while an old worker
 * drains, its successor needs another row. Clears the row's gauges.
 */
void metrics_use_row(uint32_t row);

/* The master: the process that counted there is gone. */
void metrics_clear_gauges(uint32_t row);

/*
 * The master: a route's names, once per route of each configuration it accepts; known
 * ones keep their place. metrics_find_route(): METRICS_NO_ROUTE where it is not measured.
 */
void metrics_add_route(const char *match, const char *server);
uint32_t metrics_find_route(const char *match, const char *server);
/* NULL beyond the last. */
const char *metrics_route_match(uint32_t route);
const char *metrics_route_server(uint32_t route);

void metrics_count(enum metrics_counter counter);
void metrics_add(enum metrics_counter counter, uint64_t n);
void metrics_set(enum metrics_gauge gauge, uint64_t value);
void metrics_gauge_up(enum metrics_gauge gauge);
void metrics_gauge_down(enum metrics_gauge gauge);

/* *state is the session's own; METRICS_STATE_NONE at its end. */
void metrics_move(enum metrics_state *state, enum metrics_state to);
void metrics_ended(enum session_end end);
void metrics_sign_in_failed(enum failure_kind kind);
void metrics_refused(enum failure_kind kind);
/* When the certificate with this index ends. */
void metrics_certificate(size_t index, uint64_t until_s);
/* When what proves us to the provider with this index ends; when the first consent does.
 */
void metrics_provider(size_t index, uint64_t until_s);
void metrics_consent(uint64_t until_s);

/*
 * METRICS_NO_ROUTE is fine for these. metrics_upstream_failed(): in which step it went
 * wrong; that tells a server in trouble from a user who is refused.
 */
void metrics_upstream_opened(uint32_t route);
void metrics_upstream_failed(uint32_t route, enum metrics_step step,
			     enum failure_kind kind);
/* The server asked for less; it was left alone, for that or by the route's limits. */
void metrics_upstream_slowed_down(uint32_t route);
void metrics_upstream_held_back(uint32_t route);
void metrics_step(uint32_t route, enum metrics_step step, uint64_t ms);

/* All rows together. Certificates, providers, consents: the earliest end; last_*: the
 * latest. */
void metrics_read(struct metrics_values *out); // large: not for a task's stack

#endif
