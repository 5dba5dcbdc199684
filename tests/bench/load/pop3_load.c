/*
 * Load on a POP3 server, one JSON object as the result.
 *
 * download  sign-in, STAT, UIDL, LIST, RETR of --count messages from --first on, QUIT
 * list      the same without RETR
 * poll      many sessions: sign-in, STAT, UIDL, QUIT
 * idle      many sessions signed in, kept until standard input ends
 * dele top  one command for each of --count messages, then QUIT
 */
#include "tests/bench/load/body.h"
#include "tests/bench/load/crowd.h"
#include "tests/bench/load/pop3_session.h"
#include "tests/bench/load/report.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 3072
#define COMMAND_MAX 40

static uint64_t *list_all(struct session *session)
{
	uint64_t *octets = calloc((size_t)session->messages + 1, sizeof(*octets));

	if (!octets || !session_listing(session, "UIDL", NULL)) {
		report_failure("UIDL", session->line);
	}
	session->uidl_s = now_s();
	if (!session_listing(session, "LIST", octets)) {
		report_failure("LIST", session->line);
	}
	session->list_s = now_s();
	return octets;
}

static void open_mailbox(struct session *session, const struct options *options)
{
	if (!session_sign_in(session, options, 0) || !session_stat(session)) {
		report_failure("sign-in", session->line);
	}
}

static void quit(struct session *session)
{
	const double before_s = now_s();

	if (!session_command(session, "QUIT")) {
		report_failure("QUIT", session->line);
	}
	connection_close(&session->connection);
	report_number("t_quit", now_s() - before_s);
	report_number("t_total", now_s() - session->start_s);
	report_number("mailbox", (double)session->messages);
	report_number("t_login", session->signed_in_s - session->greeted_s);
}

/* The numbers of the messages wanted, and how many commands for them are on the way. */
struct window {
	long next, last, sent, size;
};

static struct window window_of(const struct session *session,
			       const struct options *options)
{
	const long size = options->window > 0 ? options->window : 1;
	struct window window = { options->first, session->messages, options->first,
				 size };

	if (options->count > 0 && options->first + options->count - 1 < window.last) {
		window.last = options->first + options->count - 1;
	}
	return window;
}

/* Sends ahead, half a window at a time. after: what stands behind the number. */
static void send_ahead(struct session *session, struct window *window, const char *verb,
		       const char *after)
{
	char text[BATCH_MAX];
	size_t len = 0;

	if (window->sent - window->next > window->size / 2) {
		return;
	}
	while (window->sent <= window->last &&
	       window->sent - window->next < window->size &&
	       len < sizeof(text) - COMMAND_MAX) {
		len += (size_t)snprintf(text + len, COMMAND_MAX, "%s %ld%s\r\n", verb,
					window->sent++, after);
	}
	if (len > 0 && !connection_send(&session->connection, text, len)) {
		report_failure(verb, "the connection is lost");
	}
}

static void retrieve(struct session *session, struct body *body, const char *verb)
{
	if (!session_answered(session)) {
		report_failure(verb, session->line);
	}
	if (!body_take_stuffed(body, &session->connection)) {
		report_failure(verb, "the message broke off");
	}
}

static int download(const struct options *options)
{
	struct session session;
	struct body body;
	char digest[65];
	long mismatches = 0;

	open_mailbox(&session, options);
	uint64_t *octets = list_all(&session);
	struct window window = window_of(&session, options);
	const long messages = window.last - window.next + 1;

	body_init(&body, options->hash);
	for (; window.next <= window.last; window.next++) {
		const uint64_t before = body.octets;

		send_ahead(&session, &window, "RETR", "");
		retrieve(&session, &body, "RETR");
		mismatches += body.octets - before != octets[window.next];
	}
	const double taken_s = now_s() - session.list_s;

	free(octets);
	quit(&session);
	body_finish(&body, digest);
	report_number("messages", (double)messages);
	report_number("octets", (double)body.octets);
	report_number("size_mismatch", (double)mismatches);
	report_number("t_ready", session.list_s - session.start_s);
	report_number("retr_ttfb", body.first_s - session.list_s);
	report_number("t_retr", taken_s);
	report_number("msg_s", (double)messages / taken_s);
	report_number("mb_s", (double)body.octets / 1e6 / taken_s);
	report_text("sha256", digest);
	report_end();
	return mismatches > 0 ? 1 : 0;
}

static int list(const struct options *options)
{
	struct session session;

	open_mailbox(&session, options);
	free(list_all(&session));
	quit(&session);
	report_number("t_stat", session.stat_s - session.signed_in_s);
	report_number("t_uidl", session.uidl_s - session.stat_s);
	report_number("t_list", session.list_s - session.uidl_s);
	report_number("t_ready", session.list_s - session.start_s);
	report_end();
	return 0;
}

static bool poll_once(const struct options *options, long number)
{
	struct session session;
	const bool ok = session_sign_in(&session, options, number) &&
			session_stat(&session) &&
			session_listing(&session, "UIDL", NULL) &&
			session_command(&session, "QUIT");

	connection_close(&session.connection);
	return ok;
}

static struct connection *idlers;

static bool idle_once(const struct options *options, long number)
{
	struct session session;
	const bool ok =
		session_sign_in(&session, options, number) && session_stat(&session);

	if (!ok) {
		fprintf(stderr, "session %ld: %s\n", number, session.line);
	}
	connection_drop_input(&session.connection);
	idlers[number] = session.connection;
	return ok;
}

static int idle(const struct options *options)
{
	idlers = calloc((size_t)options->sessions, sizeof(*idlers));
	if (!idlers) {
		report_failure("out of memory", "");
	}
	const int result = crowd_run(options, idle_once);

	while (getchar() != EOF) { // whoever started us measures now
	}
	for (long i = 0; i < options->sessions; i++) {
		connection_send(&idlers[i], "QUIT\r\n", 6);
	}
	for (long i = 0; i < options->sessions; i++) {
		connection_close(&idlers[i]);
	}
	free(idlers);
	return result;
}

/* DELE or TOP for each message. */
static int each(const struct options *options, const char *verb, const char *after,
		bool has_body)
{
	struct session session;
	struct body body;

	open_mailbox(&session, options);
	struct window window = window_of(&session, options);
	const long messages = window.last - window.next + 1;

	body_init(&body, false);
	for (; window.next <= window.last; window.next++) {
		send_ahead(&session, &window, verb, after);
		if (has_body) {
			retrieve(&session, &body, verb);
		} else if (!session_answered(&session)) {
			report_failure(verb, session.line);
		}
	}
	const double taken_s = now_s() - session.stat_s;

	quit(&session);
	report_number("messages", (double)messages);
	report_number("octets", (double)body.octets);
	report_number("t_cmds", taken_s);
	report_number("cmd_s", (double)messages / taken_s);
	report_end();
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;

	options_parse(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	connection_trust(options.ca_file);
	if (strcmp(options.mode, "download") == 0) {
		return download(&options);
	}
	if (strcmp(options.mode, "list") == 0) {
		return list(&options);
	}
	if (strcmp(options.mode, "poll") == 0) {
		return crowd_run(&options, poll_once);
	}
	if (strcmp(options.mode, "idle") == 0) {
		return idle(&options);
	}
	if (strcmp(options.mode, "dele") == 0) {
		return each(&options, "DELE", "", false);
	}
	if (strcmp(options.mode, "top") == 0) {
		return each(&options, "TOP", " 0", true);
	}
	fprintf(stderr, "unknown mode %s\n", options.mode);
	return 2;
}
