/*
 * Many sessions of a POP3 server, JSON objects as the result.
 *
 * hold   signed in, all of them kept; when standard input has something or ends, each
 * does UIDL, one RETR whose every octet is compared, QUIT; a second result. The mailboxes
 * are those of made_mail.h unread signed in, all of them kept, each has sent a RETR and
 * never reads what comes visit  sign-in, then gone: what the sign-in took soak   sign-in,
 * STAT, UIDL, RETR; then QUIT, or DELE and QUIT, or gone without a word at several
 * places. The ledger has a line for each message that QUIT or the lack of it decided
 * about: USER UID deleted|kept|unknown
 */
#include "tests/bench/load/crowd.h"
#include "tests/bench/load/made_mail.h"
#include "tests/bench/load/pop3_session.h"
#include "tests/bench/load/report.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(long number, const char *what, const struct session *session)
{
	fprintf(stderr, "session %ld: %s: %s\n", number, what, session->line);
}

static struct connection *held;

static bool hold_one(const struct options *options, long number)
{
	struct session session;
	const bool ok =
		session_sign_in(&session, options, number) && session_stat(&session);

	if (!ok) {
		complain(number, "sign-in", &session);
	}
	connection_drop_input(&session.connection);
	held[number] = session.connection;
	return ok;
}

/* A message as it comes off the wire, compared with what it must be. */
static bool is_message(struct session *session, const struct made_mailbox *mailbox,
		       uint32_t imap_uid)
{
	const uint32_t octets = made_mail_octets(mailbox, imap_uid);
	uint32_t at = 0;

	while (connection_line(&session->connection, session->line, LINE_OCTETS)) {
		char expected[LINE_OCTETS];
		const char *line = session->line;

		if (strcmp(line, ".") == 0) {
			return at == octets;
		}
		line += line[0] == '.';
		const size_t len = strlen(line);

		if (len + 2 > octets - at) {
			return false;
		}
		made_mail_read(mailbox, imap_uid, at, len + 2, expected);
		if (memcmp(expected, line, len) != 0 ||
		    memcmp(expected + len, "\r\n", 2) != 0) {
			return false;
		}
		at += (uint32_t)len + 2;
	}
	return false;
}

static bool take_leave(struct session *session, const struct options *options,
		       long number)
{
	struct made_mailbox mailbox;
	char user[128];

	options_user(options, number, user, sizeof(user));
	if (!made_mailbox_parse(user, &mailbox)) {
		return false;
	}
	session->messages = mailbox.messages;
	const uint32_t msgno = (uint32_t)number % mailbox.messages + 1;

	return session_listing(session, "UIDL", NULL) &&
	       session_command(session, "RETR %u", msgno) &&
	       is_message(session, &mailbox, msgno) && session_command(session, "QUIT");
}

static bool end_one(const struct options *options, long number)
{
	struct session session = { .connection = held[number] };
	bool ok;

	if (session.connection.fd < 0) {
		return false;
	}
	connection_want_input(&session.connection);
	ok = take_leave(&session, options, number);
	if (!ok) {
		complain(number, "UIDL, RETR, QUIT", &session);
	}
	connection_close(&session.connection);
	return ok;
}

static void make_room(const struct options *options)
{
	held = calloc((size_t)options->sessions, sizeof(*held));
	if (!held) {
		report_failure("out of memory", "");
	}
}

static int hold(const struct options *options)
{
	struct options second = *options;

	make_room(options);
	const int first_result = crowd_run(options, hold_one);

	getchar(); // whoever started us measures now
	second.rate = 0;
	const int second_result = crowd_run(&second, end_one);

	free(held);
	return first_result ? first_result : second_result;
}

static bool ask_and_never_read(const struct options *options, long number)
{
	return hold_one(options, number) &&
	       connection_send(&held[number], "RETR 1\r\n", 8);
}

static int unread(const struct options *options)
{
	make_room(options);
	const int result = crowd_run(options, ask_and_never_read);

	getchar();
	for (long i = 0; i < options->sessions; i++) {
		connection_close(&held[i]);
	}
	free(held);
	return result;
}

static bool visit(const struct options *options, long number)
{
	struct session session;
	const bool ok = session_sign_in(&session, options, number);

	if (ok) {
		connection_send(&session.connection, "QUIT\r\n", 6);
	} else {
		complain(number, "sign-in", &session);
	}
	connection_close(&session.connection);
	return ok;
}

/* How a session of the soak ends, by its number: every hundred the same. */
enum soak_end { SOAK_QUIT, SOAK_DELETE, SOAK_DELETE_GONE, SOAK_GONE, SOAK_GONE_READING };

static enum soak_end soak_end_of(const struct options *options, long number)
{
	/* A user's ends differ from round to round. */
	const long rest = (number + number / options->users * 7) % 100;

	if (rest < 3) {
		return SOAK_DELETE;
	}
	if (rest < 6) {
		return SOAK_DELETE_GONE;
	}
	if (rest < 13) {
		return SOAK_GONE;
	}
	return rest < 20 ? SOAK_GONE_READING : SOAK_QUIT;
}

static FILE *ledger;

static void enter(const struct options *options, long number, const char *unique_id,
		  const char *fate)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char user[128];
	char uid[9];

	options_user(options, number, user, sizeof(user));
	snprintf(uid, sizeof(uid), "%s", unique_id); // {uid:08x}{uidvalidity:08x}
	pthread_mutex_lock(&lock);
	fprintf(ledger, "%s %ld %s\n", user, strtol(uid, NULL, 16), fate);
	pthread_mutex_unlock(&lock);
}

/* A message whole, its size as LIST has it. */
static bool retrieve(struct session *session, long msgno)
{
	struct body body;
	char *at;

	body_init(&body, false);
	if (!session_command(session, "LIST %ld", msgno)) {
		return false;
	}
	strtol(session->line + 3, &at, 10);
	const uint64_t octets = strtoull(at, NULL, 10);

	return session_command(session, "RETR %ld", msgno) &&
	       body_take_stuffed(&body, &session->connection) && body.octets == octets;
}

static bool delete_one(struct session *session, const struct options *options,
		       long number, bool with_quit)
{
	const long msgno = number % session->messages + 1;
	char unique_id[LINE_OCTETS];
	char *at;

	if (!session_command(session, "UIDL %ld", msgno)) {
		return false;
	}
	strtol(session->line + 3, &at, 10);
	snprintf(unique_id, sizeof(unique_id), "%s", at + 1);
	if (!session_command(session, "DELE %ld", msgno)) {
		return false;
	}
	if (!with_quit) {
		enter(options, number, unique_id, "kept");
		return true;
	}
	const bool proven = session_command(session, "QUIT");

	enter(options, number, unique_id, proven ? "deleted" : "unknown");
	return proven;
}

/* Behind sign-in, STAT and UIDL. */
static bool spend(struct session *session, const struct options *options, long number)
{
	const long messages = session->messages;
	const long msgno = messages > 0 ? number / 7 % messages + 1 : 0;

	switch (soak_end_of(options, number)) {
	case SOAK_GONE:
		return true;
	case SOAK_GONE_READING:
		return messages == 0 || session_command(session, "RETR %ld", msgno);
	case SOAK_DELETE:
	case SOAK_DELETE_GONE:
		if (messages > 0) {
			return retrieve(session, msgno) &&
			       delete_one(session, options, number,
					  soak_end_of(options, number) == SOAK_DELETE);
		}
		break;
	case SOAK_QUIT:
		break;
	}
	return (messages == 0 || retrieve(session, msgno)) &&
	       session_command(session, "QUIT");
}

static bool soak_one(const struct options *options, long number)
{
	struct session session;
	const bool ok = session_sign_in(&session, options, number) &&
			session_stat(&session) &&
			session_listing(&session, "UIDL", NULL) &&
			spend(&session, options, options->base + number);

	if (!ok) {
		complain(number, "soak", &session);
	}
	connection_close(&session.connection);
	return ok;
}

static int soak(const struct options *options)
{
	ledger = options->ledger ? fopen(options->ledger, "w") : NULL;
	if (!ledger) {
		report_failure("ledger", "");
	}
	const int result = crowd_run(options, soak_one);

	fclose(ledger);
	return result;
}

int main(int argc, char **argv)
{
	struct options options;

	options_parse(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	connection_trust(options.ca_file);
	if (strcmp(options.mode, "hold") == 0) {
		return hold(&options);
	}
	if (strcmp(options.mode, "unread") == 0) {
		return unread(&options);
	}
	if (strcmp(options.mode, "visit") == 0) {
		return crowd_run(&options, visit);
	}
	if (strcmp(options.mode, "soak") == 0) {
		return soak(&options);
	}
	fprintf(stderr, "unknown mode %s\n", options.mode);
	return 2;
}
