/*
 * What all sessions of a worker share: configuration, certificates, routes.
 */
#ifndef PROXY_SESSION_SERVICE_H
#define PROXY_SESSION_SERVICE_H

#include "proxy/ipc/keeper_client.h"
#include "proxy/mailbox/leftover.h"
#include "proxy/mailbox/parking.h"
#include "proxy/upstream/upstream.h"

/* What a listener shows: NULL where it has no TLS. */
struct service_tls {
	struct tls_server *strict; // owned
	struct tls_server *legacy; // owned; for legacy-tls-from, NULL: nobody
};

struct service {
	const struct config *config;  // borrowed
	struct service_tls *tls;      // owned; one per listener, same order
	struct upstream *upstreams;   // owned; one per route, same order
	struct keeper_client *keeper; // borrowed; NULL: no locks, no throttle
	struct leftovers *leftovers;  // owned
	struct parking *parking;      // borrowed; NULL: no connection is kept
	struct session *sessions;     // session::next, every session that runs
	uint32_t session_count;
	struct gate session_ended; // opened whenever one ends
};

/* FAILURE_PERMANENT: a certificate or CA file that cannot be used, by name. */
bool service_init(struct service *service, const struct config *config,
		  struct failure *failure);

/*
 * TLS tickets under keys made of the secret that all workers have: each listener's own,
 * and others for legacy-tls-from, so that no ticket opens another door than it came from.
 */
void service_share_tickets(const struct service *service,
			   const unsigned char secret[TLS_TICKET_SECRET_BYTES]);

/* No session may run any more. */
void service_release(struct service *service);

/* The route of this POP3 user; NULL: none. */
struct upstream *service_route(const struct service *service, struct bytes user);

#endif
