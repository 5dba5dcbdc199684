/*
 * FETCH and SEARCH, our own over the wire's events: rows of the index, one body at a
 * time, ranges of a search.
 *
 * Data is matched by UID, commands by tag: a server may answer in any order, send what
 * nobody asked for, and name the UID after the body. What does not belong to the command
 * under way is dropped.
 */
#include "proxy/upstream/imap_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows ---------------------------------------------------------------------------- */

#define ROWS_TO_SPARE 10000 // arrivals and repeated answers during one FETCH

/* An id the server does not know cannot be asked for, now or later. */
static bool has_identity(const struct imap *imap, enum pop3_unique_id_source identity,
			 struct failure *failure)
{
	if ((identity == POP3_UNIQUE_ID_GM_MSGID &&
	     !(imap->capabilities & IMAP_X_GM_EXT_1)) ||
	    (identity == POP3_UNIQUE_ID_EMAILID &&
	     !(imap->capabilities & IMAP_OBJECTID))) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the server has no %s for the route's unique-id",
			    identity == POP3_UNIQUE_ID_GM_MSGID
				    ? "X-GM-MSGID (X-GM-EXT-1)"
				    : "EMAILID (OBJECTID)");
		return failure_advise(failure, "make the route's unique-id of {uid} and "
					       "{uidvalidity}");
	}
	return true;
}

SUSPENDS bool imap_rows_start(struct imap *imap, const char *set,
			      enum pop3_unique_id_source identity,
			      struct failure *failure)
{
	const char *extra = "";

	if (!has_identity(imap, identity, failure)) {
		return false;
	}
	if (identity == POP3_UNIQUE_ID_GM_MSGID) {
		extra = " X-GM-MSGID";
	} else if (identity == POP3_UNIQUE_ID_EMAILID) {
		extra = " EMAILID";
	}
	imap->rows_left = (uint64_t)imap_exists(imap) * 2 + ROWS_TO_SPARE;
	return imap_send(imap, IMAP_WIRE_EXPECT_FETCH, failure,
			 "UID FETCH %s (UID RFC822.SIZE%s)", set, extra);
}

/* One FETCH response, as far as a row needs it. */
struct row_parts {
	bool begun, uid, size;
};

static void take_emailid(struct imap *imap, struct bytes text, struct imap_row *row)
{
	const size_t len = text.len < sizeof(imap->emailid) ? text.len : 0;

	if (len > 0) {
		memcpy(imap->emailid, text.at, len);
	}
	row->emailid = (struct bytes){ imap->emailid, len };
}

static void take_attribute(struct imap *imap, const struct imap_wire_event *event,
			   struct imap_row *row, struct row_parts *parts)
{
	if (event->kind == IMAP_WIRE_FETCH_BEGINS) {
		*row = (struct imap_row){ 0 };
		*parts = (struct row_parts){ .begun = true };
	} else if (event->kind == IMAP_WIRE_UID) {
		row->imap_uid = (uint32_t)event->number;
		parts->uid = true;
	} else if (event->kind == IMAP_WIRE_SIZE) {
		row->octets = event->number;
		parts->size = true;
	} else if (event->kind == IMAP_WIRE_GM_MSGID) {
		row->gm_msgid = event->number;
	} else if (event->kind == IMAP_WIRE_EMAILID) {
		take_emailid(imap, event->text, row);
	}
}

/* RFC 9738: the answer is about a part of the folder only, which proves nothing. */
static bool is_partial(const struct imap *imap, const char *what, struct failure *failure)
{
	if (imap->answer.code != IMAP_WIRE_CODE_MESSAGELIMIT) {
		return false;
	}
	imap_refused(imap, FAILURE_TEMPORARY, what, failure);
	failure_advise(failure, "the server shows only a part of such a large folder");
	return true;
}

static enum imap_step rows_answered(struct imap *imap, struct failure *failure)
{
	if (is_partial(imap, "UID FETCH of the index", failure)) {
		return IMAP_FAILED;
	}
	if (imap->answer.condition == IMAP_WIRE_OK) {
		return IMAP_END;
	}
	imap_refused(imap, FAILURE_TEMPORARY, "UID FETCH of the index", failure);
	return IMAP_FAILED;
}

SUSPENDS enum imap_step imap_rows_next(struct imap *imap, struct imap_row *row,
				       struct failure *failure)
{
	struct imap_wire_event event;
	struct row_parts parts = { 0 };
	bool wrong;

	for (;;) {
		if (!imap_event(imap, &event, failure)) {
			return IMAP_FAILED;
		}
		if (imap_is_answer(imap, &event, &wrong, failure)) {
			return rows_answered(imap, failure);
		}
		if (wrong) {
			return IMAP_FAILED;
		}
		take_attribute(imap, &event, row, &parts);
		if (event.kind != IMAP_WIRE_FETCH_ENDS) {
			continue;
		}
		if (imap->rows_left-- == 0) {
			imap_lose(imap);
			failure_set(failure, FAILURE_PROTOCOL,
				    "the server lists far more messages than it has");
			return IMAP_FAILED;
		}
		if (parts.uid && parts.size) {
			/* A long index may take its time as long as it goes on. */
			imap_set_deadline(imap, imap->upstream->limits->command_ms);
			return IMAP_STEP;
		}
		/* A change of flags, or a message without size: then the counts differ.
		 */
	}
}

/* Bodies --------------------------------------------------------------------------- */

static void begin_reading(struct imap *imap, uint32_t imap_uid, uint64_t origin,
			  bool whole)
{
	imap->reading = (struct imap_reading){
		.imap_uid = imap_uid,
		.origin = origin,
		.whole = whole,
	};
}

/*
 * A body begins. True where it is the one asked for as far as can be told: its UID may
 * still be to come (checked before the message counts as complete).
 */
static bool is_our_body(const struct imap_reading *reading,
			const struct imap_wire_event *event, bool other_uid)
{
	if (other_uid || (reading->whole && event->partial)) {
		return false;
	}
	return !event->partial ? reading->origin == 0 : event->origin == reading->origin;
}

/* NIL or no octets: empty, gone, or a lie? */
static enum imap_body judge_empty(struct imap *imap, const struct imap_wire_event *event,
				  uint64_t octets, struct failure *failure)
{
	if (imap->reading.origin > 0 && !event->nil) {
		return IMAP_BODY_READY; // past the end of a partial
	}
	if (octets == 0) {
		return IMAP_BODY_READY;
	}
	if (event->nil) {
		return IMAP_BODY_GONE;
	}
	failure_set(failure, FAILURE_TEMPORARY,
		    "the server gives no octets for a message of %" PRIu64, octets);
	return IMAP_BODY_FAILED;
}

static enum imap_body body_answered(struct imap *imap, struct failure *failure)
{
	if (imap->answer.condition == IMAP_WIRE_OK ||
	    imap->answer.code == IMAP_WIRE_CODE_EXPUNGEISSUED) {
		return IMAP_BODY_GONE;
	}
	imap_refused(imap, FAILURE_TEMPORARY, "UID FETCH of a message", failure);
	return IMAP_BODY_FAILED;
}

/* Take events until the tagged answer; nothing in them matters any more. */
SUSPENDS static bool drain(struct imap *imap, struct failure *failure)
{
	struct imap_wire_event event;
	bool wrong;

	do {
		if (!imap_event(imap, &event, failure)) {
			return false;
		}
		if (imap_is_answer(imap, &event, &wrong, failure)) {
			return true;
		}
	} while (!wrong);
	return false;
}

/* The UID of the FETCH response under way, judged against the one asked for. */
struct body_identity {
	bool seen;
	bool other;
};

static void note_identity(struct imap *imap, const struct imap_wire_event *event,
			  struct body_identity *identity)
{
	if (event->kind == IMAP_WIRE_FETCH_BEGINS) {
		*identity = (struct body_identity){ 0 };
	} else if (event->kind == IMAP_WIRE_UID) {
		identity->seen = true;
		identity->other = event->number != imap->reading.imap_uid;
	}
}

/* The body found is READY, or else the rest of the answer is of no use. */
SUSPENDS static enum imap_body found(struct imap *imap,
				     const struct imap_wire_event *event,
				     const struct body_identity *identity,
				     uint64_t octets, struct failure *failure)
{
	struct failure drained;
	const enum imap_body verdict =
		event->number > 0 ? IMAP_BODY_READY
				  : judge_empty(imap, event, octets, failure);

	if (verdict == IMAP_BODY_READY) {
		imap->reading.announced = event->number;
		imap->reading.open = true;
		imap->reading.uid_seen = identity->seen;
		return verdict;
	}
	if (!drain(imap, &drained)) {
		*failure = drained;
		return IMAP_BODY_FAILED;
	}
	return verdict;
}

SUSPENDS static enum imap_body await_body(struct imap *imap, uint64_t octets,
					  struct failure *failure)
{
	struct imap_wire_event event;
	struct body_identity identity = { 0 };
	bool wrong;

	for (;;) {
		if (!imap_event(imap, &event, failure)) {
			return IMAP_BODY_FAILED;
		}
		if (imap_is_answer(imap, &event, &wrong, failure)) {
			return body_answered(imap, failure);
		}
		if (wrong) {
			return IMAP_BODY_FAILED;
		}
		note_identity(imap, &event, &identity);
		if (event.kind == IMAP_WIRE_BODY_BEGINS &&
		    is_our_body(&imap->reading, &event, identity.other)) {
			return found(imap, &event, &identity, octets, failure);
		}
	}
}

SUSPENDS enum imap_body imap_body_open(struct imap *imap, uint32_t imap_uid,
				       uint64_t origin, uint64_t length, uint64_t octets,
				       struct failure *failure)
{
	bool sent;

	begin_reading(imap, imap_uid, origin, length == 0);
	if (length == 0) {
		sent = imap_send(imap, IMAP_WIRE_EXPECT_FETCH, failure,
				 "UID FETCH %" PRIu32 " (UID BODY.PEEK[])", imap_uid);
	} else {
		sent = imap_send(imap, IMAP_WIRE_EXPECT_FETCH, failure,
				 "UID FETCH %" PRIu32 " (UID BODY.PEEK[]<%" PRIu64
				 ".%" PRIu64 ">)",
				 imap_uid, origin, length);
	}
	return sent ? await_body(imap, octets, failure) : IMAP_BODY_FAILED;
}

uint64_t imap_body_octets(const struct imap *imap)
{
	return imap->reading.announced;
}

bool imap_body_is_buffered(const struct imap *imap)
{
	return stream_input(imap->stream).len > imap->taken;
}

SUSPENDS bool imap_body_read(struct imap *imap, struct bytes *slice,
			     struct failure *failure)
{
	struct imap_reading *reading = &imap->reading;
	struct imap_wire_event event;

	while (reading->open) {
		if (!imap_event(imap, &event, failure)) {
			return false;
		}
		if (event.kind == IMAP_WIRE_BODY_BYTES) {
			reading->window_octets += event.text.len;
			*slice = event.text;
			return true;
		}
		if (event.kind == IMAP_WIRE_BODY_ENDS) {
			reading->open = false;
			imap_set_deadline(imap, imap->upstream->limits->command_ms);
		}
	}
	*slice = (struct bytes){ 0 };
	return true;
}

/* The rest of our FETCH response: the UID may stand behind the body. */
static bool verify_identity(struct imap *imap, const struct body_identity *identity,
			    struct failure *failure)
{
	if (identity->seen && !identity->other) {
		return true;
	}
	imap_lose(imap);
	return failure_set(failure, FAILURE_PROTOCOL,
			   identity->seen
				   ? "the server sent another message than UID %" PRIu32
				   : "the server did not name the UID %" PRIu32,
			   imap->reading.imap_uid);
}

SUSPENDS bool imap_body_finish(struct imap *imap, struct failure *failure)
{
	struct body_identity identity = { .seen = imap->reading.uid_seen };
	struct imap_wire_event event;

	do {
		if (!imap_event(imap, &event, failure)) {
			return false;
		}
		note_identity(imap, &event, &identity);
	} while (event.kind != IMAP_WIRE_FETCH_ENDS);
	if (!verify_identity(imap, &identity, failure) || !drain(imap, failure)) {
		return false;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return imap_refused(imap, FAILURE_TEMPORARY,
				    "UID FETCH ended badly after the message", failure);
	}
	return true;
}

/* Searches --------------------------------------------------------------------------- */

/*
 * ESEARCH answers are compact, but one line; a plain SEARCH is streamed, so a very large
 * folder is asked that way.
 */
#define ESEARCH_MESSAGES_MAX 50000

static bool uses_esearch(const struct imap *imap)
{
	return (imap->capabilities & IMAP_ESEARCH) &&
	       imap_exists(imap) <= ESEARCH_MESSAGES_MAX;
}

SUSPENDS bool imap_search_start(struct imap *imap, const char *criteria,
				struct failure *failure)
{
	imap->search_answered = false;
	return imap_send(imap, IMAP_WIRE_EXPECT_SEARCH, failure, "UID SEARCH %s%s",
			 uses_esearch(imap) ? "RETURN (ALL) " : "", criteria);
}

static enum imap_step search_tagged(struct imap *imap, struct failure *failure)
{
	if (imap->answer.condition != IMAP_WIRE_OK) {
		imap_refused(imap, FAILURE_TEMPORARY, "UID SEARCH", failure);
		return IMAP_FAILED;
	}
	if (is_partial(imap, "UID SEARCH", failure)) {
		return IMAP_FAILED;
	}
	if (!imap->search_answered) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "UID SEARCH said OK without an answer");
		return IMAP_FAILED;
	}
	return IMAP_END;
}

SUSPENDS enum imap_step imap_search_next(struct imap *imap, struct imap_range *range,
					 struct failure *failure)
{
	struct imap_wire_event event;
	bool wrong;

	for (;;) {
		if (!imap_event(imap, &event, failure)) {
			return IMAP_FAILED;
		}
		if (imap_is_answer(imap, &event, &wrong, failure)) {
			return search_tagged(imap, failure);
		}
		if (wrong) {
			return IMAP_FAILED;
		}
		if (event.kind == IMAP_WIRE_SEARCH_BEGINS &&
		    (event.tag.len == 0 || bytes_equal(event.tag, bytes_of(imap->tag)))) {
			imap->search_answered = true;
		}
		if (event.kind == IMAP_WIRE_FOUND) {
			*range = event.range;
			return IMAP_STEP;
		}
	}
}
