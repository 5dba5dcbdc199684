#include "proxy/cli/fetch.h"

#include "proxy/cli/output.h"
#include "proxy/config/config_values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_S 5
#define PART 16384
#define HTTP_OK 200
#define STATUS_AT 9 // behind "HTTP/1.x "

/* Who listens everywhere is on 127.0.0.1, also with [::]; many containers lack ::1. */
static struct address reachable(const struct address *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
	const bool everywhere = address->socket.ss_family == AF_INET
					? four->sin_addr.s_addr == htonl(INADDR_ANY)
					: IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
	const struct sockaddr_in loopback = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)address_port(address)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct address here = { .len = sizeof(loopback) };

	if (!everywhere) {
		return *address;
	}
	memcpy(&here.socket, &loopback, sizeof(loopback));
	return here;
}

static void write_name(const struct address *address, char *out, size_t size)
{
	char host[ADDRESS_TEXT_MAX];

	address_text(address, host);
	snprintf(out, size, address->socket.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 host, address_port(address));
}

static bool send_all(int fd, struct bytes text)
{
	while (text.len > 0) {
		const ssize_t sent = send(fd, text.at, text.len, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR) {
			return false;
		}
		bytes_skip(&text, sent > 0 ? (size_t)sent : 0);
	}
	return true;
}

/* To the end of the connection. */
static bool receive_all(int fd, struct buffer *out)
{
	for (;;) {
		ssize_t got;

		if (!buffer_reserve(out, PART)) {
			errno = EMSGSIZE;
			return false;
		}
		got = recv(fd, out->data + out->len, PART, 0);
		if (got == 0) {
			return true;
		}
		if (got < 0 && errno != EINTR) {
			return false;
		}
		out->len += got > 0 ? (size_t)got : 0;
	}
}

static bool talk(int fd, const struct address *address, struct bytes request,
		 struct buffer *answer)
{
	const struct timeval limit = { .tv_sec = WAIT_S };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
	       connect(fd, (const struct sockaddr *)&address->socket, address->len) ==
		       0 &&
	       send_all(fd, request) && receive_all(fd, answer);
}

/* Takes the head off. */
static bool split(struct buffer *answer, unsigned *status)
{
	static const char blank[] = "\r\n\r\n";
	const char *end = answer->len > 0 ? memmem(answer->data, answer->len, blank,
						   sizeof(blank) - 1)
					  : NULL;
	struct bytes rest = buffer_bytes(answer);
	uint32_t number;

	if (!end || !bytes_has_prefix(rest, "HTTP/1.")) {
		return false;
	}
	bytes_skip(&rest, STATUS_AT);
	if (!bytes_take_u32(&rest, &number)) {
		return false;
	}
	end += sizeof(blank) - 1;
	answer->len -= (size_t)(end - answer->data);
	memmove(answer->data, end, answer->len);
	*status = number;
	return true;
}

static bool is_askable(const struct config_web *web, struct failure *failure)
{
	if (!web->wanted) {
		failure_set(failure, FAILURE_PERMANENT,
			    "this configuration has no web section, so nobody can be "
			    "asked");
		return failure_advise(failure,
				      "add web: { address: \"127.0.0.1:9110\" }");
	}
	return address_port(&web->address) > 0 ||
	       failure_set(failure, FAILURE_PERMANENT,
			   "web.address has port 0, any free one: which one it became is "
			   "only in the log");
}

bool fetch(const struct config_web *web, const char *path, unsigned *status,
	   struct buffer *body, struct failure *failure)
{
	char name[ADDRESS_TEXT_MAX + 16];
	char request[256];
	struct address address;
	bool good;
	int len;
	int fd;

	if (!is_askable(web, failure)) {
		return false;
	}
	address = reachable(&web->address);
	write_name(&address, name, sizeof(name));
	len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n",
		       path, name);
	fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	good = len > 0 && (size_t)len < sizeof(request) && fd >= 0 &&
	       talk(fd, &address, (struct bytes){ request, (size_t)len }, body);
	if (!good) {
		failure_set(failure, FAILURE_TEMPORARY, "http://%s/: %s", name,
			    strerror(errno));
		failure_advise(failure, "is popbridge running with this configuration?");
	} else if (!split(body, status)) {
		good = failure_set(failure, FAILURE_TEMPORARY,
				   "http://%s/: that is no popbridge", name);
	}
	if (fd >= 0) {
		close(fd);
	}
	return good;
}

/* The service knows what it really runs with. */
static bool ask_service(const char *control, struct config_web *web)
{
	const struct admin_message asked = { .type = ADMIN_ASK_SERVICE };
	struct enquiry enquiry;
	struct admin_message row;
	struct failure ignored;
	const char *why;
	bool known;

	if (!control || !enquiry_open_at(&enquiry, control, &ignored)) {
		return false;
	}
	known = enquiry_ask(&enquiry, &asked, &ignored) &&
		enquiry_next(&enquiry, &row, &ignored) && row.type == ADMIN_SERVICE;
	if (known) {
		web->wanted = row.text[ADMIN_ADDRESS].len > 0;
		known = !web->wanted || config_address_parse(row.text[ADMIN_ADDRESS],
							     &web->address, &why);
	}
	enquiry_close(&enquiry);
	return known;
}

bool fetch_find(const struct enquiry_place *place, struct config_web *web,
		struct failure *failure)
{
	struct config *config = NULL;
	char *control = NULL;
	bool known;

	*web = (struct config_web){ .wanted = false };
	enquiry_find(place, &control, &config);
	known = ask_service(control, web);
	if (!known && config) {
		web->wanted = config->web.wanted;
		web->address = config->web.address;
		known = true;
	}
	if (!known) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "no service answers%s%s, and the configuration does not say "
			    "where it may be asked",
			    control ? " at " : "", control ? control : "");
		failure_advise(failure,
			       "is popbridge running? --control SOCKET names its "
			       "control socket");
	}
	free(control);
	if (config) {
		config_free(config);
	}
	return known;
}

/* Names in it come from a file, and this may be a terminal. */
static void print_lines(struct bytes text)
{
	while (text.len > 0) {
		const char *end = memchr(text.at, '\n', text.len);
		const size_t len = end ? (size_t)(end - text.at) : text.len;

		output_text(stdout, (struct bytes){ text.at, len });
		if (end) {
			putchar('\n');
		}
		bytes_skip(&text, len + 1);
	}
	fflush(stdout);
}

int fetch_print(const struct config_web *web, const char *page, bool clear)
{
	struct failure failure;
	struct buffer body;
	unsigned status = 0;
	bool good;

	buffer_init(&body, FETCH_MAX);
	good = fetch(web, page, &status, &body, &failure);
	if (clear) {
		fputs("\033[H\033[2J", stdout);
	}
	if (good) {
		print_lines(buffer_bytes(&body));
	} else {
		output_failure(&failure);
	}
	buffer_release(&body);
	return good && status == HTTP_OK ? 0 : 1;
}
