/*
 * The body that is wanted. imap_window.c has asked for it, or is asked to; what comes in
 * front of it passes by.
 *
 * All goes well: its UID, its octets, its tagged OK. What can go wrong: the message is
 * gone, the server refuses it, gives nothing or something else. Said among others that
 * is not believed: before any octet was given out it is asked for once more, with nothing
 * else on its way. Afterwards the failure is the reader's.
 */
#include "proxy/upstream/imap_internal.h"

#include <inttypes.h>

SUSPENDS bool imap_body_settle(struct imap *imap, struct failure *failure)
{
	struct imap_wire_event event;

	if (imap->window.unanswered > 0 && !imap_window_flush(imap, failure)) {
		return false;
	}
	imap_window_forget(imap, NULL);
	while (imap->window.unanswered > 0) {
		if (imap_window_take(imap, &event, failure) == IMAP_NEWS_FAILED) {
			return false;
		}
	}
	imap_window_release(imap);
	return true;
}

/* NIL or no octets: empty, gone, or a lie? */
static enum imap_body judge_empty(const struct imap_wire_event *event,
				  const struct imap_part *part, struct failure *failure)
{
	if (part->origin > 0 && !event->nil) {
		return IMAP_BODY_READY; // past the end of a partial
	}
	if (part->listed == 0) {
		return IMAP_BODY_READY;
	}
	if (event->nil) {
		return IMAP_BODY_GONE;
	}
	failure_set(failure, FAILURE_TEMPORARY,
		    "the server gives no octets for a message of %" PRIu64, part->listed);
	return IMAP_BODY_FAILED;
}

/* The tag came, and no body before it. */
static enum imap_body answered_without(struct imap *imap,
				       const struct imap_request *request,
				       struct failure *failure)
{
	if (request->body == IMAP_REQUEST_DROPPED) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "the server sent UID %" PRIu32 " out of order",
			    request->part.imap_uid);
		return IMAP_BODY_FAILED;
	}
	if (imap->answer.condition == IMAP_WIRE_OK ||
	    imap->answer.code == IMAP_WIRE_CODE_EXPUNGEISSUED) {
		return IMAP_BODY_GONE;
	}
	imap_refused(imap, FAILURE_TEMPORARY, "UID FETCH of a message", failure);
	return IMAP_BODY_FAILED;
}

/* Until the wanted one's body begins, or its command is answered without one. */
SUSPENDS static enum imap_body await(struct imap *imap, struct failure *failure)
{
	enum imap_body verdict = IMAP_BODY_READY;
	struct imap_wire_event event;
	struct imap_request *request;
	enum imap_news news;

	while ((news = imap_window_take(imap, &event, failure)) != IMAP_NEWS_FAILED) {
		request = imap_window_wanted(imap);
		if (news == IMAP_NEWS_BODY) {
			imap->reading.announced = event.number;
			verdict = event.number > 0
					  ? IMAP_BODY_READY
					  : judge_empty(&event, &request->part, failure);
			if (verdict == IMAP_BODY_READY) {
				return verdict;
			}
		} else if (news == IMAP_NEWS_ANSWER && request->answered) {
			if (verdict == IMAP_BODY_READY) {
				verdict = answered_without(imap, request, failure);
			}
			imap_window_remove(imap, request);
			return verdict;
		}
	}
	return IMAP_BODY_FAILED;
}

/* It is all here, but for its tag perhaps, or for those it has come before. */
SUSPENDS static enum imap_body open_spooled(struct imap *imap, struct failure *failure)
{
	struct imap_request *request = imap_window_wanted(imap);
	struct imap_wire_event event;

	while (request->body == IMAP_REQUEST_SPOOLED &&
	       (!request->answered || !imap_window_is_due(imap, request))) {
		if (imap_window_take(imap, &event, failure) == IMAP_NEWS_FAILED) {
			return IMAP_BODY_FAILED;
		}
		request = imap_window_wanted(imap);
	}
	if (request->body != IMAP_REQUEST_SPOOLED) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "what the server sent as UID %" PRIu32 " cannot be believed",
			    request->part.imap_uid);
		imap_window_remove(imap, request);
		return IMAP_BODY_FAILED;
	}
	imap->reading.announced = request->spool_octets;
	imap->reading.from_spool = true;
	return IMAP_BODY_READY;
}

/* With nothing else on its way. */
SUSPENDS static enum imap_body open_alone(struct imap *imap, const struct imap_part *part,
					  struct failure *failure)
{
	if (!imap_body_settle(imap, failure) ||
	    !imap_window_send(imap, IMAP_REQUEST_FETCH, IMAP_REQUEST_WANTED, part,
			      failure) ||
	    !imap_window_flush(imap, failure)) {
		return IMAP_BODY_FAILED;
	}
	return await(imap, failure);
}

/* Among others that are on their way, as it was asked for ahead. */
SUSPENDS static enum imap_body open_among(struct imap *imap, struct imap_request *request,
					  struct failure *failure)
{
	const bool spooled = request->body == IMAP_REQUEST_SPOOLED;

	request->use = IMAP_REQUEST_WANTED;
	imap_window_forget(imap, request);
	if (!imap_window_flush(imap, failure)) {
		return IMAP_BODY_FAILED;
	}
	return spooled ? open_spooled(imap, failure) : await(imap, failure);
}

/* What is on its way was asked for in vain: it passes by. */
SUSPENDS static enum imap_body
open_behind(struct imap *imap, const struct imap_part *part, struct failure *failure)
{
	imap_window_forget(imap, NULL);
	if (!imap_window_send(imap, IMAP_REQUEST_FETCH, IMAP_REQUEST_WANTED, part,
			      failure) ||
	    !imap_window_flush(imap, failure)) {
		return IMAP_BODY_FAILED;
	}
	return await(imap, failure);
}

SUSPENDS enum imap_body imap_body_open(struct imap *imap, const struct imap_part *part,
				       struct failure *failure)
{
	struct imap_request *request = imap_window_find(imap, part);
	enum imap_body result;

	imap->reading.from_spool = false;
	if ((imap->window.unanswered == 0 && !request) ||
	    imap->window.count == IMAP_WINDOW_REQUESTS_MAX ||
	    imap_window_is_one_at_a_time(imap)) {
		return open_alone(imap, part, failure);
	}
	result = request ? open_among(imap, request, failure)
			 : open_behind(imap, part, failure);
	return result == IMAP_BODY_READY || imap->lost ? result
						       : open_alone(imap, part, failure);
}

uint64_t imap_body_octets(const struct imap *imap)
{
	return imap->reading.announced;
}

bool imap_body_is_buffered(struct imap *imap)
{
	const struct imap_request *wanted = imap_window_wanted(imap);

	if (stream_input(imap->stream).len > imap->taken ||
	    (wanted && wanted->body == IMAP_REQUEST_SPOOLED)) {
		return true;
	}
	stream_consume(imap->stream, imap->taken);
	imap->taken = 0;
	return stream_has_input(imap->stream);
}

SUSPENDS bool imap_body_read(struct imap *imap, struct bytes *slice,
			     struct failure *failure)
{
	struct imap_wire_event event;

	if (imap->reading.from_spool) {
		*slice = imap_spool_take(&imap->window, imap_window_wanted(imap));
		return true;
	}
	while (imap->reading.open) {
		if (imap_window_take(imap, &event, failure) == IMAP_NEWS_FAILED) {
			return false;
		}
		if (event.kind == IMAP_WIRE_BODY_BYTES) {
			*slice = event.text;
			return true;
		}
	}
	*slice = (struct bytes){ 0 };
	return true;
}

static bool wrong_identity(struct imap *imap, const struct imap_request *request,
			   struct failure *failure)
{
	imap_lose(imap);
	return failure_set(failure, FAILURE_PROTOCOL,
			   imap->reading.imap_uid > 0
				   ? "the server sent another message than UID %" PRIu32
				   : "the server did not name the UID %" PRIu32,
			   request->part.imap_uid);
}

/* The end of the FETCH response, and the command's own answer. */
SUSPENDS static bool finish_live(struct imap *imap, struct failure *failure)
{
	struct imap_wire_event event;

	do {
		if (imap_window_take(imap, &event, failure) == IMAP_NEWS_FAILED) {
			return false;
		}
	} while (event.kind != IMAP_WIRE_FETCH_ENDS);
	if (imap_window_wanted(imap)->body != IMAP_REQUEST_GIVEN) {
		return wrong_identity(imap, imap_window_wanted(imap), failure);
	}
	do {
		if (imap_window_take(imap, &event, failure) == IMAP_NEWS_FAILED) {
			return false;
		}
	} while (!imap_window_wanted(imap)->answered);
	if (imap->answer.condition != IMAP_WIRE_OK) {
		return imap_refused(imap, FAILURE_TEMPORARY,
				    "UID FETCH ended badly after the message", failure);
	}
	return true;
}

SUSPENDS bool imap_body_finish(struct imap *imap, struct failure *failure)
{
	const bool complete = imap->reading.from_spool || finish_live(imap, failure);

	if (complete) {
		imap_window_remove(imap, imap_window_wanted(imap));
	}
	return complete;
}

SUSPENDS bool imap_mark_seen(struct imap *imap, uint32_t imap_uid,
			     struct failure *failure)
{
	const struct imap_part part = { .imap_uid = imap_uid };

	if (imap->window.count == IMAP_WINDOW_REQUESTS_MAX &&
	    !imap_body_settle(imap, failure)) {
		return false;
	}
	return imap_window_send(imap, IMAP_REQUEST_SEEN, IMAP_REQUEST_UNWANTED, &part,
				failure) &&
	       imap_window_flush(imap, failure);
}
