/*
 * A listening TCP socket. When descriptors run out, accepting pauses and recovers by
 * itself; the connection in hand is not spun on.
 */
#ifndef PROXY_RT_LISTENER_H
#define PROXY_RT_LISTENER_H

#include "proxy/rt/stream.h"

struct listener;

/*
 * Bound and listening sockets for one address, one for each of `slots` processes. With
 * more than one the kernel hands a connection to the socket of its source address, always
 * the same (SO_REUSEPORT, classic BPF). Port 0: picked free, the same for all.
 * FAILURE_PERMANENT says which address and why.
 */
bool listener_bind(const struct address *address, size_t slots, int *sockets,
		   struct failure *failure);

/* A listener over such a socket, which it takes over. */
struct listener *listener_adopt(int socket);

/* Both, for one process. */
struct listener *listener_open(const struct address *address, struct failure *failure);

/* The bound address, with the port that was picked. */
const struct address *listener_address(const struct listener *listener);

/* The next connection. NULL: cancelled. */
SUSPENDS struct stream *listener_accept(struct listener *listener,
					struct failure *failure);

/* One that waits already; NULL: nobody does. For who closes the socket for good. */
struct stream *listener_accept_queued(struct listener *listener);

SUSPENDS void listener_close(struct listener *listener);

#endif
