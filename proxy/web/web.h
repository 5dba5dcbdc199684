/*
 * The web role, by libmicrohttpd: over HTTP health, metrics and a status page, for which
 * it reads the shared metrics and the configuration, changes nothing and knows no user;
 * over HTTPS the consent page (consent.h).
 *
 *	/live         200 while this role runs
 *	/ready        200 where the service can serve, `degraded` in the body included;
 *	              else 503
 *	/metrics      OpenMetrics
 *	/             the status page
 *	/status.json  the same for programs, /status.txt for terminals
 */
#ifndef PROXY_WEB_WEB_H
#define PROXY_WEB_WEB_H

#include "proxy/config/config.h"

struct web;

/*
 * Listens on config->web.address, config->consent.address. history_fd: of
 * history_create(), for charts that go on where another one's ended; -1: none. NULL: the
 * log says why.
 */
struct web *web_open(const struct config *config, int metrics_fd, int history_fd);

/*
 * Until the other side of control_fd hangs up or says anything. Blocks: no task. False:
 * the keeper wants no more of us.
 */
bool web_serve(struct web *web, int control_fd);

/* The keeper is at the other end (taken over), for the consent page. */
void web_connect(struct web *web, int fd);

void web_close(struct web *web); // NULL is fine

#endif
