#include "proxy/mailbox/body.h"

#include <inttypes.h>
#include <stdio.h>

#define PART_GROWTH 4
#define PART_MAX (1024 * 1024)

SUSPENDS static enum imap_body open_part(struct body *body, struct failure *failure)
{
	return imap_body_open(body->maildrop->imap, &body->part, failure);
}

SUSPENDS static enum imap_body open_with_the_next(struct body *body,
						  struct failure *failure)
{
	struct maildrop *maildrop = body->maildrop;

	if (!allowance_has_octets(&maildrop->allowance, failure) ||
	    !maildrop_ensure(maildrop, failure) ||
	    (maildrop->upstream->route->read_ahead &&
	     allowance_permits_ahead(&maildrop->allowance) &&
	     !prefetch_ask(&maildrop->prefetch, &maildrop->snapshot, maildrop->imap,
			   &body->part, failure))) {
		return IMAP_BODY_FAILED;
	}
	return open_part(body, failure);
}

/* Nothing is promised yet: a connection that dies now is worth another try. */
SUSPENDS static enum imap_body open_first(struct body *body, struct failure *failure)
{
	const enum imap_body result = open_with_the_next(body, failure);

	if (result != IMAP_BODY_FAILED || failure->kind != FAILURE_PEER_GONE ||
	    !body->maildrop->imap) {
		return result;
	}
	return open_with_the_next(body, failure);
}

SUSPENDS enum imap_body body_open(struct body *body, struct maildrop *maildrop,
				  uint32_t msgno, uint64_t first_part,
				  struct failure *failure)
{
	const struct message *message = snapshot_message(&maildrop->snapshot, msgno);
	const uint64_t since_ms = loop_now_ms();
	enum imap_body result;

	*body = (struct body){
		.maildrop = maildrop,
		.part = { .imap_uid = message->imap_uid,
			  .length = first_part,
			  .listed = message->octets },
	};
	prefetch_note(&maildrop->prefetch, &maildrop->snapshot, msgno, first_part);
	result = open_first(body, failure);
	metrics_step(maildrop->upstream->metrics, METRICS_STEP_BODY,
		     loop_now_ms() - since_ms);
	return result;
}

/*
 * A part shorter than asked for is the last, unless the size says that there is more:
 * some servers give parts as they like. So is one of a server that sends all.
 */
static bool was_last_part(const struct body *body)
{
	const uint64_t given = imap_body_octets(body->maildrop->imap);

	const struct imap_part *part = &body->part;

	if (part->length == 0 || given == 0 || given > part->length) {
		return true;
	}
	return given < part->length && part->origin + given >= part->listed;
}

/* What came of asking for the next part. */
enum part { PART_FOLLOWS, PART_NONE, PART_FAILED };

/* No octets at this place: is the message at its end, or gone? */
SUSPENDS static enum part end_or_gone(const struct body *body, struct failure *failure)
{
	struct imap *imap = body->maildrop->imap;
	struct imap_range range;
	enum imap_step step;
	bool exists = false;
	char criteria[24];

	snprintf(criteria, sizeof(criteria), "UID %" PRIu32, body->part.imap_uid);
	if (!imap_search_start(imap, criteria, failure)) {
		return PART_FAILED;
	}
	while ((step = imap_search_next(imap, &range, failure)) == IMAP_STEP) {
		exists = exists || (range.first <= body->part.imap_uid &&
				    body->part.imap_uid <= range.last);
	}
	if (step == IMAP_END && !exists) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "UID %" PRIu32 " vanished while it was read",
			    body->part.imap_uid);
	}
	return step == IMAP_END && exists ? PART_NONE : PART_FAILED;
}

/*
 * An empty part before the place where the size says the end is: either the size is
 * wrong, or the server. The octet in front of that place must be the last one.
 */
SUSPENDS static enum part end_or_lie(const struct body *body, struct failure *failure)
{
	struct imap *imap = body->maildrop->imap;
	struct imap_part around = body->part;
	struct bytes slice;

	around.origin--;
	around.length = 2;
	if (imap_body_open(imap, &around, failure) != IMAP_BODY_READY) {
		return PART_FAILED;
	}
	const bool last = imap_body_octets(imap) == 1;

	do {
		if (!imap_body_read(imap, &slice, failure)) {
			return PART_FAILED;
		}
	} while (slice.len > 0);
	if (!imap_body_finish(imap, failure)) {
		return PART_FAILED;
	}
	if (!last) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "the server gave nothing of UID %" PRIu32 " at octet %" PRIu64
			    ", though there is more",
			    body->part.imap_uid, body->part.origin);
	}
	return last ? PART_NONE : PART_FAILED;
}

SUSPENDS static enum part next_part(struct body *body, struct failure *failure)
{
	struct imap_part *part = &body->part;

	if (!imap_body_finish(body->maildrop->imap, failure)) {
		return PART_FAILED;
	}
	if (imap_body_octets(body->maildrop->imap) == 0 && part->origin > 0 &&
	    part->origin < part->listed) {
		return end_or_lie(body, failure);
	}
	if (was_last_part(body)) {
		return PART_NONE;
	}
	part->origin += imap_body_octets(body->maildrop->imap);
	part->length = part->length * PART_GROWTH < PART_MAX ? part->length * PART_GROWTH
							     : PART_MAX;
	switch (open_part(body, failure)) {
	case IMAP_BODY_READY:
		return PART_FOLLOWS;
	case IMAP_BODY_GONE:
		return end_or_gone(body, failure);
	case IMAP_BODY_FAILED:
		return PART_FAILED;
	}
	return PART_FAILED;
}

SUSPENDS bool body_read(struct body *body, struct bytes *slice, struct failure *failure)
{
	*slice = (struct bytes){ 0 };
	while (!body->ended) {
		if (!imap_body_read(body->maildrop->imap, slice, failure)) {
			return false;
		}
		if (slice->len > 0) {
			body->octets += slice->len;
			return true;
		}
		switch (next_part(body, failure)) {
		case PART_FOLLOWS:
			break;
		case PART_NONE:
			body->ended = true;
			break;
		case PART_FAILED:
			return false;
		}
	}
	return true;
}

bool body_is_buffered(const struct body *body)
{
	return imap_body_is_buffered(body->maildrop->imap);
}

SUSPENDS bool body_finish(struct body *body, struct failure *failure)
{
	struct bytes slice;

	body->maildrop->prefetch.used_ms = loop_now_ms();
	if (body->ended) {
		return true;
	}
	do {
		if (!imap_body_read(body->maildrop->imap, &slice, failure)) {
			return false;
		}
	} while (slice.len > 0);
	return imap_body_finish(body->maildrop->imap, failure);
}
