/*
 * Listening sockets that somebody bound for us: systemd's socket activation
 * (sd_listen_fds(3)). Such a socket is one for all workers.
 */
#ifndef PROXY_OPS_ACTIVATION_H
#define PROXY_OPS_ACTIVATION_H

#include "proxy/rt/stream.h"

/*
 * The inherited socket that listens on this address, once for each slot; the caller
 * closes them. False: there is none. The inherited one stays open, for reloads.
 */
bool activation_take(const struct address *address, size_t slots, int *sockets);

#endif
