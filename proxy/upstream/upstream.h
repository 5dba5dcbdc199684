/*
 * One route at run time: what all sessions of the route share.
 */
#ifndef PROXY_UPSTREAM_UPSTREAM_H
#define PROXY_UPSTREAM_UPSTREAM_H

#include "proxy/base/metrics.h"
#include "proxy/config/config.h"
#include "proxy/rt/keyed_hash.h"

struct upstream {
	const struct config_route *route;   // borrowed
	const struct config_limits *limits; // borrowed
	struct tls_client *tls;             // owned; NULL for a plain connection
	uint64_t wrong_sizes;  // messages whose RFC822.SIZE was not their size
	bool one_at_a_time;    // the server answers oddly when more is asked
	uint32_t answers_late; // so many later commands are worked on before a tag comes
	uint32_t metrics;      // its place in the metrics
	unsigned char secret[KEYED_HASH_BYTES]; // that all workers have
};

/* FAILURE_PERMANENT: a CA file or client certificate that cannot be used. */
bool upstream_init(struct upstream *upstream, const struct config_route *route,
		   const struct config_limits *limits, struct failure *failure);
void upstream_release(struct upstream *upstream);

#endif
