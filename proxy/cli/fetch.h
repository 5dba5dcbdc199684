/*
 * One HTTP request to our own web role: as much of HTTP as that takes.
 */
#ifndef PROXY_CLI_FETCH_H
#define PROXY_CLI_FETCH_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"
#include "proxy/config/config.h"

#define FETCH_MAX ((size_t)16 << 20)

/*
 * GET of path where web.address says; "all addresses" is asked on loopback. Blocks, 5
 * seconds at most. body->max is FETCH_MAX. FAILURE_PERMANENT: no web in this
 * configuration, or a port nobody can know. FAILURE_TEMPORARY: nobody answers there, or
 * not like us.
 */
bool fetch(const struct config_web *web, const char *path, unsigned *status,
	   struct buffer *body, struct failure *failure);

#endif
