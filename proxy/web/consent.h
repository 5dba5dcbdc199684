/*
 * The consent page over HTTPS: where an invited person lets a device read his mail, and
 * sees and removes its passwords. Nothing is known here: what a request needs is asked of
 * the keeper, and forgotten with the response.
 *
 *	GET  /            what this is
 *	GET  /invitation  what the link is for; POST /start uses it up
 *	GET  /callback    where the provider sends the browser back to
 *	GET  /account     settings and passwords; POST /again, /password, /revoke, /leave
 */
#ifndef PROXY_WEB_CONSENT_H
#define PROXY_WEB_CONSENT_H

#include "proxy/config/config.h"

struct consent;

/* Listens on config->consent.address. NULL: the log says why. */
struct consent *consent_open(const struct config *config);
void consent_close(struct consent *consent); // NULL is fine

/* The keeper is at the other end (taken over). */
void consent_connect(struct consent *consent, int fd);

/* What to poll for input: the server's, and the keeper's (-1: none). */
int consent_server_fd(const struct consent *consent);
int consent_keeper_fd(const struct consent *consent);

/* How long nothing needs to happen, at most this. */
int consent_wait_ms(const struct consent *consent, int at_most_ms);

/* Does what there is to do. False: the keeper cut us off, and no other one has come. */
bool consent_run(struct consent *consent);

#endif
