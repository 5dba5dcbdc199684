/*
 * A Unix socket with a name in the file system, for programs on this machine that run as
 * root or as our own user: whole messages (SOCK_SEQPACKET), as rt/channel.h sends them.
 */
#ifndef PROXY_RT_LOCAL_H
#define PROXY_RT_LOCAL_H

#include "proxy/rt/task.h"

#define LOCAL_PATH_MAX 107 // octets: a sun_path with its NUL

struct local_listener;

/*
 * Mode 0600. Takes the place of a socket that nobody serves any more. FAILURE_PERMANENT:
 * the path is too long, the directory missing or not ours to write in, something else or
 * a socket that is served is there.
 */
struct local_listener *local_listen(const char *path, struct failure *failure);

/*
 * The next connection of root or our own user, a descriptor for channel_new(). Others are
 * hung up on and logged. -1: cancelled.
 */
SUSPENDS int local_accept(struct local_listener *listener, struct failure *failure);

/* Takes the name away, unless it is another's by now. NULL is fine. */
SUSPENDS void local_close(struct local_listener *listener);

/*
 * The other end: blocks, each receive and send at most timeout_s. -1: FAILURE_TEMPORARY
 * where nobody serves it, FAILURE_PERMANENT where we may not.
 */
int local_connect(const char *path, unsigned timeout_s, struct failure *failure);

#endif
