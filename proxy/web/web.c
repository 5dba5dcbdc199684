/*
 * All goes well: listen, answer, look at the counters every few seconds, until the master
 * hangs up. What can go wrong: the port is taken, or the metrics are another version's:
 * said in the log, and nothing is served. Requests are answered one after the other from
 * memory, so nobody waits for anybody; slow clients run into a timeout.
 */
#include "proxy/web/web.h"

#include "proxy/base/memory.h"
#include "proxy/base/pulse.h"
#include "proxy/web/consent.h"
#include "proxy/web/host.h"
#include "proxy/web/nonce.h"
#include "proxy/web/openmetrics.h"
#include "proxy/web/page.h"
#include "proxy/web/serving.h"
#include "proxy/web/status.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX ((size_t)16 << 20) // 64 routes with long names stay below
#define CONNECTIONS 64
#define IDLE_S 10
#define REQUEST_MEMORY ((size_t)16 << 10)
#define POLICY_TEXT 320

struct web {
	const struct config *config;
	struct metrics_values *values; // owned
	struct history *history;       // owned
	struct MHD_Daemon *daemon;     // of the status page; NULL: not wanted
	struct consent *consent;       // owned; NULL: not wanted
	uint64_t sampled_s;
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

static void answer_page(const struct view *view, struct answer *answer)
{
	answer->type = "text/html; charset=utf-8";
	nonce_make(answer->nonce);
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
	serving_add_headers(response);
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

static bool start(struct web *web)
{
	const int fd = serving_listen(&web->config->web.address, CONNECTIONS);

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
	serving_log("web", fd);
	return true;
}

/* How long nothing needs to happen. */
static int wait_ms(const struct web *web)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (web->daemon && MHD_get_timeout(web->daemon, &ms) == MHD_YES &&
	    ms < PULSE_MS) {
		return (int)ms;
	}
	return PULSE_MS;
}

static int status_fd(const struct web *web)
{
	return web->daemon ? MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD)
				     ->epoll_fd
			   : -1;
}

/* Negative descriptors are not looked at. */
static bool wait_for_input(struct web *web, int control_fd)
{
	const struct consent *consent = web->consent;
	struct pollfd wait[] = {
		{ .fd = control_fd, .events = POLLIN },
		{ .fd = status_fd(web), .events = POLLIN },
		{ .fd = consent ? consent_server_fd(consent) : -1, .events = POLLIN },
		{ .fd = consent ? consent_keeper_fd(consent) : -1, .events = POLLIN },
	};
	int ms = wait_ms(web);

	ms = consent ? consent_wait_ms(consent, ms) : ms;
	return (poll(wait, sizeof(wait) / sizeof(*wait), ms) >= 0 || errno == EINTR) &&
	       wait[0].revents == 0;
}

static void sample(struct web *web)
{
	if (unix_now_s() - web->sampled_s >= HISTORY_SAMPLE_S) {
		web->sampled_s = unix_now_s();
		metrics_read(web->values);
		history_sample(web->history, web->values, web->sampled_s);
	}
}

bool web_serve(struct web *web, int control_fd)
{
	while (wait_for_input(web, control_fd)) {
		if (web->daemon) {
			MHD_run(web->daemon);
		}
		if (web->consent && !consent_run(web->consent)) {
			return false;
		}
		pulse_beat();
		sample(web);
	}
	return true;
}

void web_connect(struct web *web, int fd)
{
	if (web->consent) {
		consent_connect(web->consent, fd);
	} else {
		close(fd);
	}
}

/* What the configuration wants. */
static bool start_wanted(struct web *web)
{
	if (web->config->web.wanted && !start(web)) {
		return false;
	}
	if (web->config->consent.wanted) {
		web->consent = consent_open(web->config);
		return web->consent != NULL;
	}
	return true;
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
	web->sampled_s = unix_now_s();
	if (!start_wanted(web)) {
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
	consent_close(web->consent);
	history_free(web->history);
	free(web->values);
	free(web);
	metrics_detach();
}
