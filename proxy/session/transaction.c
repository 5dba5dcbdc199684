/*
 * TRANSACTION (RFC 1939 section 5): a verb, a function. Answers come from the snapshot;
 * only RETR and TOP ask upstream.
 */
#include "proxy/session/session_internal.h"

#include "protocol/pop3_body.h"
#include "proxy/mailbox/body.h"

#include <inttypes.h>
#include <stdio.h>

#define TOP_FIRST_PART (8 * 1024) // most headers, with TOP 0 to 20
#define TOP_LINE_GUESS 80

SUSPENDS static enum next no_such_message(struct session *session)
{
	return reply_format(session, "-ERR no such message");
}

SUSPENDS static enum next do_stat(struct session *session)
{
	const struct snapshot *snapshot = &session->maildrop.snapshot;

	return reply_ok(session, "%" PRIu32 " %" PRIu64, snapshot_left(snapshot),
			snapshot->octets);
}

/* One line of LIST or UIDL. `before` is "+OK " for the single message's answer. */
SUSPENDS static enum next list_line(struct session *session, const char *before,
				    uint32_t msgno, const struct message *message)
{
	return reply_format(session, "%s%" PRIu32 " %" PRIu64, before, msgno,
			    snapshot_octets(&session->maildrop.snapshot, message));
}

SUSPENDS static enum next unique_id_line(struct session *session, const char *before,
					 uint32_t msgno, const struct message *message)
{
	char id[POP3_UNIQUE_ID_MAX];
	const size_t len = snapshot_unique_id(&session->maildrop.snapshot, message, id);

	return reply_format(session, "%s%" PRIu32 " %.*s", before, msgno, (int)len, id);
}

SUSPENDS static enum next line_for(struct session *session, enum pop3_verb verb,
				   const char *before, uint32_t msgno,
				   const struct message *message)
{
	return verb == POP3_LIST ? list_line(session, before, msgno, message)
				 : unique_id_line(session, before, msgno, message);
}

/* LIST and UIDL, for one message or for all that are not marked. */
SUSPENDS static enum next do_listing(struct session *session,
				     const struct pop3_command *command)
{
	const struct snapshot *snapshot = &session->maildrop.snapshot;
	const struct message *message;
	enum next next;

	session->maildrop.prefetch.listed = true;
	if (command->msgno > 0) {
		message = snapshot_message(snapshot, command->msgno);
		return message ? line_for(session, command->verb, "+OK ", command->msgno,
					  message)
			       : no_such_message(session);
	}
	session->in_answer = true;
	next = reply_ok(session, "%" PRIu32 " messages (%" PRIu64 " octets)",
			snapshot_left(snapshot), snapshot->octets);
	for (uint32_t n = 1; n <= snapshot->count && next == NEXT_COMMAND; n++) {
		message = snapshot_message(snapshot, n);
		if (message) {
			next = line_for(session, command->verb, "", n, message);
		}
	}
	if (next == NEXT_COMMAND) {
		next = reply_end(session);
		report_trace(session, "answer", "(%" PRIu32 " lines)",
			     snapshot_left(snapshot));
	}
	session->in_answer = next != NEXT_COMMAND;
	return next;
}

/*
 * The client has been promised a message that cannot be completed. The only honest
 * answer is to hang up hard, so that it takes nothing truncated for whole.
 */
static enum next break_off(struct session *session, uint32_t imap_uid,
			   const struct failure *failure)
{
	struct log_line line;

	if (report_begin(session, &line, LOG_WARNING, "message broke off")) {
		log_number(&line, "uid", imap_uid);
		log_string(&line, "cause", failure->text);
		log_end(&line);
	}
	session->end = failure->kind == FAILURE_CANCELLED ? SESSION_CANCELLED
							  : SESSION_TRUNCATED;
	return NEXT_CLOSE;
}

/* One slice, converted into the client's buffer. */
SUSPENDS static enum next send_slice(struct session *session, struct pop3_body *convert,
				     struct bytes slice)
{
	struct failure failure;
	char *room;
	size_t size;

	while (slice.len > 0 && !pop3_body_is_full(convert)) {
		if (!stream_room(session->client, &room, &size,
				 session_write_deadline_ms(session), &failure)) {
			return session_client_failed(session, &failure);
		}
		stream_wrote(session->client,
			     pop3_body_convert(convert, &slice, room, size));
	}
	return NEXT_COMMAND;
}

/* Before a wait for the server the client gets what there is. */
SUSPENDS static enum next flush_before_wait(struct session *session, struct body *body)
{
	struct failure failure;

	if (stream_pending(session->client) == 0 || body_is_buffered(body)) {
		return NEXT_COMMAND;
	}
	if (!stream_flush(session->client, session_write_deadline_ms(session),
			  &failure)) {
		return session_client_failed(session, &failure);
	}
	return NEXT_COMMAND;
}

/* All slices, then the proof that they were the message, then its end. */
SUSPENDS static enum next send_body(struct session *session, struct body *body,
				    struct pop3_body *convert)
{
	char end[POP3_BODY_END_MAX];
	struct failure failure;
	struct bytes slice;
	enum next next;

	do {
		next = flush_before_wait(session, body);
		if (next != NEXT_COMMAND) {
			return next;
		}
		if (!body_read(body, &slice, &failure)) {
			return break_off(session, body->part.imap_uid, &failure);
		}
		next = send_slice(session, convert, slice);
	} while (next == NEXT_COMMAND && slice.len > 0 && !pop3_body_is_full(convert));
	if (next != NEXT_COMMAND) {
		return next;
	}
	if (!body_finish(body, &failure)) {
		return break_off(session, body->part.imap_uid, &failure);
	}
	return reply_text(session, (struct bytes){ end, pop3_body_end(convert, end) });
}

static void report_sizes(const struct session *session, const struct message *message,
			 const struct body *body)
{
	struct log_line line;

	if (report_begin(session, &line, LOG_WARNING, "sizes differ")) {
		log_string(&line, "server", session->maildrop.upstream->route->server);
		log_number(&line, "said", message->octets);
		log_number(&line, "octets", body->octets);
		log_string(&line, "message",
			   "the server's RFC822.SIZE is wrong; LIST shows it until the "
			   "message was retrieved once");
		log_end(&line);
	}
}

/* Counted per upstream, logged once: the server's RFC822.SIZE is not the message's. */
static void compare_size(struct session *session, const struct message *message,
			 const struct body *body)
{
	struct upstream *upstream = session->maildrop.upstream;

	if (body->octets == message->octets) {
		return;
	}
	metrics_count(METRICS_WRONG_SIZES);
	if (upstream->wrong_sizes++ == 0) {
		report_sizes(session, message, body);
	}
}

/* Only after the client has all of it, and never for TOP. */
SUSPENDS static enum next mark_read(struct session *session,
				    const struct message *message)
{
	struct failure failure;

	if (!session->maildrop.upstream->route->mark_read ||
	    (session->maildrop.rights & KEEPER_READ_ONLY) ||
	    session->maildrop.mailbox.read_only) {
		return NEXT_COMMAND;
	}
	if (!stream_flush(session->client, session_write_deadline_ms(session),
			  &failure)) {
		return session_client_failed(session, &failure);
	}
	if (!imap_mark_seen(session->maildrop.imap, message->imap_uid, &failure)) {
		report_failure(session, LOG_WARNING, "not marked read", &failure);
	}
	return NEXT_COMMAND;
}

/* Nothing was promised yet. A lost upstream ends the session, any other refusal does not.
 */
SUSPENDS static enum next refuse_body(struct session *session,
				      const struct failure *failure)
{
	const enum next next = reply_failure(session, failure);

	if (next != NEXT_COMMAND || session->maildrop.imap) {
		return next;
	}
	session->end =
		failure->kind == FAILURE_CANCELLED ? SESSION_CANCELLED : SESSION_UPSTREAM;
	return NEXT_CLOSE;
}

SUSPENDS static enum next give(struct session *session, struct message *message,
			       struct body *body, uint32_t lines)
{
	const bool whole = lines == POP3_BODY_ALL;
	struct snapshot *snapshot = &session->maildrop.snapshot;
	struct pop3_body convert;
	enum next next;

	pop3_body_init(&convert, lines,
		       session->maildrop.upstream->route->nul == CONFIG_NUL_REPLACE);
	session->in_answer = true;
	next = whole ? reply_ok(session, "%" PRIu64 " octets",
				snapshot_octets(snapshot, message))
		     : reply_ok(session, "top of message follows");
	if (next == NEXT_COMMAND) {
		next = send_body(session, body, &convert);
	}
	if (next != NEXT_COMMAND) {
		return next;
	}
	session->in_answer = false;
	report_trace(session, "answer", "(message, %" PRIu64 " octets)", convert.octets);
	session->retrieved_octets += convert.octets;
	metrics_add(METRICS_OCTETS_RETRIEVED, convert.octets);
	if (!whole) {
		return NEXT_COMMAND;
	}
	session->retrieved++;
	metrics_count(METRICS_MESSAGES_RETRIEVED);
	compare_size(session, message, body);
	snapshot_learn(snapshot, message, convert.octets);
	return mark_read(session, message);
}

/*
 * RETR and TOP. Everything that can be refused is refused before +OK: after it the
 * client is reading a message and the only honest failure is to hang up.
 */
SUSPENDS static enum next do_retrieve(struct session *session, uint32_t msgno,
				      uint32_t lines, uint64_t first_part)
{
	struct message *message = snapshot_message(&session->maildrop.snapshot, msgno);
	struct failure failure;
	struct body body;

	if (!message) {
		return no_such_message(session);
	}
	switch (body_open(&body, &session->maildrop, msgno, first_part, &failure)) {
	case IMAP_BODY_READY:
		return give(session, message, &body, lines);
	case IMAP_BODY_GONE:
		maildrop_forget_list(&session->maildrop);
		return reply_gone(session, msgno);
	case IMAP_BODY_FAILED:
		break;
	}
	return refuse_body(session, &failure);
}

SUSPENDS static enum next do_top(struct session *session,
				 const struct pop3_command *command)
{
	const uint64_t guess = (uint64_t)command->lines * TOP_LINE_GUESS;
	const uint64_t most = 1024 * 1024;
	/* No message has as many lines, and TOP is never a RETR: it marks nothing read.
	 */
	const uint32_t lines =
		command->lines == POP3_BODY_ALL ? POP3_BODY_ALL - 1 : command->lines;

	return do_retrieve(session, command->msgno, lines,
			   TOP_FIRST_PART + (guess < most ? guess : most));
}

SUSPENDS static enum next do_dele(struct session *session, uint32_t msgno)
{
	struct snapshot *snapshot = &session->maildrop.snapshot;
	struct message *message = snapshot_message(snapshot, msgno);
	struct failure failure;

	if (!message) {
		return no_such_message(session);
	}
	if (!maildrop_can_delete(&session->maildrop, &failure)) {
		return reply_failure(session, &failure);
	}
	snapshot_mark(snapshot, message);
	return reply_ok(session, "message %" PRIu32 " marked", msgno);
}

SUSPENDS static enum next do_rset(struct session *session)
{
	snapshot_unmark_all(&session->maildrop.snapshot);
	return reply_ok(session, "%" PRIu32 " messages (%" PRIu64 " octets)",
			session->maildrop.snapshot.count,
			session->maildrop.snapshot.octets);
}

SUSPENDS static enum next obey(struct session *session,
			       const struct pop3_command *command)
{
	switch (command->verb) {
	case POP3_CAPA:
		return reply_capabilities(session);
	case POP3_DELE:
		return do_dele(session, command->msgno);
	case POP3_LIST:
	case POP3_UIDL:
		return do_listing(session, command);
	case POP3_NOOP:
		return reply_ok(session, "still here");
	case POP3_QUIT:
		return NEXT_STATE;
	case POP3_RETR:
		return do_retrieve(session, command->msgno, POP3_BODY_ALL, 0);
	case POP3_RSET:
		return do_rset(session);
	case POP3_STAT:
		return do_stat(session);
	case POP3_TOP:
		return do_top(session, command);
	case POP3_APOP:
	case POP3_AUTH:
	case POP3_PASS:
	case POP3_STLS:
	case POP3_USER:
		break; // refused by the parser in this state
	}
	return NEXT_CLOSE;
}

SUSPENDS static enum next answer(struct session *session, struct bytes line)
{
	struct pop3_command command;

	switch (pop3_command_parse(line, POP3_TRANSACTION, &command)) {
	case POP3_PARSE_OK:
		break;
	case POP3_PARSE_UNKNOWN:
		return reply_mistake(session, "unknown command");
	case POP3_PARSE_WRONG_STATE:
		return reply_mistake(session, "already signed in");
	case POP3_PARSE_BAD_ARGUMENT:
		return reply_mistake(session, "bad or missing argument");
	}
	report_trace(session, "client", "%.*s", (int)line.len, line.at);
	maildrop_keep_alive(&session->maildrop);
	return obey(session, &command);
}

SUSPENDS enum next transaction(struct session *session)
{
	enum next next = NEXT_COMMAND;
	struct bytes line;

	while (next == NEXT_COMMAND) {
		switch (session_read_line(session, &line)) {
		case SESSION_LINE_READY:
			next = answer(session, line);
			break;
		case SESSION_LINE_REFUSED:
			break;
		case SESSION_LINE_NONE:
			next = NEXT_CLOSE;
			break;
		}
	}
	return next;
}
