/*
 * What comes of the UID FETCHes that are on their way: bodies and tags. The body that is
 * wanted goes to its reader as it comes; one that somebody may want is spooled; the
 * others are dropped.
 *
 * What can go wrong: the server names the UID behind the body, names a wrong one, sends
 * what nobody asked for, or sends something twice. So octets count as a message's only
 * where the FETCH response says its UID, that was asked for, and its command's own tagged
 * OK comes. One that comes before its turn, as Dovecot's sometimes do, counts only once
 * everything asked for before it has come, too: else the server may be one message out of
 * step. Anything else is dropped and has to be asked for again; a server that keeps doing
 * so is asked for one at a time.
 */
#include "proxy/upstream/imap_internal.h"

#include <stdio.h>
#include <string.h>

#define ODDITIES_MAX 8   // bodies that cannot be believed, less those forgiven
#define FORGIVEN_AFTER 8 // so many good ones

/* What cannot be believed -------------------------------------------------------------
 */

static void note_oddity(struct imap *imap)
{
	if (++imap->window.oddities == ODDITIES_MAX) {
		imap->window.one_at_a_time = true;
		log_say(LOG_INFO, "nothing is read ahead",
			"server %s answers out of order", imap->upstream->route->server);
	}
}

static void note_good(struct imap_window *window)
{
	if (++window->good % FORGIVEN_AFTER == 0 && window->oddities > 0 &&
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

static bool has_come_early(const struct imap_window *window, uint32_t first)
{
	for (uint32_t i = first; i < window->count; i++) {
		if (window->requests[i].early) {
			return true;
		}
	}
	return false;
}

/*
 * This one did not come, and others came before their turn: it may have been among them,
 * under a wrong name. Nothing counts that was asked for behind it.
 */
static void doubt_the_rest(struct imap *imap, const struct imap_request *missing)
{
	struct imap_window *window = &imap->window;
	const uint32_t first = (uint32_t)(missing - window->requests) + 1;

	if (!has_come_early(window, first)) {
		return;
	}
	note_oddity(imap);
	for (uint32_t i = window->count; i-- > first;) {
		struct imap_request *request = &window->requests[i];

		imap_spool_drop(request);
		request->body = IMAP_REQUEST_DROPPED;
		if (request->use != IMAP_REQUEST_WANTED) {
			imap_window_remove(imap, request);
		}
	}
}

/* Tags --------------------------------------------------------------------------------
 */

static bool has_tag(const struct imap *imap, const struct imap_request *request,
		    struct bytes tag)
{
	char text[32];

	snprintf(text, sizeof(text), "P%s%u", imap->tag_secret, request->tag_number);
	return bytes_equal(tag, bytes_of(text));
}

static struct imap_request *find_tag(const struct imap *imap, struct bytes tag)
{
	for (uint32_t i = 0; i < imap->window.count; i++) {
		struct imap_request *request = &imap->window.requests[i];

		if (!request->answered && has_tag(imap, request, tag)) {
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

static void judge_refusal(struct imap *imap, struct imap_request *request)
{
	const enum imap_wire_code code = imap->answer.code;

	imap_spool_drop(request);
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

	if (!request) {
		imap_lose(imap);
		failure_set(failure, FAILURE_PROTOCOL,
			    "the server answered a command that was not sent");
		return IMAP_NEWS_FAILED;
	}
	if (imap->answer.condition != IMAP_WIRE_OK) {
		judge_refusal(imap, request);
	}
	if (request->kind == IMAP_REQUEST_FETCH && request->body == IMAP_REQUEST_SENT) {
		doubt_the_rest(imap, request);
	}
	request->answered = true;
	imap->window.unanswered--;
	imap->window.octets -= imap_part_octets(&request->part);
	imap_set_deadline(imap, imap->upstream->limits->command_ms);
	if (request->use != IMAP_REQUEST_WANTED &&
	    request->body != IMAP_REQUEST_SPOOLED) {
		imap_window_remove(imap, request);
		return IMAP_NEWS_NONE;
	}
	return IMAP_NEWS_ANSWER;
}

/* Bodies ------------------------------------------------------------------------------
 */

static bool is_outstanding(const struct imap_request *request)
{
	return request->kind == IMAP_REQUEST_FETCH && !request->answered &&
	       request->body == IMAP_REQUEST_SENT;
}

bool imap_window_is_due(const struct imap *imap, const struct imap_request *request)
{
	for (const struct imap_request *r = imap->window.requests; r < request; r++) {
		if (is_outstanding(r)) {
			return false;
		}
	}
	return true;
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
 * The UID may be still to come. Where only one is outstanding it is checked before the
 * message counts as complete.
 */
static struct imap_request *owner_of_nameless(struct imap *imap)
{
	struct imap_request *oldest = NULL;
	uint32_t many = 0;

	for (uint32_t i = imap->window.count; i-- > 0;) {
		if (is_outstanding(&imap->window.requests[i])) {
			oldest = &imap->window.requests[i];
			many++;
		}
	}
	if (many > 1) {
		note_nameless(imap, oldest);
		return NULL;
	}
	return oldest;
}

/* It came once already, early: neither is believed. */
static void doubt_twice(struct imap *imap, struct imap_request *request)
{
	if (request->early && !request->answered) {
		imap_spool_drop(request);
		note_oddity(imap);
	}
}

static struct imap_request *owner_by_uid(struct imap *imap,
					 const struct imap_wire_event *event)
{
	for (uint32_t i = 0; i < imap->window.count; i++) {
		struct imap_request *request = &imap->window.requests[i];

		if (request->part.imap_uid != imap->reading.imap_uid ||
		    !has_place(&request->part, event)) {
			continue;
		}
		if (is_outstanding(request)) {
			return request;
		}
		doubt_twice(imap, request);
	}
	return NULL;
}

static struct imap_request *owner_of(struct imap *imap,
				     const struct imap_wire_event *event)
{
	const struct imap_reading *reading = &imap->reading;
	struct imap_request *request;

	if (reading->uids_differ) {
		return NULL;
	}
	if (reading->imap_uid != 0) {
		return owner_by_uid(imap, event);
	}
	request = owner_of_nameless(imap);
	return request && has_place(&request->part, event) ? request : NULL;
}

/* How many commands does the server work on at a time, besides one? */
static void note_lateness(struct imap *imap, const struct imap_request *coming)
{
	uint32_t late = 0;

	for (const struct imap_request *r = imap->window.requests; r < coming; r++) {
		late += !r->answered;
	}
	if (late > imap->upstream->answers_late && late <= IMAP_ANSWERS_LATE_MAX) {
		imap->upstream->answers_late = late;
	}
}

/* For nobody, for whoever may want it, or, before its turn, to be judged later. */
static void keep_or_drop(struct imap *imap, struct imap_request *request,
			 const struct imap_wire_event *event)
{
	if (request->use != IMAP_REQUEST_AHEAD ||
	    !imap_spool_begin(&imap->window, request, event->number)) {
		request->body = IMAP_REQUEST_DROPPED;
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
	request->early = !imap_window_is_due(imap, request);
	if (request->early || request->use != IMAP_REQUEST_WANTED) {
		keep_or_drop(imap, request, event);
		return IMAP_NEWS_NONE;
	}
	note_good(&imap->window);
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
		imap_spool_put(window, request, text);
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
	if (!is_identified(imap, request)) {
		imap_spool_drop(request);
	} else if (request->body == IMAP_REQUEST_COMING) {
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
