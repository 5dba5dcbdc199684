/*
 * The floor: what the upstream and the link would give to the best bridge. Raw IMAP,
 * nothing parsed but line ends and literal lengths.
 *
 * fetch list header  messages, their sizes, their headers; in one command, or with
 *                    --window in one each
 * dele               STORE and EXPUNGE of the first --count messages
 * poll               many sessions: LOGIN, EXAMINE, UID FETCH of the sizes, LOGOUT;
 *                    with --burst all behind LOGIN in one write
 */
#include "tests/bench/load/body.h"
#include "tests/bench/load/crowd.h"
#include "tests/bench/load/report.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_OCTETS 1024
#define BATCH_MAX 3840
#define COMMAND_MAX 96

struct answers {
	struct body body;
	long literals, untagged;
};

/* The length of the literal that the line announces at its end; 0: none. */
static uint64_t literal_of(const char *line)
{
	const size_t len = strlen(line);
	const char *brace = len > 0 && line[len - 1] == '}' ? strrchr(line, '{') : NULL;

	return brace ? strtoull(brace + 1, NULL, 10) : 0;
}

/* Takes answers up to the tagged one, which has to be OK. */
static bool until(struct connection *c, const char *tag, struct answers *answers)
{
	const size_t tag_len = strlen(tag);
	char line[LINE_OCTETS];

	while (connection_line(c, line, sizeof(line))) {
		const uint64_t literal = literal_of(line);

		if (strncmp(line, tag, tag_len) == 0 && line[tag_len] == ' ') {
			return strncmp(line + tag_len + 1, "OK", 2) == 0;
		}
		answers->untagged += line[0] == '*';
		answers->literals += literal > 0;
		if (literal > 0 && !body_take_literal(&answers->body, c, literal)) {
			return false;
		}
	}
	return false;
}

/* text is a whole command line, its tag the first letter. */
static bool say(struct connection *c, const char *text, struct answers *answers)
{
	const char tag[] = { text[0], '\0' };

	return connection_send(c, text, strlen(text)) && until(c, tag, answers);
}

static bool sign_in(struct connection *c, const struct options *options, long number)
{
	struct answers ignored = { 0 };
	char user[128];
	char line[LINE_OCTETS];

	options_user(options, number, user, sizeof(user));
	if (!connection_open(c, options->port, options->tls, 0) ||
	    !connection_line(c, line, sizeof(line))) {
		return false;
	}
	if (options->tls == TLS_BY_COMMAND &&
	    (!say(c, "S STARTTLS\r\n", &ignored) || !connection_start_tls(c))) {
		return false;
	}
	snprintf(line, sizeof(line), "L LOGIN %s %s\r\n", user, options->password);
	return say(c, line, &ignored);
}

static void fetch_at_once(struct connection *c, const struct options *options,
			  const char *item, struct answers *answers)
{
	char line[COMMAND_MAX];

	if (options->count > 0) {
		snprintf(line, sizeof(line), "F FETCH %ld:%ld (UID %s)\r\n",
			 options->first, options->first + options->count - 1, item);
	} else {
		snprintf(line, sizeof(line), "F UID FETCH 1:* (UID %s)\r\n", item);
	}
	if (!say(c, line, answers)) {
		report_failure("FETCH", line);
	}
}

/* Commands for the messages from *sent on, until a window of them is on the way. */
static void send_ahead(struct connection *c, const struct options *options,
		       const char *item, long next, long *sent)
{
	const long last = options->first + options->count - 1;
	char text[BATCH_MAX];
	size_t len = 0;

	if (*sent - next > options->window / 2) {
		return;
	}
	while (*sent <= last && *sent - next < options->window &&
	       len < sizeof(text) - COMMAND_MAX) {
		len += (size_t)snprintf(text + len, COMMAND_MAX,
					"F%ld FETCH %ld (UID %s)\r\n", *sent, *sent,
					item);
		++*sent;
	}
	if (len > 0 && !connection_send(c, text, len)) {
		report_failure("FETCH", "the connection is lost");
	}
}

static void fetch_each(struct connection *c, const struct options *options,
		       const char *item, struct answers *answers)
{
	long sent = options->first;
	char tag[32];

	for (long i = options->first; i < options->first + options->count; i++) {
		send_ahead(c, options, item, i, &sent);
		snprintf(tag, sizeof(tag), "F%ld", i);
		if (!until(c, tag, answers)) {
			report_failure("FETCH", tag);
		}
	}
}

static void report_fetch(struct answers *answers, double taken_s)
{
	const long messages =
		answers->literals > 0 ? answers->literals : answers->untagged;
	char digest[65];

	body_finish(&answers->body, digest);
	report_number("messages", (double)messages);
	report_number("octets", (double)answers->body.octets);
	report_number("t_retr", taken_s);
	report_number("msg_s", (double)messages / taken_s);
	report_number("cmd_s", (double)messages / taken_s);
	report_number("mb_s", (double)answers->body.octets / 1e6 / taken_s);
	report_text("sha256", digest);
}

static int fetch(const struct options *options, const char *item)
{
	const double start_s = now_s();
	struct answers answers = { 0 };
	struct connection c;

	body_init(&answers.body, options->hash);
	if (!sign_in(&c, options, 0) || !say(&c, "E EXAMINE INBOX\r\n", &answers)) {
		report_failure("sign-in", options->user);
	}
	const double ready_s = now_s();

	answers.untagged = 0;
	if (options->window > 0) {
		fetch_each(&c, options, item, &answers);
	} else {
		fetch_at_once(&c, options, item, &answers);
	}
	const double taken_s = now_s() - ready_s;

	say(&c, "Q LOGOUT\r\n", &answers);
	connection_close(&c);
	report_number("t_total", now_s() - start_s);
	report_number("t_ready", ready_s - start_s);
	if (answers.body.first_s > 0) {
		report_number("retr_ttfb", answers.body.first_s - ready_s);
	}
	report_fetch(&answers, taken_s);
	report_end();
	return 0;
}

static int dele(const struct options *options)
{
	const double start_s = now_s();
	struct answers ignored = { 0 };
	struct connection c;
	char line[COMMAND_MAX];

	if (!sign_in(&c, options, 0) || !say(&c, "E SELECT INBOX\r\n", &ignored)) {
		report_failure("sign-in", options->user);
	}
	const double ready_s = now_s();

	snprintf(line, sizeof(line), "D STORE 1:%ld +FLAGS.SILENT (\\Deleted)\r\n",
		 options->count);
	if (!say(&c, line, &ignored) || !say(&c, "X EXPUNGE\r\n", &ignored)) {
		report_failure("STORE, EXPUNGE", "");
	}
	const double taken_s = now_s() - ready_s;

	say(&c, "Q LOGOUT\r\n", &ignored);
	connection_close(&c);
	report_number("messages", (double)options->count);
	report_number("t_quit", taken_s);
	report_number("t_total", now_s() - start_s);
	report_end();
	return 0;
}

#define EXAMINE "E EXAMINE INBOX\r\n"
#define SIZES "F UID FETCH 1:* (UID RFC822.SIZE)\r\n"
#define LOGOUT "Q LOGOUT\r\n"

static bool poll_step_by_step(struct connection *c, struct answers *ignored)
{
	return say(c, EXAMINE, ignored) && say(c, SIZES, ignored) &&
	       say(c, LOGOUT, ignored);
}

static bool poll_in_one(struct connection *c, struct answers *ignored)
{
	static const char all[] = EXAMINE SIZES LOGOUT;

	return connection_send(c, all, sizeof(all) - 1) && until(c, "E", ignored) &&
	       until(c, "F", ignored);
}

static bool poll_once(const struct options *options, long number)
{
	struct answers ignored = { 0 };
	struct connection c;
	const bool ok = sign_in(&c, options, number) &&
			(options->burst ? poll_in_one(&c, &ignored)
					: poll_step_by_step(&c, &ignored));

	connection_close(&c);
	return ok;
}

int main(int argc, char **argv)
{
	struct options options;

	options_parse(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	connection_trust(options.ca_file);
	if (strcmp(options.mode, "fetch") == 0) {
		return fetch(&options, "BODY.PEEK[]");
	}
	if (strcmp(options.mode, "list") == 0) {
		return fetch(&options, "RFC822.SIZE");
	}
	if (strcmp(options.mode, "header") == 0) {
		return fetch(&options, "BODY.PEEK[HEADER]");
	}
	if (strcmp(options.mode, "poll") == 0) {
		return crowd_run(&options, poll_once);
	}
	if (strcmp(options.mode, "dele") == 0) {
		return dele(&options);
	}
	fprintf(stderr, "unknown mode %s\n", options.mode);
	return 2;
}
