/*
 * UID FETCHes of bodies, several on their way at a time.
 *
 * All goes well: commands go out ahead of the need, bodies come in the order of the
 * commands. The one that is wanted goes to its reader as it comes; one that somebody may
 * want is spooled; the others are dropped.
 *
 * Dovecot works on four commands at once: bodies come in order, but the tagged OK of the
 * first one behind the body of the fourth. So what may stand between a body and its tag
 * has to fit into the spool. Where it would not, a NOOP is sent in between: the server
 * must be done with everything else before it.
 *
 * What can go wrong: the server names the UID behind the body, sends bodies in another
 * order, sends what nobody asked for, or sends something twice. So octets count as a
 * message's only where the FETCH response says its UID, it is the oldest one no body has
 * come for, and that command's own tagged OK comes. Anything else is dropped and has to
 * be asked for again; a server that keeps doing so is asked for one at a time.
 */
#include "proxy/upstream/imap_internal.h"

#include "proxy/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 160
#define ODDITIES_MAX 8   // bodies out of order, less those forgiven
#define FORGIVEN_AFTER 8 // so many in order: Dovecot now and then turns two round
#define SPOOLS_MAX 512   // in this process: 128 MiB

static unsigned spools; // of all connections of this process

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

/* Asking ------------------------------------------------------------------------------
 */

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

static void unspool(struct imap_window *window, struct imap_request *request)
{
	if (request->body == IMAP_REQUEST_SPOOLED) {
		request->body = IMAP_REQUEST_DROPPED;
		if (--window->spooled == 0) {
			window->spool_used = 0;
		}
	}
}

void imap_window_remove(struct imap *imap, struct imap_request *request)
{
	struct imap_window *window = &imap->window;

	unspool(window, request);
	if (!request->answered) {
		request->use = IMAP_REQUEST_UNWANTED;
		return;
	}
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

	if (window->spool) {
		spools--;
	}
	free(window->spool);
	free(window->requests);
	window->spool = NULL;
	window->requests = NULL;
	window->count = window->unanswered = window->spool_used = window->spooled = 0;
	window->octets = 0;
}

/* Tags --------------------------------------------------------------------------------
 */

bool imap_window_is_one_at_a_time(const struct imap *imap)
{
	return imap->window.one_at_a_time || imap->upstream->one_at_a_time;
}

static struct imap_request *find_tag(const struct imap *imap, struct bytes tag)
{
	char text[32];

	for (uint32_t i = 0; i < imap->window.count; i++) {
		struct imap_request *request = &imap->window.requests[i];

		if (request->answered) {
			continue;
		}
		snprintf(text, sizeof(text), "P%s%u", imap->tag_secret,
			 request->tag_number);
		if (bytes_equal(tag, bytes_of(text))) {
			return request;
		}
	}
	return NULL;
}

static void report_unmarked(const struct imap *imap, uint32_t imap_uid)
{
	struct log_line line;

	if (log_begin(&line, LOG_WARNING, "not marked read")) {
		log_string(&line, "session", imap->session_id);
		log_number(&line, "uid", imap_uid);
		log_string(&line, "cause", imap->answer.text);
		log_end(&line);
	}
}

static void judge_refusal(struct imap *imap, const struct imap_request *request)
{
	const enum imap_wire_code code = imap->answer.code;

	if (request->kind == IMAP_REQUEST_SEEN) {
		report_unmarked(imap, request->part.imap_uid);
	}
	if (imap->answer.condition == IMAP_WIRE_BAD || code == IMAP_WIRE_CODE_THROTTLED ||
	    code == IMAP_WIRE_CODE_LIMIT || code == IMAP_WIRE_CODE_OVERQUOTA) {
		imap->window.one_at_a_time = true;
	}
}

static enum imap_news take_answer(struct imap *imap, const struct imap_wire_event *event,
				  struct failure *failure)
{
	struct imap_request *request = find_tag(imap, event->tag);
	const bool ok = imap->answer.condition == IMAP_WIRE_OK;

	if (!request) {
		imap_lose(imap);
		failure_set(failure, FAILURE_PROTOCOL,
			    "the server answered a command that was not sent");
		return IMAP_NEWS_FAILED;
	}
	if (!ok) {
		judge_refusal(imap, request);
	}
	request->answered = true;
	imap->window.unanswered--;
	imap->window.octets -= imap_part_octets(&request->part);
	imap_set_deadline(imap, imap->upstream->limits->command_ms);
	if (request->use != IMAP_REQUEST_WANTED &&
	    (!ok || request->body != IMAP_REQUEST_SPOOLED)) {
		imap_window_remove(imap, request);
		return IMAP_NEWS_NONE;
	}
	return IMAP_NEWS_ANSWER;
}

/* Bodies ------------------------------------------------------------------------------
 */

/* The oldest one no body has come for, and how many such there are. */
static struct imap_request *oldest_without(const struct imap *imap, uint32_t *many)
{
	struct imap_request *oldest = NULL;

	*many = 0;
	for (uint32_t i = imap->window.count; i-- > 0;) {
		struct imap_request *request = &imap->window.requests[i];

		if (request->kind == IMAP_REQUEST_FETCH && !request->answered &&
		    request->body == IMAP_REQUEST_SENT) {
			oldest = request;
			++*many;
		}
	}
	return oldest;
}

/* Its turn has not come: not to be trusted, nor taken for missing. */
static void note_out_of_order(struct imap *imap, uint32_t imap_uid)
{
	for (uint32_t i = 0; i < imap->window.count; i++) {
		struct imap_request *request = &imap->window.requests[i];

		if (request->part.imap_uid == imap_uid &&
		    request->body == IMAP_REQUEST_SENT &&
		    request->kind == IMAP_REQUEST_FETCH) {
			request->body = IMAP_REQUEST_DROPPED;
			if (++imap->window.oddities == ODDITIES_MAX) {
				imap->window.one_at_a_time = true;
				log_say(LOG_INFO, "nothing is read ahead",
					"server %s answers out of order",
					imap->upstream->route->server);
			}
			return;
		}
	}
}

static void note_in_order(struct imap_window *window)
{
	if (++window->in_order % FORGIVEN_AFTER == 0 && window->oddities > 0 &&
	    !window->one_at_a_time) {
		window->oddities--;
	}
}

static void note_nameless(struct imap *imap, struct imap_request *oldest)
{
	struct upstream *upstream = imap->upstream;

	oldest->body = IMAP_REQUEST_DROPPED;
	if (!upstream->one_at_a_time) {
		log_say(LOG_INFO, "nothing is read ahead",
			"server %s names the UID behind the message",
			upstream->route->server);
	}
	upstream->one_at_a_time = true;
}

/* Is it this part, if it is of this message at all? */
static bool has_place(const struct imap_part *part, const struct imap_wire_event *event)
{
	if (part->length == 0) {
		return !event->partial;
	}
	return !event->partial ? part->origin == 0 : event->origin == part->origin;
}

/*
 * Whose body is it? Where only one is outstanding its UID may still be to come; it is
 * checked before the message counts as complete.
 */
static struct imap_request *owner_of(struct imap *imap,
				     const struct imap_wire_event *event)
{
	const struct imap_reading *reading = &imap->reading;
	uint32_t many;
	struct imap_request *oldest = oldest_without(imap, &many);

	if (!oldest) {
		return NULL;
	}
	if (reading->imap_uid == 0 && many > 1) {
		note_nameless(imap, oldest);
		return NULL;
	}
	if (reading->imap_uid != 0 && reading->imap_uid != oldest->part.imap_uid) {
		note_out_of_order(imap, reading->imap_uid);
		return NULL;
	}
	if (reading->uids_differ || !has_place(&oldest->part, event)) {
		return NULL;
	}
	note_in_order(&imap->window);
	return oldest;
}

/* Room for it, where somebody may want it and it is no special case. */
static void begin_spooling(struct imap_window *window, struct imap_request *request,
			   const struct imap_wire_event *event)
{
	if (request->use != IMAP_REQUEST_AHEAD || event->number == 0 || !window->spool ||
	    event->number > IMAP_SPOOL_OCTETS_MAX - window->spool_used) {
		request->body = IMAP_REQUEST_DROPPED;
		return;
	}
	request->body = IMAP_REQUEST_SPOOLED;
	request->spool_at = window->spool_used;
	request->spool_octets = 0;
	window->spooled++;
	window->spool_used += (uint32_t)event->number;
}

/* How many bodies may stand between one and its tag? */
static void note_lateness(struct imap *imap, const struct imap_request *coming)
{
	uint32_t late = 0;

	for (const struct imap_request *r = imap->window.requests; r < coming; r++) {
		late += !r->answered && r->kind == IMAP_REQUEST_FETCH;
	}
	if (late > imap->upstream->answers_late) {
		imap->upstream->answers_late = late;
	}
}

static enum imap_news begin_body(struct imap *imap, const struct imap_wire_event *event)
{
	struct imap_reading *reading = &imap->reading;
	struct imap_request *request = owner_of(imap, event);

	if (!request) {
		return IMAP_NEWS_NONE;
	}
	note_lateness(imap, request);
	imap->window.coming = (uint32_t)(request - imap->window.requests);
	reading->open = true;
	reading->waited_ms = 0;
	reading->window_octets = 0;
	if (request->use != IMAP_REQUEST_WANTED) {
		begin_spooling(&imap->window, request, event);
		return IMAP_NEWS_NONE;
	}
	request->body = IMAP_REQUEST_COMING;
	return IMAP_NEWS_BODY;
}

static void take_octets(struct imap *imap, struct bytes text)
{
	struct imap_window *window = &imap->window;
	struct imap_request *request;

	if (!imap->reading.open) {
		return;
	}
	imap->reading.window_octets += text.len;
	request = &window->requests[window->coming];
	if (request->body == IMAP_REQUEST_SPOOLED) {
		memcpy(window->spool + request->spool_at + request->spool_octets, text.at,
		       text.len);
		request->spool_octets += (uint32_t)text.len;
	}
}

static bool is_identified(const struct imap *imap, const struct imap_request *request)
{
	return imap->reading.imap_uid == request->part.imap_uid &&
	       !imap->reading.uids_differ;
}

/* The UID may have stood behind the body. */
static void end_response(struct imap *imap)
{
	struct imap_window *window = &imap->window;
	struct imap_request *request;

	if (window->coming >= window->count) {
		return;
	}
	request = &window->requests[window->coming];
	window->coming = UINT32_MAX;
	if (request->body == IMAP_REQUEST_SPOOLED && !is_identified(imap, request)) {
		unspool(window, request);
	}
	if (request->body == IMAP_REQUEST_COMING && is_identified(imap, request)) {
		request->body = IMAP_REQUEST_GIVEN;
	}
}

static void note_uid(struct imap_reading *reading, uint64_t imap_uid)
{
	reading->uids_differ = reading->uids_differ ||
			       (reading->imap_uid > 0 && reading->imap_uid != imap_uid);
	reading->imap_uid = (uint32_t)imap_uid;
}

static enum imap_news judge(struct imap *imap, const struct imap_wire_event *event,
			    struct failure *failure)
{
	struct imap_reading *reading = &imap->reading;

	if (event->kind == IMAP_WIRE_BODY_BYTES) {
		take_octets(imap, event->text);
	} else if (event->kind == IMAP_WIRE_FETCH_BEGINS) {
		reading->imap_uid = 0;
		reading->uids_differ = false;
		imap->window.coming = UINT32_MAX;
	} else if (event->kind == IMAP_WIRE_UID) {
		note_uid(reading, event->number);
	} else if (event->kind == IMAP_WIRE_BODY_BEGINS) {
		return begin_body(imap, event);
	} else if (event->kind == IMAP_WIRE_BODY_ENDS && reading->open) {
		reading->open = false;
		imap_set_deadline(imap, imap->upstream->limits->command_ms);
	} else if (event->kind == IMAP_WIRE_FETCH_ENDS) {
		end_response(imap);
	} else if (event->kind == IMAP_WIRE_STATUS && event->tag.len > 0) {
		return take_answer(imap, event, failure);
	}
	return IMAP_NEWS_NONE;
}

SUSPENDS enum imap_news imap_window_take(struct imap *imap, struct imap_wire_event *event,
					 struct failure *failure)
{
	return imap_event(imap, event, failure) ? judge(imap, event, failure)
						: IMAP_NEWS_FAILED;
}

/* Ahead -------------------------------------------------------------------------------
 */

static bool has_spool(struct imap_window *window)
{
	if (!window->spool && spools < SPOOLS_MAX) {
		spools++;
		window->spool = memory_new(IMAP_SPOOL_OCTETS_MAX);
	}
	return window->spool != NULL;
}

bool imap_body_may_ask(struct imap *imap)
{
	return !imap_window_is_one_at_a_time(imap) &&
	       imap->window.count + 4 <= IMAP_WINDOW_REQUESTS_MAX &&
	       imap_body_count(imap) < IMAP_REQUESTS_MAX && has_spool(&imap->window);
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
	uint32_t count = 0;

	for (uint32_t i = 0; i < imap->window.count; i++) {
		count += imap->window.requests[i].kind == IMAP_REQUEST_FETCH;
	}
	return count;
}

uint64_t imap_body_announced(const struct imap *imap)
{
	return imap->window.octets;
}

/* Could so much stand between a body and its tag that it does not fit into the spool? */
static bool needs_noop(const struct imap *imap, const struct imap_part *part)
{
	const struct imap_window *window = &imap->window;
	uint64_t octets = imap_part_octets(part);
	uint32_t behind = 1;

	for (uint32_t i = window->count;
	     i-- > 0 && behind <= imap->upstream->answers_late; behind++) {
		const struct imap_request *request = &window->requests[i];

		if (request->kind == IMAP_REQUEST_NOOP || request->answered) {
			break;
		}
		if (octets > IMAP_SPOOL_OCTETS_MAX) {
			return true;
		}
		octets += imap_part_octets(&request->part);
	}
	return false;
}

SUSPENDS bool imap_body_ask(struct imap *imap, const struct imap_part *part,
			    struct failure *failure)
{
	const struct imap_part none = { 0 };

	if (needs_noop(imap, part) &&
	    !imap_window_send(imap, IMAP_REQUEST_NOOP, IMAP_REQUEST_UNWANTED, &none,
			      failure)) {
		return false;
	}
	return imap_window_send(imap, IMAP_REQUEST_FETCH, IMAP_REQUEST_AHEAD, part,
				failure);
}
