/*
 * One HTTP request to our own web role: as much of HTTP as that takes.
 */
#ifndef PROXY_CLI_FETCH_H
#define PROXY_CLI_FETCH_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"
#include "proxy/cli/enquiry.h"
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

/*
 * Where the web role of the service is: the service itself says, else the configuration.
 * What is put there borrows nothing; there are no host names.
 */
bool fetch_find(const struct enquiry_place *place, struct config_web *web,
		struct failure *failure);

/* Prints what the page says; clear: on an empty screen. The exit code. */
int fetch_print(const struct config_web *web, const char *page, bool clear);

#endif
