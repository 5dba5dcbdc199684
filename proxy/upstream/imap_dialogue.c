/*
 * libetpan: composes the dialogue's commands and follows its state. This file and
 * imap_dialogue_sign_in.c are the only ones that include it.
 *
 * It reads through low_read(), which gives it nothing but the relay lines that
 * protocol/imap_wire composes: libetpan 1.9.4 crashes on single malformed lines. So it
 * learns only conditions; codes and data are taken from the events, in imap.c. Its
 * objects are freed while a session idles and made anew for the next command.
 */
#include "proxy/upstream/imap_dialogue_internal.h"

#include "protocol/imap_set.h"
#include "proxy/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

SUSPENDS mailimap *dialogue_begin(struct imap *imap, uint64_t limit_ms, unsigned expect,
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

bool dialogue_finish(struct imap *imap, int result, struct failure *failure)
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

SUSPENDS int dialogue_complete(mailimap *session)
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
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);
	int result = mailimap_send_current_tag(session);

	imap_trace(imap, "upstream", "%s", command);
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(session->imap_stream, command);
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = dialogue_complete(session);
	}
	return dialogue_finish(imap, result, failure);
}

SUSPENDS bool dialogue_select(struct imap *imap, const char *folder,
			      struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "SELECT %s", folder);
	return dialogue_finish(imap, mailimap_select(session, folder), failure);
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
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
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
	return dialogue_finish(imap, result, failure);
}

SUSPENDS bool dialogue_uid_expunge(struct imap *imap, struct bytes set,
				   struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
					   IMAP_WIRE_EXPECT_VANISHED, failure);
	struct mailimap_set *uids = etpan_set(set);
	int result;

	imap_trace(imap, "upstream", "UID EXPUNGE %.*s", (int)set.len, set.at);
	result = mailimap_uid_expunge(session, uids);

	mailimap_set_free(uids);
	return dialogue_finish(imap, result, failure);
}

SUSPENDS bool dialogue_noop(struct imap *imap, struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "NOOP");
	return dialogue_finish(imap, mailimap_noop(session), failure);
}

SUSPENDS bool dialogue_expunge(struct imap *imap, struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->command_ms,
					   IMAP_WIRE_EXPECT_VANISHED, failure);

	imap_trace(imap, "upstream", "EXPUNGE");
	return dialogue_finish(imap, mailimap_expunge(session), failure);
}
