/*
 * What the two servers of the web role have in common: a socket that listens, and headers
 * that let nobody else in.
 */
#ifndef PROXY_WEB_SERVING_H
#define PROXY_WEB_SERVING_H

#include "proxy/rt/stream.h"

#include <microhttpd.h>

/* Beside the one that a reload replaces: both may listen. -1: errno says why. */
int serving_listen(const struct address *address, int queue);

/* "web": where this socket listens, in the log. */
void serving_log(const char *event, int fd);

/* Not kept, not framed, not guessed at, not told to others. */
void serving_add_headers(struct MHD_Response *response);

#endif
