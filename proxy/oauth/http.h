/*
 * One HTTP request by libcurl: TLS verified, bounded in time and octets, no redirects.
 * Blocks; call through offload().
 */
#ifndef PROXY_OAUTH_HTTP_H
#define PROXY_OAUTH_HTTP_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"

#include <stdint.h>

struct http_request {
	const char *url;
	struct bytes form;   // a POST of this form; at NULL: a GET
	struct bytes bearer; // a token that lets us in; empty: none
	const char *ca_file; // NULL: the system's
	uint32_t limit_ms;   // the whole
};

/* Once, before any thread: libcurl's own preparations. */
void http_setup(void);

/*
 * True where an HTTP answer came, whatever its status; body is appended to, at most its
 * maximum. FAILURE_TEMPORARY: not reached, too slow, too much, a redirect.
 * FAILURE_PERMANENT: the certificate is no good.
 */
bool http_ask(const struct http_request *request, unsigned *status, struct buffer *body,
	      struct failure *failure);

/* Appends "name=value", with a "&" before it unless out is empty. */
bool http_form_add(struct buffer *out, const char *name, struct bytes value);

#endif
