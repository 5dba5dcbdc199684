/*
 * libetpan: composes the dialogue's commands and follows its state. The only file that
 * includes it.
 *
 * It reads through low_read(), which gives it nothing but the relay lines that
 * protocol/imap_wire composes: libetpan 1.9.4 crashes on single malformed lines. So it
 * learns only conditions; codes and data are taken from the events, in imap.c. Its
 * objects are freed while a session idles and made anew for the next command.
 */
#include "proxy/upstream/imap_internal.h"

#include "protocol/imap_set.h"
#include "proxy/base/memory.h"

#include <libetpan/libetpan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exported by libetpan 1.9.4, not declared in its installed headers. */
int mailimap_crlf_send(mailstream *stream);
int mailimap_space_send(mailstream *stream);
int mailimap_token_send(mailstream *stream, const char *token);
int mailimap_continue_req_parse(mailstream *stream, MMAPString *buffer,
				struct mailimap_parser_context *context, size_t *index,
				struct mailimap_continue_req **result,
				size_t progress_rate, progress_function *progress);

/* Answers are one short line, commands are flushed as they grow. */
#define STREAM_BUFFER_BYTES 1024

struct imap_dialogue {
	mailimap *session;  // owned
	mailstream *stream; // owned
	struct bytes relay; // what libetpan has still to read, in the wire's own line
};

static bool is_own_tag(const struct imap *imap, struct bytes tag)
{
	char expected[16];

	snprintf(expected, sizeof(expected), "%d", imap->dialogue->session->imap_tag);
	return bytes_equal(tag, bytes_of(expected));
}

/* An untagged status is the greeting, or else only disturbs an AUTHENTICATE. */
static bool is_for_libetpan(const mailimap *session, const struct imap_wire_event *event)
{
	return event->kind != IMAP_WIRE_STATUS || event->tag.len > 0 ||
	       session->imap_state == MAILIMAP_STATE_DISCONNECTED;
}

/* Until there is a line for libetpan. */
SUSPENDS static bool next_relay(struct imap *imap)
{
	struct imap_dialogue *dialogue = imap->dialogue;
	struct imap_wire_event event;

	while (dialogue->relay.len == 0) {
		if (!imap_event(imap, &event, imap->failure)) {
			return false;
		}
		if (event.kind == IMAP_WIRE_STATUS && event.tag.len > 0 &&
		    !is_own_tag(imap, event.tag)) {
			failure_set(imap->failure, FAILURE_PROTOCOL,
				    "the server answered a command that was not sent");
			return imap_lose(imap);
		}
		if (is_for_libetpan(dialogue->session, &event)) {
			dialogue->relay = event.relay;
		}
	}
	return true;
}

/* -1, never 0, at the end: libetpan loops for ever on 0 inside a literal. */
SUSPENDS static ssize_t low_read(mailstream_low *low, void *out, size_t size)
{
	struct imap *imap = low->data;
	struct imap_dialogue *dialogue = imap->dialogue;

	if (imap->lost || !next_relay(imap)) {
		return -1;
	}
	const size_t len = dialogue->relay.len < size ? dialogue->relay.len : size;

	memcpy(out, dialogue->relay.at, len);
	bytes_skip(&dialogue->relay, len);
	return (ssize_t)len;
}

SUSPENDS static ssize_t low_write(mailstream_low *low, const void *text, size_t len)
{
	struct imap *imap = low->data;

	if (imap->lost || !stream_write(imap->stream, (struct bytes){ text, len },
					imap->deadline_ms, imap->failure)) {
		imap_lose(imap);
		return -1;
	}
	return (ssize_t)len;
}

static int low_close(mailstream_low *low)
{
	(void)low;
	return 0;
}

static int low_get_fd(mailstream_low *low)
{
	(void)low;
	return -1;
}

static void low_free(mailstream_low *low)
{
	free(low);
}

static void low_cancel(mailstream_low *low)
{
	(void)low;
}

static mailstream_low_driver driver = {
	.mailstream_read = low_read,
	.mailstream_write = low_write,
	.mailstream_close = low_close,
	.mailstream_get_fd = low_get_fd,
	.mailstream_free = low_free,
	.mailstream_cancel = low_cancel,
};

static void dialogue_create(struct imap *imap)
{
	struct imap_dialogue *dialogue = memory_new(sizeof(*dialogue));
	mailstream_low *low = mailstream_low_new(imap, &driver);

	dialogue->session = mailimap_new(0, NULL);
	dialogue->stream = low ? mailstream_new(low, STREAM_BUFFER_BYTES) : NULL;
	if (!dialogue->session || !dialogue->stream) {
		abort();
	}
	if (imap->dialogue_state != 0) {
		dialogue->session->imap_stream = dialogue->stream;
		dialogue->session->imap_state = imap->dialogue_state;
		dialogue->session->imap_tag = imap->dialogue_tag;
	}
	imap->dialogue = dialogue;
}

void dialogue_release(struct imap *imap)
{
	struct imap_dialogue *dialogue = imap->dialogue;

	if (!dialogue) {
		return;
	}
	imap->dialogue_state = dialogue->session->imap_state;
	imap->dialogue_tag = dialogue->session->imap_tag;
	dialogue->session->imap_stream = NULL; // else mailimap_free() says LOGOUT
	mailimap_free(dialogue->session);
	mailstream_close(dialogue->stream);
	free(dialogue);
	imap->dialogue = NULL;
}

/*
 * Before every command. Gives the session to call libetpan with. Where what is on its way
 * cannot be taken in, the connection is lost, and libetpan will find that.
 */
SUSPENDS static mailimap *begin(struct imap *imap, uint64_t limit_ms, unsigned expect,
				struct failure *failure)
{
	imap_body_settle(imap, failure);
	if (!imap->dialogue) {
		dialogue_create(imap);
	}
	imap->failure = failure;
	imap->answer = (struct imap_answer){ 0 };
	imap_wire_begin_command(&imap->wire, expect);
	imap_set_deadline(imap, limit_ms);
	return imap->dialogue->session;
}

/*
 * After every command: libetpan's result does not matter where our pump saw the tagged
 * answer (it calls BAD a protocol error); without one the two are out of step.
 */
static bool finish(struct imap *imap, int result, struct failure *failure)
{
	imap->failure = NULL;
	if (imap->lost) {
		return false;
	}
	if (!imap->answer.given) {
		failure_set(failure, FAILURE_PROTOCOL,
			    "the IMAP library gave up with error %d", result);
		return imap_lose(imap);
	}
	return true;
}

SUSPENDS bool dialogue_greeting(struct imap *imap, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->connect_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);
	const int result = mailimap_connect(session, imap->dialogue->stream);

	imap->failure = NULL;
	if (imap->lost) {
		return false;
	}
	if (result == MAILIMAP_NO_ERROR_AUTHENTICATED) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the server greets with PREAUTH: it has signed in somebody "
			    "of its own choice");
		return imap_lose(imap);
	}
	if (result != MAILIMAP_NO_ERROR_NON_AUTHENTICATED) {
		failure_set(failure, FAILURE_PROTOCOL,
			    "the server does not greet like an IMAP server");
		return imap_lose(imap);
	}
	return true;
}

SUSPENDS bool dialogue_starttls(struct imap *imap, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->tls_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "STARTTLS");
	return finish(imap, mailimap_starttls(session), failure);
}

/* Send what stands in the stream and wait for the tagged answer. */
SUSPENDS static int complete(mailimap *session)
{
	struct mailimap_response *response;
	int result;

	if (mailimap_crlf_send(session->imap_stream) != MAILIMAP_NO_ERROR ||
	    mailstream_flush(session->imap_stream) == -1 ||
	    !mailimap_read_line(session)) {
		return MAILIMAP_ERROR_STREAM;
	}
	result = mailimap_parse_response(session, &response);
	if (result == MAILIMAP_NO_ERROR) {
		mailimap_response_free(response);
	}
	return result;
}

SUSPENDS bool dialogue_command(struct imap *imap, const char *command,
			       struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);
	int result = mailimap_send_current_tag(session);

	imap_trace(imap, "upstream", "%s", command);
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(session->imap_stream, command);
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = complete(session);
	}
	return finish(imap, result, failure);
}

/* libetpan's write buffer has held a credential. */
static void wipe_stream(struct imap *imap)
{
	memory_wipe(imap->dialogue->stream->write_buffer, STREAM_BUFFER_BYTES);
}

/* One line of ours in an AUTHENTICATE exchange. */
SUSPENDS static bool send_line(mailimap *session, const char *text)
{
	return mailimap_token_send(session->imap_stream, text) == MAILIMAP_NO_ERROR &&
	       mailimap_crlf_send(session->imap_stream) == MAILIMAP_NO_ERROR &&
	       mailstream_flush(session->imap_stream) != -1;
}

/* Is the line just read a continuation request? */
static bool is_continuation(mailimap *session)
{
	struct mailimap_continue_req *request;
	size_t index = 0;

	if (mailimap_continue_req_parse(session->imap_stream, session->imap_stream_buffer,
					NULL, &index, &request, 0,
					NULL) != MAILIMAP_NO_ERROR) {
		return false;
	}
	mailimap_continue_req_free(request);
	return true;
}

/*
 * One argument of LOGIN as a literal (RFC 9051 4.3): what octets above 0x7F need. Without
 * LITERAL+ the server is asked first. before: what stands in front of it on the line.
 */
SUSPENDS static bool send_literal(struct imap *imap, const char *before,
				  const struct secret *value)
{
	mailimap *session = imap->dialogue->session;
	const bool at_once = imap->capabilities & IMAP_LITERAL_PLUS;
	char head[64];

	snprintf(head, sizeof(head), at_once ? "%s{%zu+}" : "%s{%zu}", before,
		 value->len);
	if (!send_line(session, head)) {
		return false;
	}
	if (!at_once && (!mailimap_read_line(session) || !is_continuation(session))) {
		return false;
	}
	return mailimap_token_send(session->imap_stream, value->at) == MAILIMAP_NO_ERROR;
}

/* A server that refuses in mid-command has answered: then nothing more is sent. */
SUSPENDS static int login_by_literals(struct imap *imap, const struct secret *user,
				      const struct secret *password)
{
	mailimap *session = imap->dialogue->session;
	int result = mailimap_send_current_tag(session);

	if (result == MAILIMAP_NO_ERROR &&
	    (!send_literal(imap, "LOGIN ", user) || !send_literal(imap, " ", password))) {
		result = MAILIMAP_ERROR_STREAM;
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = complete(session);
	}
	if (imap->answer.given && imap->answer.condition == IMAP_WIRE_OK) {
		session->imap_state = MAILIMAP_STATE_AUTHENTICATED;
	}
	return result;
}

static bool has_8bit(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		if ((unsigned char)value.at[i] > 0x7f) {
			return true;
		}
	}
	return false;
}

SUSPENDS bool dialogue_login(struct imap *imap, const struct imap_credential *credential,
			     struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->authenticate_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);
	struct secret user = { 0 };
	struct secret password = { 0 };
	int result;

	imap_trace(imap, "upstream", "LOGIN ***");
	secret_set(&user, credential->user);
	secret_set(&password, credential->secret);
	if (has_8bit(credential->user) || has_8bit(credential->secret)) {
		result = login_by_literals(imap, &user, &password);
	} else {
		result = mailimap_login(session, user.at, password.at);
	}
	secret_release(&password);
	secret_release(&user);
	wipe_stream(imap);
	return finish(imap, result, failure);
}

#define CHALLENGES_MAX 3 // ours, the error report, and one to spare

SUSPENDS static int exchange(mailimap *session, const char *message, bool sent,
			     const char *closing)
{
	struct mailimap_response *response;
	int result;

	for (int challenges = 0;; challenges++) {
		if (!mailimap_read_line(session)) {
			return MAILIMAP_ERROR_STREAM;
		}
		if (!is_continuation(session)) {
			break;
		}
		if (challenges == CHALLENGES_MAX) {
			return MAILIMAP_ERROR_PROTOCOL;
		}
		if (!send_line(session, sent ? closing : message)) {
			return MAILIMAP_ERROR_STREAM;
		}
		sent = true;
	}
	result = mailimap_parse_response(session, &response);
	if (result != MAILIMAP_NO_ERROR) {
		return result;
	}
	if (response->rsp_resp_done->rsp_data.rsp_tagged->rsp_cond_state->rsp_type ==
	    MAILIMAP_RESP_COND_STATE_OK) {
		session->imap_state = MAILIMAP_STATE_AUTHENTICATED;
	}
	mailimap_response_free(response);
	return MAILIMAP_NO_ERROR;
}

SUSPENDS bool dialogue_authenticate(struct imap *imap, const char *mechanism,
				    const char *message, bool at_once,
				    const char *closing, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->authenticate_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);
	mailstream *stream = session->imap_stream;
	int result = mailimap_send_current_tag(session);

	imap_trace(imap, "upstream", "AUTHENTICATE %s ***", mechanism);
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(stream, "AUTHENTICATE ");
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(stream, mechanism);
	}
	if (result == MAILIMAP_NO_ERROR && at_once) {
		result = mailimap_space_send(stream);
	}
	if (result == MAILIMAP_NO_ERROR && !send_line(session, at_once ? message : "")) {
		result = MAILIMAP_ERROR_STREAM;
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = exchange(session, message, at_once, closing);
	}
	wipe_stream(imap);
	return finish(imap, result, failure);
}

SUSPENDS bool dialogue_select(struct imap *imap, const char *folder,
			      struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "SELECT %s", folder);
	return finish(imap, mailimap_select(session, folder), failure);
}

/* The set as libetpan wants it. Sets of ours are never malformed. */
static struct mailimap_set *etpan_set(struct bytes set)
{
	struct mailimap_set *out = mailimap_set_new_empty();
	struct imap_range range;

	while (out && imap_set_next(&set, &range) == IMAP_SET_RANGE) {
		if (mailimap_set_add_interval(out, range.first, range.last) !=
		    MAILIMAP_NO_ERROR) {
			abort();
		}
	}
	if (!out) {
		abort();
	}
	return out;
}

static struct mailimap_store_att_flags *etpan_flags(enum imap_flag flag, bool add)
{
	struct mailimap_flag_list *list = mailimap_flag_list_new_empty();
	struct mailimap_flag *word = flag == IMAP_FLAG_DELETED
					     ? mailimap_flag_new_deleted()
					     : mailimap_flag_new_seen();
	struct mailimap_store_att_flags *flags;

	if (!list || !word || mailimap_flag_list_add(list, word) != MAILIMAP_NO_ERROR) {
		abort();
	}
	flags = add ? mailimap_store_att_flags_new_add_flags_silent(list)
		    : mailimap_store_att_flags_new_remove_flags_silent(list);
	if (!flags) {
		abort();
	}
	return flags;
}

SUSPENDS bool dialogue_store(struct imap *imap, struct bytes set, enum imap_flag flag,
			     bool add, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_FETCH, failure);
	struct mailimap_set *uids = etpan_set(set);
	struct mailimap_store_att_flags *flags = etpan_flags(flag, add);
	int result;

	imap_trace(imap, "upstream", "UID STORE %.*s %cFLAGS.SILENT (%s)", (int)set.len,
		   set.at, add ? '+' : '-',
		   flag == IMAP_FLAG_DELETED ? "\\Deleted" : "\\Seen");
	result = mailimap_uid_store(session, uids, flags);

	mailimap_store_att_flags_free(flags);
	mailimap_set_free(uids);
	return finish(imap, result, failure);
}

SUSPENDS bool dialogue_uid_expunge(struct imap *imap, struct bytes set,
				   struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_VANISHED, failure);
	struct mailimap_set *uids = etpan_set(set);
	int result;

	imap_trace(imap, "upstream", "UID EXPUNGE %.*s", (int)set.len, set.at);
	result = mailimap_uid_expunge(session, uids);

	mailimap_set_free(uids);
	return finish(imap, result, failure);
}

SUSPENDS bool dialogue_noop(struct imap *imap, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "NOOP");
	return finish(imap, mailimap_noop(session), failure);
}

SUSPENDS bool dialogue_expunge(struct imap *imap, struct failure *failure)
{
	mailimap *session = begin(imap, imap->upstream->limits->command_ms,
				  IMAP_WIRE_EXPECT_VANISHED, failure);

	imap_trace(imap, "upstream", "EXPUNGE");
	return finish(imap, mailimap_expunge(session), failure);
}
