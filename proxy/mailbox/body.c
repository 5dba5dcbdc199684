#include "proxy/mailbox/body.h"

#include <inttypes.h>

#define PART_GROWTH 4
#define PART_MAX (1024 * 1024)

SUSPENDS static enum imap_body open_part(struct body *body, struct failure *failure)
{
	return imap_body_open(body->maildrop->imap, body->imap_uid, body->origin,
			      body->part, body->listed, failure);
}

/* Nothing is promised yet: a connection that dies now is worth another try. */
SUSPENDS static enum imap_body open_first(struct body *body, struct failure *failure)
{
	struct maildrop *maildrop = body->maildrop;
	enum imap_body result;

	if (!maildrop_ensure(maildrop, failure)) {
		return IMAP_BODY_FAILED;
	}
	result = open_part(body, failure);
	if (result != IMAP_BODY_FAILED || failure->kind != FAILURE_PEER_GONE) {
		return result;
	}
	if (!maildrop_ensure(maildrop, failure)) {
		return IMAP_BODY_FAILED;
	}
	return open_part(body, failure);
}

SUSPENDS enum imap_body body_open(struct body *body, struct maildrop *maildrop,
				  const struct message *message, uint64_t first_part,
				  struct failure *failure)
{
	*body = (struct body){
		.maildrop = maildrop,
		.imap_uid = message->imap_uid,
		.listed = message->octets,
		.part = first_part,
	};
	return open_first(body, failure);
}

/* A part shorter than asked for is the last; so is one of a server that sends all. */
static bool was_last_part(const struct body *body)
{
	const uint64_t given = imap_body_octets(body->maildrop->imap);

	return body->part == 0 || given != body->part;
}

/* The next part. False with no failure set: there is none, the message is at its end. */
SUSPENDS static bool next_part(struct body *body, bool *failed, struct failure *failure)
{
	*failed = true;
	if (!imap_body_finish(body->maildrop->imap, failure)) {
		return false;
	}
	if (was_last_part(body)) {
		body->ended = true;
		*failed = false;
		return false;
	}
	body->origin += body->part;
	body->part =
		body->part * PART_GROWTH < PART_MAX ? body->part * PART_GROWTH : PART_MAX;
	switch (open_part(body, failure)) {
	case IMAP_BODY_READY:
		*failed = false;
		return true;
	case IMAP_BODY_GONE:
		failure_set(failure, FAILURE_TEMPORARY,
			    "UID %" PRIu32 " vanished while it was read", body->imap_uid);
		return false;
	case IMAP_BODY_FAILED:
		return false;
	}
	return false;
}

SUSPENDS bool body_read(struct body *body, struct bytes *slice, struct failure *failure)
{
	bool failed;

	*slice = (struct bytes){ 0 };
	while (!body->ended) {
		if (!imap_body_read(body->maildrop->imap, slice, failure)) {
			return false;
		}
		if (slice->len > 0) {
			body->octets += slice->len;
			return true;
		}
		if (!next_part(body, &failed, failure) && failed) {
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
