/*
 * The oauth role: asks providers for tokens on the keeper's behalf. It has no store and
 * keeps no token: what it is told in a request is forgotten with the answer.
 */
#ifndef PROXY_OAUTH_OAUTH_H
#define PROXY_OAUTH_OAUTH_H

#include "proxy/config/config.h"
#include "proxy/rt/channel.h"

#define OAUTH_REQUESTS_MAX 256 // under way or queued; beyond: try again later

struct oauth;

/* Reads the files of the providers: they may be readable now only. */
struct oauth *oauth_new(const struct config *config);

/* From now on, once a day: what proves us to a provider and ends soon is told of. */
void oauth_watch(struct oauth *oauth);

/* The keeper is at the other end (taken over); a former one is left. */
SUSPENDS void oauth_serve(struct oauth *oauth, int fd);

/* Waits for the requests under way, up to half a minute each. */
SUSPENDS void oauth_free(struct oauth *oauth); // NULL is fine

#endif
