/*
 * FETCH and SEARCH, our own over the wire's events: rows of the index, ranges of a
 * search. Bodies are in imap_body.c.
 *
 * A server may answer in any order and send what nobody asked for. What does not belong
 * to the command under way is dropped.
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
		*row = (struct imap_row){ .place = (uint32_t)event->number };
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
	imap->search_silent = false;
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
		imap->search_silent = true;
		failure_set(failure, FAILURE_TEMPORARY,
			    "UID SEARCH said OK without an answer");
		return IMAP_FAILED;
	}
	return IMAP_END;
}

bool imap_search_was_silent(const struct imap *imap)
{
	return imap->search_silent;
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
