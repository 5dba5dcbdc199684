/*
 * An IMAP connection's life and its event pump.
 *
 * All goes well: imap_sign_in.c opens it, everybody sends commands and pulls events
 * here, imap_close() says LOGOUT. What can go wrong: the server says BYE, breaks the
 * protocol, closes, or a deadline passes; each marks the connection lost, once, here.
 */
#include "proxy/upstream/imap_internal.h"

#include "proxy/base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 9000 // a set of 8 KiB and its verb

bool imap_lose(struct imap *imap)
{
	imap->lost = true;
	return false;
}

void imap_set_ceiling(struct imap *imap, uint64_t deadline_ms)
{
	imap->ceiling_ms = deadline_ms;
}

void imap_set_deadline(struct imap *imap, uint64_t ms)
{
	const uint64_t deadline_ms = loop_deadline_ms(ms);

	imap->deadline_ms =
		deadline_ms < imap->ceiling_ms ? deadline_ms : imap->ceiling_ms;
}

/* EXPUNGE n: one message less, and maybe one of those that SELECT counted. */
static void note_expunge(struct imap_selection *selection, uint64_t number)
{
	if (number <= selection->left) {
		selection->left--;
	}
	if (selection->mailbox.exists > 0) {
		selection->mailbox.exists--;
	}
}

/* Only EXPUNGE makes a folder smaller (RFC 9051 7.4.1); else the number is a lie. */
static void note_exists(struct imap_selection *selection, uint32_t exists)
{
	if (!selection->exists_given) {
		selection->left = exists;
	} else if (exists < selection->mailbox.exists) {
		selection->shrank = true;
	}
	selection->exists_given = true;
	selection->mailbox.exists = exists;
}

static void note_code(struct imap *imap, const struct imap_wire_event *event)
{
	struct imap_mailbox *mailbox = &imap->selection.mailbox;

	if (event->code == IMAP_WIRE_CODE_CAPABILITY) {
		imap->capabilities = imap_capability_parse(event->code_text);
		imap->capabilities_given = true;
	} else if (event->code == IMAP_WIRE_CODE_UIDVALIDITY) {
		mailbox->uidvalidity = (uint32_t)event->number;
	} else if (event->code == IMAP_WIRE_CODE_UIDNEXT) {
		mailbox->uidnext = (uint32_t)event->number;
	} else if (event->code == IMAP_WIRE_CODE_UIDNOTSTICKY) {
		imap->selection.uid_not_sticky = true;
	} else if (event->code == IMAP_WIRE_CODE_PERMANENTFLAGS) {
		mailbox->deletable = event->number != 0;
	} else if (event->code == IMAP_WIRE_CODE_HIGHESTMODSEQ) {
		mailbox->highestmodseq = event->number;
	} else if (event->code == IMAP_WIRE_CODE_READ_ONLY) {
		mailbox->read_only = true;
	} else if (event->code == IMAP_WIRE_CODE_READ_WRITE) {
		mailbox->read_only = false;
	}
}

static void copy_text(struct bytes text, char *out, size_t size)
{
	const size_t len = text.len < size - 1 ? text.len : size - 1;

	if (len > 0) {
		memcpy(out, text.at, len);
	}
	out[len] = '\0';
}

static const char *const conditions[] = {
	[IMAP_WIRE_OK] = "OK",           [IMAP_WIRE_NO] = "NO",   [IMAP_WIRE_BAD] = "BAD",
	[IMAP_WIRE_PREAUTH] = "PREAUTH", [IMAP_WIRE_BYE] = "BYE",
};

void imap_trace(const struct imap *imap, const char *side, const char *format, ...)
{
	char text[LOG_VALUE_MAX];
	struct log_line line;
	va_list arguments;

	if (!imap->traced || !log_begin(&line, LOG_INFO, "trace")) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_string(&line, "session", imap->session_id);
	log_string(&line, "from", side);
	log_string(&line, "text", text);
	log_end(&line);
}

/* Since the last answer. */
static void note_octets(struct imap *imap)
{
	const uint64_t octets = stream_octets_in(imap->stream);

	allowance_take(&imap->allowance, octets - imap->taken_octets);
	imap->taken_octets = octets;
}

static void note_answer(struct imap *imap, const struct imap_wire_event *event)
{
	note_octets(imap);
	imap->answer.given = true;
	imap->answer.condition = event->condition;
	imap->answer.code = event->code;
	copy_text(event->text, imap->answer.text, sizeof(imap->answer.text));
	allowance_heed(&imap->allowance, imap->session_id, event,
		       imap->selection.exists_given);
	/* Not its text, which may repeat what was sent. */
	imap_trace(imap, "server", "%s %s", conditions[event->condition],
		   imap_wire_code_name(event->code));
}

/* Tags can be guessed: an answer to what still waits in our buffer was made up. */
static bool was_sent(struct imap *imap, struct failure *failure)
{
	if (stream_pending(imap->stream) == 0) {
		return true;
	}
	imap_lose(imap);
	return failure_set(failure, FAILURE_PROTOCOL,
			   "the server answered a command before it was sent");
}

static bool note_status(struct imap *imap, const struct imap_wire_event *event,
			struct failure *failure)
{
	note_code(imap, event);
	if (event->tag.len > 0) {
		note_answer(imap, event);
		return was_sent(imap, failure);
	}
	if (event->condition == IMAP_WIRE_BYE) {
		note_answer(imap, event);
		imap_lose(imap);
		return imap_refused(imap, FAILURE_PEER_GONE,
				    "the server ended the connection", failure);
	}
	return true;
}

/* What any response tells about the connection, whoever asked. */
static bool note(struct imap *imap, const struct imap_wire_event *event,
		 struct failure *failure)
{
	struct imap_selection *selection = &imap->selection;

	if (event->kind == IMAP_WIRE_STATUS) {
		return note_status(imap, event, failure);
	}
	if (event->kind == IMAP_WIRE_CAPABILITY) {
		imap->capabilities = imap_capability_parse(event->text);
		imap->capabilities_given = true;
	} else if (event->kind == IMAP_WIRE_EXISTS) {
		note_exists(selection, (uint32_t)event->number);
	} else if (event->kind == IMAP_WIRE_EXPUNGE) {
		note_expunge(selection, event->number);
	} else if (event->kind == IMAP_WIRE_VIOLATION) {
		imap_lose(imap);
		return failure_set(failure, FAILURE_PROTOCOL,
				   "the server broke the IMAP protocol: %s", event->why);
	}
	return true;
}

/*
 * How long the next wait may be. A body has no time limit but a minimum rate, counted
 * over a command's time of our own waiting: a client that reads slowly is not the
 * server's fault.
 */
static uint64_t fill_deadline(const struct imap *imap)
{
	if (!imap->reading.open) {
		return imap->deadline_ms;
	}
	return loop_deadline_ms(imap->upstream->limits->command_ms);
}

static bool judge_rate(struct imap *imap, uint64_t waited_ms, struct failure *failure)
{
	struct imap_reading *reading = &imap->reading;
	const uint64_t rate = imap->upstream->limits->minimum_rate;
	const uint64_t window_ms = imap->upstream->limits->command_ms;

	reading->waited_ms += waited_ms;
	if (reading->waited_ms < window_ms) {
		return true;
	}
	if (reading->window_octets < rate * window_ms / 1000) {
		return failure_set(failure, FAILURE_TIMEOUT,
				   "the server sent a message slower than %" PRIu64
				   " octets a second",
				   rate);
	}
	reading->waited_ms = 0;
	reading->window_octets = 0;
	return true;
}

SUSPENDS static bool fill(struct imap *imap, struct failure *failure)
{
	const uint64_t before = loop_now_ms();

	if (!stream_flush(imap->stream, imap->deadline_ms, failure)) {
		return imap_lose(imap);
	}
	imap->aside_sent = true;
	if (!stream_fill(imap->stream, fill_deadline(imap), failure)) {
		return imap_lose(imap);
	}
	imap->last_heard_ms = loop_now_ms();
	if (imap->reading.open &&
	    !judge_rate(imap, imap->last_heard_ms - before, failure)) {
		return imap_lose(imap);
	}
	return true;
}

/*
 * The answer to imap_send_aside(): nothing in it counts, its codes neither. A folder that
 * was not left is open, though.
 */
static bool is_aside(struct imap *imap, const struct imap_wire_event *event)
{
	if (event->kind != IMAP_WIRE_STATUS || event->tag.len == 0 ||
	    imap->aside_tag[0] == '\0' || !imap->aside_sent ||
	    !bytes_equal(event->tag, bytes_of(imap->aside_tag))) {
		return false;
	}
	imap->aside_tag[0] = '\0';
	if (imap->leaving && event->condition != IMAP_WIRE_OK) {
		imap_lose(imap);
	}
	imap->leaving = false;
	return true;
}

/* The next event in what is here. */
static void take_event(struct imap *imap, struct imap_wire_event *event)
{
	stream_consume(imap->stream, imap->taken);
	const struct bytes input = stream_input(imap->stream);
	struct bytes rest = input;

	imap_wire_next(&imap->wire, &rest, event);
	imap->taken = input.len - rest.len;
}

SUSPENDS bool imap_event(struct imap *imap, struct imap_wire_event *event,
			 struct failure *failure)
{
	for (;;) {
		take_event(imap, event);
		if (is_aside(imap, event)) {
			if (!imap->lost) {
				continue;
			}
			return failure_set(failure, FAILURE_PROTOCOL,
					   "the server does not leave the folder");
		}
		if (event->kind != IMAP_WIRE_NEED_INPUT) {
			return note(imap, event, failure);
		}
		stream_consume(imap->stream, imap->taken);
		imap->taken = 0;
		if (!fill(imap, failure)) {
			return false;
		}
	}
}

bool imap_refused(const struct imap *imap, enum failure_kind kind, const char *what,
		  struct failure *failure)
{
	const struct imap_answer *answer = &imap->answer;

	return failure_set(failure, kind, "%s: %s %s %s", what,
			   conditions[answer->condition],
			   imap_wire_code_name(answer->code), answer->text);
}

unsigned imap_next_tag(struct imap *imap)
{
	return ++imap->tag_number % 1000000;
}

/* Into the stream's buffer: it is flushed when somebody waits for an answer. */
__attribute__((format(printf, 2, 0))) SUSPENDS static bool
send_line(struct imap *imap, const char *format, va_list arguments,
	  struct failure *failure)
{
	struct buffer command;
	char *text = NULL;
	bool fits;
	bool sent;

	if (vasprintf(&text, format, arguments) < 0) {
		return failure_set(failure, FAILURE_TEMPORARY, "out of memory");
	}
	snprintf(imap->tag, sizeof(imap->tag), "P%s%u", imap->tag_secret,
		 imap_next_tag(imap));
	imap_set_deadline(imap, imap->upstream->limits->command_ms);
	buffer_init(&command, COMMAND_MAX);
	fits = buffer_printf(&command, "%s %s\r\n", imap->tag, text);
	imap_trace(imap, "upstream", "%s", text);
	free(text);
	sent = fits && stream_write(imap->stream, buffer_bytes(&command),
				    imap->deadline_ms, failure);
	buffer_release(&command);
	if (!fits) {
		return failure_set(failure, FAILURE_TEMPORARY, "a command grew too long");
	}
	return sent || imap_lose(imap);
}

SUSPENDS bool imap_send(struct imap *imap, unsigned expect, struct failure *failure,
			const char *format, ...)
{
	va_list arguments;
	bool sent;

	if (!imap_body_settle(imap, failure)) {
		return false;
	}
	imap->answer = (struct imap_answer){ 0 };
	imap_wire_begin_command(&imap->wire, expect);
	va_start(arguments, format);
	sent = send_line(imap, format, arguments, failure);
	va_end(arguments);
	return sent;
}

SUSPENDS bool imap_send_aside(struct imap *imap, struct failure *failure,
			      const char *format, ...)
{
	va_list arguments;
	bool sent;

	va_start(arguments, format);
	sent = send_line(imap, format, arguments, failure);
	va_end(arguments);
	memcpy(imap->aside_tag, imap->tag, sizeof(imap->aside_tag));
	imap->aside_sent = false;
	return sent;
}

bool imap_is_answer(struct imap *imap, const struct imap_wire_event *event, bool *wrong,
		    struct failure *failure)
{
	*wrong = false;
	if (event->kind != IMAP_WIRE_STATUS || event->tag.len == 0) {
		return false;
	}
	if (bytes_equal(event->tag, bytes_of(imap->tag))) {
		return true;
	}
	*wrong = true;
	imap_lose(imap);
	failure_set(failure, FAILURE_PROTOCOL,
		    "the server answered a command that was not sent");
	return false;
}

unsigned imap_capabilities(const struct imap *imap)
{
	return imap->capabilities;
}

uint32_t imap_exists(const struct imap *imap)
{
	return imap->selection.mailbox.exists;
}

uint32_t imap_selected_left(const struct imap *imap)
{
	return imap->selection.left;
}

bool imap_folder_shrank(const struct imap *imap)
{
	return imap->selection.shrank;
}

uint32_t imap_uidvalidity(const struct imap *imap)
{
	return imap->selection.mailbox.uidvalidity;
}

bool imap_is_lost(const struct imap *imap)
{
	return imap->lost;
}

bool imap_is_quiet(struct imap *imap)
{
	/* The last answer's line is still there, or each command would cost a NOOP. */
	stream_consume(imap->stream, imap->taken);
	imap->taken = 0;
	return !imap->lost && stream_is_quiet(imap->stream);
}

#define HEARD_OCTETS_MAX (64 * 1024) // who says more unasked is not worth waiting for

/* Nobody's command is under way: only what was sent aside may be answered. */
static void hear_events(struct imap *imap)
{
	struct imap_wire_event event;
	struct failure why;

	do {
		take_event(imap, &event);
		if (!is_aside(imap, &event) &&
		    (!note(imap, &event, &why) ||
		     (event.kind == IMAP_WIRE_STATUS && event.tag.len > 0))) {
			imap_lose(imap);
		}
	} while (!imap->lost && event.kind != IMAP_WIRE_NEED_INPUT);
}

bool imap_hear(struct imap *imap)
{
	const uint64_t before = stream_octets_in(imap->stream);

	while (!imap->lost && stream_has_input(imap->stream)) {
		hear_events(imap);
		if (stream_octets_in(imap->stream) - before > HEARD_OCTETS_MAX) {
			imap_lose(imap);
		}
	}
	return imap_is_quiet(imap);
}

bool imap_leave(struct imap *imap)
{
	char text[40];

	if (!imap->selection.exists_given) {
		return true;
	}
	if (!(imap->capabilities & IMAP_UNSELECT)) {
		return false;
	}
	imap->selection = (struct imap_selection){ 0 };
	imap_wire_begin_command(&imap->wire, IMAP_WIRE_EXPECT_NOTHING);
	snprintf(imap->aside_tag, sizeof(imap->aside_tag), "P%s%u", imap->tag_secret,
		 imap_next_tag(imap));
	snprintf(text, sizeof(text), "%s UNSELECT\r\n", imap->aside_tag);
	imap_trace(imap, "upstream", "UNSELECT");
	/* Where the socket does not take it whole, there is no answer, and no harm. */
	stream_say_now(imap->stream, bytes_of(text));
	imap->aside_sent = true;
	imap->leaving = true;
	return true;
}

void imap_serve(struct imap *imap, const struct imap_client *client)
{
	snprintf(imap->session_id, sizeof(imap->session_id), "%s", client->session_id);
	imap->traced = client->traced;
}

bool imap_is_settled(struct imap *imap)
{
	return imap_is_quiet(imap) && !imap->reading.open && imap->answer.given &&
	       imap->aside_tag[0] == '\0' && imap_wire_is_between_responses(&imap->wire);
}

uint64_t imap_last_heard_ms(const struct imap *imap)
{
	return imap->last_heard_ms;
}

void imap_rest(struct imap *imap)
{
	dialogue_release(imap);
	if (imap->window.count == 0) {
		imap_window_release(imap);
	}
	if (!imap->lost) {
		stream_consume(imap->stream, imap->taken);
		imap->taken = 0;
		if (imap_wire_is_between_responses(&imap->wire)) {
			imap_wire_trim(&imap->wire);
		}
	}
}

SUSPENDS bool imap_noop(struct imap *imap, struct failure *failure)
{
	if (!dialogue_noop(imap, failure)) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return imap_refused(imap, FAILURE_TEMPORARY, "NOOP", failure);
	}
	return true;
}

static bool accepted(struct imap *imap, bool answered, const char *what,
		     struct failure *failure)
{
	if (!answered) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return imap_refused(imap, FAILURE_TEMPORARY, what, failure);
	}
	return true;
}

SUSPENDS bool imap_store(struct imap *imap, struct bytes set, enum imap_flag flag,
			 bool add, struct failure *failure)
{
	return accepted(imap, dialogue_store(imap, set, flag, add, failure), "UID STORE",
			failure);
}

SUSPENDS bool imap_uid_expunge(struct imap *imap, struct bytes set,
			       struct failure *failure)
{
	return accepted(imap, dialogue_uid_expunge(imap, set, failure), "UID EXPUNGE",
			failure);
}

SUSPENDS bool imap_expunge(struct imap *imap, struct failure *failure)
{
	return accepted(imap, dialogue_expunge(imap, failure), "EXPUNGE", failure);
}

/* Nobody reads what is still on its way. */
SUSPENDS static void say_goodbye(struct imap *imap)
{
	struct failure ignored;
	char text[40];

	if (imap->lost || imap->reading.open) {
		return;
	}
	snprintf(text, sizeof(text), "P%s%u LOGOUT\r\n", imap->tag_secret,
		 imap_next_tag(imap));
	if (stream_write(imap->stream, bytes_of(text), loop_deadline_ms(1000),
			 &ignored)) {
		stream_flush(imap->stream, loop_deadline_ms(1000), &ignored);
	}
}

SUSPENDS void imap_close(struct imap *imap)
{
	if (!imap) {
		return;
	}
	dialogue_release(imap);
	say_goodbye(imap);
	note_octets(imap);
	stream_close(imap->stream);
	allowance_leave(&imap->place);
	metrics_gauge_down(METRICS_UPSTREAM_CONNECTIONS);
	imap_wire_release(&imap->wire);
	imap_window_release(imap);
	free(imap);
}
