#include "proxy/web/serving.h"

#include "proxy/base/log.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

void serving_log(const char *event, int fd)
{
	struct address address = { .len = sizeof(address.socket) };
	char host[ADDRESS_TEXT_MAX];
	char text[ADDRESS_TEXT_MAX + 16];
	struct log_line line;

	if (getsockname(fd, (struct sockaddr *)&address.socket, &address.len) != 0 ||
	    !log_begin(&line, LOG_INFO, event)) {
		return;
	}
	address_text(&address, host);
	snprintf(text, sizeof(text),
		 address.socket.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 address_port(&address));
	log_string(&line, "address", text);
	log_end(&line);
}

/* [::] is IPv4 as well, whatever the system's own rule. */
static bool set_family(int fd, int family)
{
	const int off = 0;

	return family != AF_INET6 ||
	       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0;
}

int serving_listen(const struct address *address, int queue)
{
	const int on = 1;
	const int fd = socket(address->socket.ss_family,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -1;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
	    !set_family(fd, address->socket.ss_family) ||
	    bind(fd, (const struct sockaddr *)&address->socket, address->len) != 0 ||
	    listen(fd, queue) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void serving_add_headers(struct MHD_Response *response)
{
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "DENY");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(response, "Cache-Control", "no-store");
}
