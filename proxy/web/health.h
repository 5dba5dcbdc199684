/*
 * Can the service serve, and is anything wrong? A server upstream that is down makes no
 * instance unready: an honest [SYS/TEMP] beats a refused connection.
 */
#ifndef PROXY_WEB_HEALTH_H
#define PROXY_WEB_HEALTH_H

#include "proxy/base/metrics.h"
#include "proxy/config/config.h"

#define HEALTH_REASONS 8
#define HEALTH_WARN_DAYS 7 // before a certificate expires

enum health_state { HEALTH_OK, HEALTH_DEGRADED, HEALTH_DOWN };

struct health {
	enum health_state state;
	size_t count; // of reasons; further ones are dropped
	char reasons[HEALTH_REASONS][320];
};

void health_judge(const struct config *config, const struct metrics_values *values,
		  uint64_t now_s, struct health *out);

/* "ok", "degraded", "down". */
const char *health_name(enum health_state state);

/* Did the server fail after it last worked, and not long ago? */
bool health_is_route_failing(const struct metrics_route *route, uint64_t now_s);

#endif
