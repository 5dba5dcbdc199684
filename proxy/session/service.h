/*
 * What all sessions of a worker share: configuration, certificates, routes.
 */
#ifndef PROXY_SESSION_SERVICE_H
#define PROXY_SESSION_SERVICE_H

#include "proxy/ipc/keeper_client.h"
#include "proxy/mailbox/indexes.h"
#include "proxy/mailbox/parking.h"
#include "proxy/mailbox/recent.h"
#include "proxy/rt/keyed_hash.h"
#include "proxy/upstream/upstream.h"

#include <sys/queue.h>

TAILQ_HEAD(newcomers, session);

/* What a listener shows: NULL where it has no TLS. */
struct service_tls {
	struct tls_server *strict; // owned
	struct tls_server *legacy; // owned; for legacy-tls-from, NULL: nobody
};

/* Sessions refused and dropped, and not yet written to the log. */
struct turned_away {
	uint32_t refused, dropped;
	const char *why;      // of the last one refused
	uint64_t next_log_ms; // not before
};

struct service {
	const struct config *config;  // borrowed
	struct service_tls *tls;      // owned; one per listener, same order
	struct upstream *upstreams;   // owned; one per route, same order
	struct keeper_client *keeper; // borrowed; NULL: no locks, no throttle
	struct indexes *indexes;      // borrowed; NULL: none are kept
	struct parking *parking;      // borrowed; NULL: no connection is kept
	struct recent *recent;        // borrowed; NULL: no list is
	struct session *sessions;     // session::next, every session that runs
	uint32_t session_count;
	uint32_t capacity;          // sessions that this process has descriptors for
	uint64_t next_complaint_ms; // about that: not before
	struct gate session_ended;  // opened whenever one ends
	struct newcomers newcomers; // session::newcomer, admitted and not signed in, the
				    // oldest first
	const unsigned char *census_key; // borrowed; for the keys of the census
	struct turned_away turned_away;
	bool reporting; // a task waits to say which log lines were suppressed
	unsigned char secret[KEYED_HASH_BYTES]; // that all workers have
};

/* Sessions that one worker has descriptors for. */
uint32_t service_capacity(const struct config *config);

/* FAILURE_PERMANENT: a certificate or CA file that cannot be used, by name. */
bool service_init(struct service *service, const struct config *config,
		  struct failure *failure);

/*
 * The secret that all workers have. Keys are made of it for hashed addresses in the log,
 * and for TLS tickets: each listener's own, and others for legacy-tls-from, so that no
 * ticket opens another door than it came from.
 */
void service_share(struct service *service, const unsigned char secret[KEYED_HASH_BYTES]);

/* No session may run any more. */
void service_release(struct service *service);

/* The route of this POP3 user; NULL: none. */
struct upstream *service_route(const struct service *service, struct bytes user);

#endif
