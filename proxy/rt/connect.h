/*
 * From a host name to a connected stream: c-ares on the loop (hosts file included), then
 * Happy Eyeballs (RFC 8305: IPv6 first, 250 ms apart, the first to connect wins).
 */
#ifndef PROXY_RT_CONNECT_H
#define PROXY_RT_CONNECT_H

#include "proxy/rt/stream.h"

#define RESOLVE_MAX 8 // addresses of one host that are tried

/*
 * A numeric address or a name. FAILURE_TEMPORARY: no answer, or the name server failed;
 * FAILURE_PERMANENT: the name does not exist or has no address.
 */
SUSPENDS bool resolve_host(const char *host, uint16_t port, uint64_t deadline_ms,
			   struct address addresses[RESOLVE_MAX], size_t *count,
			   struct failure *failure);

/*
 * Resolve and connect. loopback_only: any other address is FAILURE_PERMANENT before
 * anything is sent. FAILURE_TEMPORARY: nobody answered; the text names each address
 * tried and why.
 */
SUSPENDS struct stream *connect_host(const char *host, uint16_t port, bool loopback_only,
				     uint64_t deadline_ms, struct failure *failure);

#endif
