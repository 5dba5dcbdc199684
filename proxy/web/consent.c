/*
 * All goes well: a request is judged by its headers, what it needs is asked of the
 * keeper while the connection rests, and the answer becomes a page. What can go wrong:
 * the keeper does not answer (told to try again), it is another one meanwhile (likewise;
 * it knows no visits), it cuts us off (this role ends, and is started again). Headers,
 * fields and answers are hostile.
 */
#include "proxy/web/consent.h"

#include "proxy/base/log.h"
#include "proxy/web/consent_gate.h"
#include "proxy/web/consent_internal.h"
#include "proxy/web/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 200
#define CONNECTIONS_FROM_ONE 40
#define IDLE_S 15
#define REQUEST_MEMORY ((size_t)32 << 10)
#define BODY_MAX ((size_t)256 << 10) // whoever sends more is cut off
#define ANSWER_MS 60000              // the provider's half minute, and the way
#define LOST_MS 10000                // without a keeper: then we were cut off
#define PEM_MAX ((size_t)256 << 10)
/* What a recorded visit cannot be read with later, and no padding tells of. */
#define TLS                                                                              \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"    \
	"-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:%SERVER_PRECEDENCE"

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct route routes[] = {
	{ "/", "GET", consent_page_home, PAGE_SEE, false, false },
	{ "/invitation", "GET", consent_page_invitation, PAGE_SEE, true, false },
	{ "/start", "POST", consent_page_onward, PAGE_START, true, false },
	{ "/callback", "GET", NULL, PAGE_CALLBACK, true, false },
	{ "/account", "GET", consent_page_account, PAGE_LOOK, true, false },
	{ "/again", "POST", consent_page_onward, PAGE_AGAIN, true, false },
	{ "/password", "POST", NULL, PAGE_ADD, true, false },
	{ "/revoke", "POST", NULL, PAGE_REMOVE, true, false },
	{ "/leave", "POST", consent_page_left, PAGE_LEAVE, true, true },
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		if (strcmp(routes[i].path, path) == 0) {
			return &routes[i];
		}
	}
	return NULL;
}

/* ---- asking the keeper ---- */

static struct request **find_waiting(struct consent *consent, uint32_t id)
{
	struct request **link = &consent->waiting;

	while (*link && (*link)->id != id) {
		link = &(*link)->next;
	}
	return link;
}

/* Its answer is there: libmicrohttpd calls for the response. */
static void wake(struct request **link)
{
	struct request *request = *link;

	*link = request->next;
	request->state = REQUEST_ANSWERED;
	MHD_resume_connection(request->connection);
}

/* Those who wait for longer than any answer takes; all of them where there is none. */
static void give_up(struct consent *consent, uint64_t before_ms)
{
	struct request **link = &consent->waiting;

	while (*link) {
		if ((*link)->until_ms <= before_ms) {
			consent_answer_refuse(&(*link)->answer, PAGE_LATER);
			wake(link);
		} else {
			link = &(*link)->next;
		}
	}
}

static const char *header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static uint64_t number_of(struct bytes text)
{
	uint64_t number = 0;

	return bytes_take_u64(&text, &number) && text.len == 0 ? number : 0;
}

/* What the fields of query and form mean. */
static struct page_message question_of(const struct request *request,
				       const struct form *form)
{
	const struct bytes *query = request->query.value;
	const struct bytes *said = form->value;

	return (struct page_message){
		.type = request->route->what,
		.id = request->id,
		.number[PAGE_ID] = number_of(said[FORM_ID]),
		.text[PAGE_INVITATION] =
			query[FORM_TOKEN].len > 0 ? query[FORM_TOKEN] : said[FORM_TOKEN],
		.text[PAGE_SESSION] = form_cookie(header(request, "Cookie"), GATE_COOKIE),
		.text[PAGE_FORM] = said[FORM_WORD],
		.text[PAGE_STATE] = query[FORM_STATE],
		.text[PAGE_CODE] = query[FORM_CODE],
		.text[PAGE_ISSUER] = query[FORM_ISS],
		.text[PAGE_ERROR] = query[FORM_ERROR],
		.text[PAGE_TEXT] = query[FORM_ERROR_DESCRIPTION],
		.text[PAGE_LABEL] = said[FORM_LABEL],
	};
}

static enum MHD_Result ask(struct request *request, const struct form *form)
{
	struct consent *consent = request->consent;
	struct page_message question;

	request->id = ++consent->last_id;
	question = question_of(request, form);
	secret_set(&request->token, question.text[PAGE_INVITATION]);
	if (!line_send(&consent->line, &question)) {
		consent_answer_refuse(&request->answer, PAGE_LATER);
		request->state = REQUEST_ANSWERED;
		return consent_respond(request);
	}
	request->state = REQUEST_ASKED;
	request->until_ms = now_ms() + ANSWER_MS;
	request->next = consent->waiting;
	consent->waiting = request;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

/* ---- judging requests ---- */

static bool is_post_of_ours(const struct request *request, const char *url)
{
	return gate_is_ours(url, header(request, "Origin"),
			    header(request, "Sec-Fetch-Site")) &&
	       gate_is_form(header(request, "Content-Type"));
}

static bool is_too_often(const struct request *request)
{
	const union MHD_ConnectionInfo *peer = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return !turnstile_pass(request->consent->turnstile,
			       peer ? peer->client_addr : NULL, now_ms());
}

/* By its headers: a response that refuses it, or none yet. */
static enum MHD_Result judge(struct request *request, const char *path,
			     const char *method)
{
	const char *url = request->consent->config->consent.url;

	request->route = find_route(path);
	if (is_too_often(request)) {
		return consent_respond_problem(
			request, MHD_HTTP_TOO_MANY_REQUESTS,
			"Too much has been asked from your network.",
			"Wait half a minute, and try again.");
	}
	if (!gate_is_host(url, header(request, "Host"))) {
		return consent_respond_problem(
			request, MHD_HTTP_MISDIRECTED_REQUEST,
			"This page is not called that.",
			"Use the address in the link that you were given.");
	}
	if (!request->route) {
		return consent_respond_problem(request, MHD_HTTP_NOT_FOUND,
					       "There is no such page.",
					       "Use the link that you were given.");
	}
	if (strcmp(request->route->method, method) != 0) {
		return consent_respond_problem(request, MHD_HTTP_METHOD_NOT_ALLOWED,
					       "This page is not asked that way.",
					       "Use the link that you were given.");
	}
	if (strcmp(method, "POST") == 0 && !is_post_of_ours(request, url)) {
		return consent_respond_problem(
			request, MHD_HTTP_FORBIDDEN,
			"This did not come from a page of ours.",
			"Nothing was changed. Use the buttons on this site's own pages.");
	}
	return MHD_YES;
}

/* All of it has come. */
static enum MHD_Result answer_whole(struct request *request)
{
	struct form form = { 0 };
	enum MHD_Result result;

	if (!request->query_is_good || request->is_too_long ||
	    !form_read(buffer_bytes(&request->upload), &form)) {
		result = consent_respond_problem(
			request, MHD_HTTP_BAD_REQUEST,
			"What your browser sent cannot be understood.",
			"Use the link that you were given, or the buttons on this "
			"site's own pages.");
	} else {
		result = request->route->asks ? ask(request, &form)
					      : consent_respond(request);
	}
	form_release(&form);
	return result;
}

/* Too long a one is read and forgotten: a browser hears no answer before its end. */
static enum MHD_Result take_body(struct request *request, const char *upload,
				 size_t *upload_len)
{
	if (!buffer_append(&request->upload, (struct bytes){ upload, *upload_len })) {
		request->is_too_long = true;
	}
	request->body_len += *upload_len;
	*upload_len = 0;
	return request->body_len <= BODY_MAX ? MHD_YES : MHD_NO;
}

/* Called with the headers, with each part of the body, at its end, and when resumed. */
static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct request *request = *state;

	(void)argument;
	(void)version;
	switch (request->state) {
	case REQUEST_NEW:
		request->connection = connection;
		request->state = REQUEST_READ;
		return judge(request, path, method);
	case REQUEST_READ:
		if (*upload_len > 0) {
			return take_body(request, upload, upload_len);
		}
		return answer_whole(request);
	case REQUEST_ANSWERED:
		return consent_respond(request);
	case REQUEST_ASKED:
		return MHD_YES; // it rests
	}
	return MHD_NO;
}

/* The first that is heard of a request: its address, with the query. */
static void *on_address(void *argument, const char *address,
			struct MHD_Connection *connection)
{
	struct request *request = memory_new(sizeof(*request));
	const char *query = strchr(address, '?');

	(void)connection;
	request->consent = argument;
	buffer_init(&request->upload, FORM_MAX);
	request->query_is_good =
		form_read(bytes_of(query ? query + 1 : ""), &request->query);
	return request;
}

static void on_end(void *argument, struct MHD_Connection *connection, void **state,
		   enum MHD_RequestTerminationCode how)
{
	struct request *request = *state;

	(void)argument;
	(void)connection;
	(void)how;
	if (!request) {
		return;
	}
	form_release(&request->query);
	if (request->upload.data) {
		memory_wipe(request->upload.data, request->upload.size);
	}
	buffer_release(&request->upload);
	secret_release(&request->token);
	consent_answer_release(&request->answer);
	free(request);
	*state = NULL;
}

/* ---- the server ---- */

/* A PEM file, whole, with a NUL behind it. NULL: the log says why. */
static char *read_pem(const char *setting, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = memory_new(PEM_MAX);
	const ssize_t len = fd >= 0 ? read(fd, text, PEM_MAX - 1) : -1;

	if (len <= 0) {
		log_say(LOG_ERROR, "not started", "consent.%s: %s: %s", setting, path,
			len < 0 ? strerror(errno) : "it is empty");
		free(text);
		text = NULL;
	}
	if (fd >= 0) {
		close(fd);
	}
	return text;
}

static void release_pem(char *text)
{
	if (text) {
		memory_wipe(text, PEM_MAX);
	}
	free(text);
}

/* libmicrohttpd has read certificate and key when it has started. */
static bool start_with(struct consent *consent, const char *certificate, const char *key)
{
	const int fd = serving_listen(&consent->config->consent.address, CONNECTIONS);

	if (fd < 0) {
		log_say(LOG_ERROR, "not started", "consent.address: %s", strerror(errno));
		return false;
	}
	consent->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, consent, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_FROM_ONE,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY,
		MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key,
		MHD_OPTION_HTTPS_PRIORITIES, TLS, MHD_OPTION_URI_LOG_CALLBACK, on_address,
		consent, MHD_OPTION_NOTIFY_COMPLETED, on_end, consent, MHD_OPTION_END);
	if (!consent->daemon) {
		log_say(LOG_ERROR, "not started",
			"consent: certificate or key is none, or the two do not fit: %s",
			consent->config->consent.certificate);
		close(fd);
		return false;
	}
	serving_log("consent page", fd);
	return true;
}

static bool start(struct consent *consent)
{
	const struct config_consent *settings = &consent->config->consent;
	char *certificate = read_pem("certificate", settings->certificate);
	char *key = certificate ? read_pem("key", settings->key) : NULL;
	const bool started = key && start_with(consent, certificate, key);

	release_pem(certificate);
	release_pem(key);
	return started;
}

struct consent *consent_open(const struct config *config)
{
	struct consent *consent = memory_new(sizeof(*consent));

	consent->config = config;
	consent->turnstile = turnstile_new();
	line_init(&consent->line);
	if (!start(consent)) {
		consent_close(consent);
		return NULL;
	}
	return consent;
}

void consent_close(struct consent *consent)
{
	if (!consent) {
		return;
	}
	line_release(&consent->line); // first: nobody is put to rest any more
	if (consent->daemon) {
		give_up(consent, UINT64_MAX); // none may rest when it stops
		MHD_run(consent->daemon);
		MHD_stop_daemon(consent->daemon);
	}
	turnstile_free(consent->turnstile);
	free(consent);
}

void consent_connect(struct consent *consent, int fd)
{
	give_up(consent, UINT64_MAX); // the last one's answers do not come any more
	line_connect(&consent->line, fd);
	consent->lost_ms = 0;
}

int consent_server_fd(const struct consent *consent)
{
	return MHD_get_daemon_info(consent->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int consent_keeper_fd(const struct consent *consent)
{
	return consent->line.fd;
}

int consent_wait_ms(const struct consent *consent, int at_most_ms)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	return MHD_get_timeout(consent->daemon, &ms) == MHD_YES &&
			       ms < (MHD_UNSIGNED_LONG_LONG)at_most_ms
		       ? (int)ms
		       : at_most_ms;
}

static void take_answers(struct consent *consent)
{
	struct page_message message;
	enum line_event event;

	while ((event = line_receive(&consent->line, &message)) == LINE_MESSAGE) {
		struct request **link = find_waiting(consent, message.id);

		if (*link && consent_answer_take(&(*link)->answer, &message)) {
			wake(link);
		}
	}
	if (event == LINE_LOST) {
		consent->lost_ms = now_ms();
		give_up(consent, UINT64_MAX);
	}
}

bool consent_run(struct consent *consent)
{
	take_answers(consent);
	give_up(consent, now_ms());
	MHD_run(consent->daemon);
	if (consent->lost_ms > 0 && now_ms() - consent->lost_ms >= LOST_MS) {
		log_say(LOG_ERROR, "consent page ends", "no keeper answers it any more");
		return false;
	}
	return true;
}
