/*
 * The web role: health, metrics and a status page over HTTP, by libmicrohttpd. It reads
 *the shared metrics and the configuration, answers GET and HEAD, changes nothing and
 *knows no user.
 *
 *	/live         200 while this role runs
 *	/ready        200 where the service can serve, `degraded` in the body included;
 *else 503 /metrics      OpenMetrics /             the status page /status.json  the same
 *for programs, /status.txt for terminals
 */
#ifndef PROXY_WEB_WEB_H
#define PROXY_WEB_WEB_H

#include "proxy/config/config.h"

/*
 * Serves config->web.address until the other side of control_fd hangs up or says
 * anything. The exit code. Blocks: no task.
 */
int web_run(const struct config *config, int metrics_fd, int control_fd);

#endif
