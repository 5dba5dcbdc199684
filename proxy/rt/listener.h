/*
 * A listening TCP socket. When descriptors run out, accepting pauses and recovers by
 * itself; the connection in hand is not spun on.
 */
#ifndef PROXY_RT_LISTENER_H
#define PROXY_RT_LISTENER_H

#include "proxy/rt/stream.h"

struct listener;

/* FAILURE_PERMANENT says which address and why. Port 0: picked free. */
struct listener *listener_open(const struct address *address, struct failure *failure);

/* The bound address, with the port that was picked. */
const struct address *listener_address(const struct listener *listener);

/* The next connection. NULL: cancelled. */
SUSPENDS struct stream *listener_accept(struct listener *listener,
					struct failure *failure);

SUSPENDS void listener_close(struct listener *listener);

#endif
