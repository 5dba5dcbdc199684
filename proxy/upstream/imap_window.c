/*
 * UID FETCHes of bodies, several on their way at a time: what was asked for, in the order
 * it was sent, until it is answered and given out. What comes of it: imap_arrival.c.
 *
 * Dovecot works on four commands at once: bodies come in the order of the commands, or
 * the newest first where its output has stood still, and the tagged OK of the first one
 * behind the body of the fourth. So what may stand between a body and its tag has to fit
 * into the spool. Where it would not, NOOPs take the places in between.
 */
#include "proxy/upstream/imap_internal.h"

#include "proxy/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 160
#define TO_SPARE (IMAP_ANSWERS_LATE_MAX + 3) // for what goes out besides a FETCH

uint64_t imap_part_octets(const struct imap_part *part)
{
	return part->length > 0 && part->length < part->listed ? part->length
							       : part->listed;
}

static bool is_same(const struct imap_part *one, const struct imap_part *other)
{
	return one->imap_uid == other->imap_uid && one->origin == other->origin &&
	       one->length == other->length;
}

struct imap_request *imap_window_find(const struct imap *imap,
				      const struct imap_part *part)
{
	for (uint32_t i = 0; i < imap->window.count; i++) {
		struct imap_request *request = &imap->window.requests[i];

		if (request->kind == IMAP_REQUEST_FETCH &&
		    request->use == IMAP_REQUEST_AHEAD &&
		    (request->body == IMAP_REQUEST_SENT ||
		     request->body == IMAP_REQUEST_SPOOLED) &&
		    is_same(&request->part, part)) {
			return request;
		}
	}
	return NULL;
}

struct imap_request *imap_window_wanted(const struct imap *imap)
{
	for (uint32_t i = 0; i < imap->window.count; i++) {
		if (imap->window.requests[i].use == IMAP_REQUEST_WANTED) {
			return &imap->window.requests[i];
		}
	}
	return NULL;
}

/* Sending -----------------------------------------------------------------------------
 */

static struct imap_request *add(struct imap *imap, enum imap_request_kind kind,
				enum imap_request_use use, const struct imap_part *part)
{
	struct imap_window *window = &imap->window;
	struct imap_request *request;

	if (!window->requests) {
		window->requests =
			memory_new(IMAP_WINDOW_REQUESTS_MAX * sizeof(*window->requests));
	}
	request = &window->requests[window->count++];
	*request = (struct imap_request){
		.kind = kind,
		.use = use,
		.tag_number = imap_next_tag(imap),
		.part = *part,
	};
	window->unanswered++;
	window->bodies += kind == IMAP_REQUEST_FETCH;
	window->octets += imap_part_octets(part);
	return request;
}

static int format_fetch(const struct imap_part *part, char *out, size_t size)
{
	if (part->length == 0) {
		return snprintf(out, size, "UID FETCH %" PRIu32 " (UID BODY.PEEK[])",
				part->imap_uid);
	}
	return snprintf(out, size,
			"UID FETCH %" PRIu32 " (UID BODY.PEEK[]<%" PRIu64 ".%" PRIu64
			">)",
			part->imap_uid, part->origin, part->length);
}

static int format(const struct imap_request *request, char *out, size_t size)
{
	switch (request->kind) {
	case IMAP_REQUEST_FETCH:
		return format_fetch(&request->part, out, size);
	case IMAP_REQUEST_SEEN:
		return snprintf(out, size, "UID STORE %" PRIu32 " +FLAGS.SILENT (\\Seen)",
				request->part.imap_uid);
	case IMAP_REQUEST_NOOP:
		break;
	}
	return snprintf(out, size, "NOOP");
}

SUSPENDS bool imap_window_send(struct imap *imap, enum imap_request_kind kind,
			       enum imap_request_use use, const struct imap_part *part,
			       struct failure *failure)
{
	const struct imap_request *request = add(imap, kind, use, part);
	char text[COMMAND_MAX];
	int len = snprintf(text, sizeof(text), "P%s%u ", imap->tag_secret,
			   request->tag_number);
	const int tag_len = len;

	len += format(request, text + len, sizeof(text) - (size_t)len - 2);
	imap_trace(imap, "upstream", "%.*s", len - tag_len, text + tag_len);
	memcpy(text + len, "\r\n", 2);
	imap_wire_begin_command(&imap->wire, IMAP_WIRE_EXPECT_FETCH);
	imap_set_deadline(imap, imap->upstream->limits->command_ms);
	return stream_write(imap->stream, (struct bytes){ text, (size_t)len + 2 },
			    imap->deadline_ms, failure) ||
	       imap_lose(imap);
}

SUSPENDS bool imap_window_flush(struct imap *imap, struct failure *failure)
{
	imap_set_deadline(imap, imap->upstream->limits->command_ms);
	return stream_flush(imap->stream, imap->deadline_ms, failure) || imap_lose(imap);
}

/* Done with ---------------------------------------------------------------------------
 */

void imap_window_remove(struct imap *imap, struct imap_request *request)
{
	struct imap_window *window = &imap->window;

	imap_spool_drop(request);
	if (!request->answered) {
		request->use = IMAP_REQUEST_UNWANTED;
		return;
	}
	window->bodies -= request->kind == IMAP_REQUEST_FETCH;
	window->count--;
	memmove(request, request + 1,
		(window->count - (size_t)(request - window->requests)) *
			sizeof(*request));
}

void imap_window_forget(struct imap *imap, const struct imap_request *before)
{
	struct imap_window *window = &imap->window;
	const uint32_t end =
		before ? (uint32_t)(before - window->requests) : window->count;

	for (uint32_t i = end; i-- > 0;) {
		imap_window_remove(imap, &window->requests[i]);
	}
}

void imap_window_release(struct imap *imap)
{
	struct imap_window *window = &imap->window;

	imap_spool_release(window);
	free(window->requests);
	window->requests = NULL;
	window->count = window->unanswered = window->bodies = 0;
	window->octets = 0;
}

/* Ahead -------------------------------------------------------------------------------
 */

bool imap_window_is_one_at_a_time(const struct imap *imap)
{
	return imap->window.one_at_a_time || imap->upstream->one_at_a_time;
}

bool imap_body_may_ask(struct imap *imap)
{
	return !imap_window_is_one_at_a_time(imap) &&
	       imap->window.count + TO_SPARE <= IMAP_WINDOW_REQUESTS_MAX &&
	       imap->window.bodies < IMAP_REQUESTS_MAX && imap_spool_make(&imap->window);
}

void imap_body_forget(struct imap *imap)
{
	imap_window_forget(imap, NULL);
}

bool imap_is_expecting(const struct imap *imap)
{
	return imap->window.count > 0;
}

bool imap_body_is_asked(const struct imap *imap, const struct imap_part *part)
{
	return imap_window_find(imap, part) != NULL;
}

uint32_t imap_body_count(const struct imap *imap)
{
	return imap->window.bodies;
}

uint64_t imap_body_announced(const struct imap *imap)
{
	return imap->window.octets;
}

/*
 * Of the commands the server may work on together with this one: could what stands behind
 * the first body be more than fits into the spool?
 */
static bool is_too_much_at_once(const struct imap *imap, const struct imap_part *part)
{
	const struct imap_window *window = &imap->window;
	const uint32_t others = imap->upstream->answers_late;
	uint32_t i = window->count > others ? window->count - others : 0;
	uint64_t octets = imap_part_octets(part);

	while (i < window->count && (window->requests[i].kind != IMAP_REQUEST_FETCH ||
				     window->requests[i].answered)) {
		i++;
	}
	if (i == window->count) {
		return false; // it is the first
	}
	while (++i < window->count) {
		octets += window->requests[i].answered
				  ? 0
				  : imap_part_octets(&window->requests[i].part);
	}
	return octets > IMAP_SPOOL_OCTETS_MAX;
}

SUSPENDS bool imap_body_ask(struct imap *imap, const struct imap_part *part,
			    struct failure *failure)
{
	const struct imap_part none = { 0 };

	while (is_too_much_at_once(imap, part)) {
		if (!imap_window_send(imap, IMAP_REQUEST_NOOP, IMAP_REQUEST_UNWANTED,
				      &none, failure)) {
			return false;
		}
	}
	return imap_window_send(imap, IMAP_REQUEST_FETCH, IMAP_REQUEST_AHEAD, part,
				failure);
}
