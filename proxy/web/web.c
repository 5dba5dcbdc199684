/*
 * All goes well: listen, answer, look at the counters every few seconds, until the master
 * hangs up. What can go wrong: the port is taken, or the metrics are another version's:
 * said in the log, and nothing is served. Requests are answered one after the other from
 * memory, so nobody waits for anybody; slow clients run into a timeout.
 */
#include "proxy/web/web.h"

#include "proxy/base/memory.h"
#include "proxy/base/pulse.h"
#include "proxy/web/host.h"
#include "proxy/web/openmetrics.h"
#include "proxy/web/page.h"
#include "proxy/web/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX ((size_t)16 << 20) // 64 routes with long names stay below
#define CONNECTIONS 64
#define IDLE_S 10
#define REQUEST_MEMORY ((size_t)16 << 10)
#define NONCE_BYTES 16
#define NONCE_TEXT (2 * NONCE_BYTES + 1)
#define POLICY_TEXT 320

struct web {
	const struct config *config;
	struct metrics_values *values; // owned
	struct history *history;       // owned
	struct MHD_Daemon *daemon;
};

static uint64_t unix_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

static void look(struct web *web, struct view *view)
{
	metrics_read(web->values);
	view->config = web->config;
	view->now = web->values;
	view->history = web->history;
	view->now_s = unix_now_s();
	health_judge(web->config, web->values, view->now_s, &view->health);
}

/* Answers ------------------------------------------------------------------------- */

struct answer {
	unsigned status;
	const char *type;
	char nonce[NONCE_TEXT]; // of the page's style; "" elsewhere
	struct buffer body;
};

static void make_nonce(char out[NONCE_TEXT])
{
	unsigned char random[NONCE_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		abort();
	}
	for (size_t i = 0; i < NONCE_BYTES; i++) {
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	}
}

static void answer_page(const struct view *view, struct answer *answer)
{
	answer->type = "text/html; charset=utf-8";
	make_nonce(answer->nonce);
	page_write(view, answer->nonce, &answer->body);
}

static void answer_metrics(const struct view *view, struct answer *answer)
{
	answer->type = OPENMETRICS_TYPE;
	openmetrics_write(view, &answer->body);
}

static void answer_json(const struct view *view, struct answer *answer)
{
	answer->type = "application/json";
	status_write_json(view, &answer->body);
}

static void answer_text(const struct view *view, struct answer *answer)
{
	status_write_text(view, &answer->body);
}

static void answer_live(const struct view *view, struct answer *answer)
{
	(void)view;
	answer->type = "application/json";
	buffer_printf(&answer->body, "{\"status\":\"ok\"}\n");
}

static void answer_ready(const struct view *view, struct answer *answer)
{
	answer->type = "application/json";
	answer->status = view->health.state == HEALTH_DOWN ? MHD_HTTP_SERVICE_UNAVAILABLE
							   : MHD_HTTP_OK;
	status_write_health(&view->health, &answer->body);
}

static const struct {
	const char *path;
	void (*answer)(const struct view *view, struct answer *answer);
} pages[] = {
	{ "/", answer_page },
	{ "/live", answer_live },
	{ "/ready", answer_ready },
	{ "/metrics", answer_metrics },
	{ "/status.json", answer_json },
	{ "/status.txt", answer_text },
};

static void answer_path(struct web *web, const char *path, struct answer *answer)
{
	struct view *view;

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(path, pages[i].path) == 0) {
			view = memory_new(sizeof(*view));
			look(web, view);
			pages[i].answer(view, answer);
			free(view);
			return;
		}
	}
	answer->status = MHD_HTTP_NOT_FOUND;
	buffer_printf(&answer->body, "There is no such page.\n");
}

static bool is_reading(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static void answer_request(struct web *web, const char *host, const char *method,
			   const char *path, struct answer *answer)
{
	if (!is_reading(method)) {
		answer->status = MHD_HTTP_METHOD_NOT_ALLOWED;
		buffer_printf(&answer->body, "Only GET and HEAD: nothing can be changed "
					     "here.\n");
	} else if (!host_is_ours(&web->config->web, host)) {
		answer->status = MHD_HTTP_MISDIRECTED_REQUEST;
		buffer_printf(
			&answer->body,
			"This host name is not ours. Use a numeric address, or name "
			"it in web.host-names.\n");
	} else {
		answer_path(web, path, answer);
	}
}

/* Nothing is loaded, nothing runs, nobody frames it. */
static void add_headers(struct MHD_Response *response, const struct answer *answer)
{
	char policy[POLICY_TEXT];

	snprintf(policy, sizeof(policy),
		 "default-src 'none'; %s%s%sbase-uri 'none'; form-action 'none'; "
		 "frame-ancestors 'none'",
		 answer->nonce[0] ? "img-src data:; style-src 'nonce-" : "",
		 answer->nonce, answer->nonce[0] ? "'; " : "");
	MHD_add_response_header(response, "Content-Type", answer->type);
	MHD_add_response_header(response, "Content-Security-Policy", policy);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "DENY");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	}
}

/* Takes the body over. */
static enum MHD_Result send_answer(struct MHD_Connection *connection,
				   struct answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		buffer_release(&answer->body);
		return MHD_NO;
	}
	add_headers(response, answer);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* libmicrohttpd calls it once with the headers, and again when the body, if any, is in.
 */
static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	static int seen;
	struct answer answer = { .status = MHD_HTTP_OK,
				 .type = "text/plain; charset=utf-8" };

	(void)version;
	(void)upload;
	if (!*state && is_reading(method)) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_len > 0) {
		*upload_len = 0; // a GET with a body: read and forgotten
		return MHD_YES;
	}
	buffer_init(&answer.body, BODY_MAX);
	answer_request(argument,
		       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host"),
		       method, url, &answer);
	return send_answer(connection, &answer);
}

/* Listening ----------------------------------------------------------------------- */

static void log_serving(int fd)
{
	struct address address = { .len = sizeof(address.socket) };
	char host[ADDRESS_TEXT_MAX];
	char text[ADDRESS_TEXT_MAX + 16];
	struct log_line line;

	if (getsockname(fd, (struct sockaddr *)&address.socket, &address.len) != 0 ||
	    !log_begin(&line, LOG_INFO, "web")) {
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

/* Beside the one that a reload replaces: both may listen. */
static int listen_on(const struct address *address)
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
	    listen(fd, CONNECTIONS) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool start(struct web *web)
{
	const int fd = listen_on(&web->config->web.address);

	if (fd < 0) {
		log_say(LOG_ERROR, "not started", "web.address: %s", strerror(errno));
		return false;
	}
	web->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, web, MHD_OPTION_LISTEN_SOCKET,
		fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY, MHD_OPTION_END);
	if (!web->daemon) {
		log_say(LOG_ERROR, "not started", "libmicrohttpd does not start");
		close(fd);
		return false;
	}
	log_serving(fd);
	return true;
}

/* How long nothing needs to happen. */
static int wait_ms(const struct web *web)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (MHD_get_timeout(web->daemon, &ms) == MHD_YES && ms < PULSE_MS) {
		return (int)ms;
	}
	return PULSE_MS;
}

void web_serve(struct web *web, int control_fd)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd wait[] = {
		{ .fd = info->epoll_fd, .events = POLLIN },
		{ .fd = control_fd, .events = POLLIN },
	};
	uint64_t sampled_s = unix_now_s();

	while (poll(wait, 2, wait_ms(web)) >= 0 || errno == EINTR) {
		if (wait[1].revents != 0) {
			return;
		}
		MHD_run(web->daemon);
		pulse_beat();
		if (unix_now_s() - sampled_s >= HISTORY_SAMPLE_S) {
			sampled_s = unix_now_s();
			metrics_read(web->values);
			history_sample(web->history, web->values, sampled_s);
		}
	}
}

struct web *web_open(const struct config *config, int metrics_fd, int history_fd)
{
	struct web *web;

	if (!metrics_attach_reader(metrics_fd)) {
		log_say(LOG_ERROR, "not started", "metrics: %s", strerror(errno));
		return NULL;
	}
	web = memory_new(sizeof(*web));
	web->config = config;
	web->values = memory_new(sizeof(*web->values));
	metrics_read(web->values);
	web->history = history_share(history_fd, web->values, unix_now_s());
	if (!start(web)) {
		web_close(web);
		return NULL;
	}
	return web;
}

void web_close(struct web *web)
{
	if (!web) {
		return;
	}
	if (web->daemon) {
		MHD_stop_daemon(web->daemon);
	}
	history_free(web->history);
	free(web->values);
	free(web);
	metrics_detach();
}
