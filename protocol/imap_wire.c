/*
 * The happy path: imap_wire_next() takes steps until one fills the event. A step
 * looks at the state: most need a whole line first (imap_wire_read_line(), in place where
 * the input has it whole, else in the buffer), take something from its front, and leave
 * the rest for the next call. A line is done when nothing is left of it. SEARCH and
 * literals are taken as they come, without a line.
 *
 * The failure modes: all of them are imap_wire_violate(), for good. Since events
 * come from whole lines, they do not depend on how the input was cut.
 */
#include "protocol/imap_wire.h"
#include "protocol/imap_token.h"
#include "protocol/imap_wire_fetch.h"
#include "protocol/imap_wire_guard.h"
#include "protocol/imap_wire_line.h"
#include "protocol/imap_wire_response.h"
#include "protocol/imap_wire_search.h"

typedef bool step_fn(struct imap_wire *wire, struct bytes *rest,
		     struct imap_wire_event *event);

void imap_wire_init(struct imap_wire *wire, const struct imap_wire_limits *limits)
{
	struct imap_wire_limits given = limits ? *limits : (struct imap_wire_limits){ 0 };
	const size_t kib = 1024;
	struct imap_wire_limits *max = &wire->limits;

	*wire = (struct imap_wire){ 0 };
	max->line = given.line ? given.line : 64 * kib;
	max->list_line = given.list_line ? given.list_line : 1024 * kib;
	max->search = given.search ? given.search : 64 * kib * kib;
	max->quoted = given.quoted ? given.quoted : 8 * kib;
	max->nesting = given.nesting ? given.nesting : 24;
	max->literal = given.literal ? given.literal : 64 * kib;
	max->unsolicited = given.unsolicited ? given.unsolicited : 10000;
	max->octets = given.octets ? given.octets : 2048 * kib;
	buffer_init(&wire->line, max->line > max->list_line ? max->line : max->list_line);
}

void imap_wire_release(struct imap_wire *wire)
{
	buffer_release(&wire->line);
}

void imap_wire_begin_command(struct imap_wire *wire, unsigned expect)
{
	wire->expect = expect;
	wire->unsolicited = 0;
	wire->octets = 0;
}

bool imap_wire_is_between_responses(const struct imap_wire *wire)
{
	return !wire->violation && wire->state == IMAP_WIRE_AT_START &&
	       wire->source == IMAP_WIRE_LINE_NONE;
}

void imap_wire_trim(struct imap_wire *wire)
{
	if (imap_wire_is_between_responses(wire)) {
		buffer_release(&wire->line);
	}
}

static bool step_line(struct imap_wire *wire, struct bytes *input, step_fn *step,
		      struct imap_wire_event *event)
{
	struct bytes rest;
	bool filled;

	if (!imap_wire_read_line(wire, input, event)) {
		return true;
	}
	rest = imap_wire_line_rest(wire, input);
	filled = step(wire, &rest, event);
	imap_wire_take_line(wire, input, rest);
	return filled;
}

/*
 * Literals, as they come
 */

static struct bytes take_octets(struct imap_wire *wire, struct bytes *input)
{
	size_t n =
		input->len < wire->literal_left ? input->len : (size_t)wire->literal_left;
	struct bytes slice = { input->at, n };

	bytes_skip(input, n);
	wire->literal_left -= n;
	return slice;
}

static bool body(struct imap_wire *wire, struct bytes *input,
		 struct imap_wire_event *event)
{
	if (wire->literal_left == 0) {
		wire->state = IMAP_WIRE_IN_FETCH;
		event->kind = IMAP_WIRE_BODY_ENDS;
		return true;
	}
	if (input->len == 0) {
		return imap_wire_need_input(event);
	}
	event->kind = IMAP_WIRE_BODY_BYTES;
	event->text = take_octets(wire, input);
	return true;
}

static bool skipped_literal(struct imap_wire *wire, struct bytes *input,
			    struct imap_wire_event *event)
{
	take_octets(wire, input);
	if (wire->literal_left > 0) {
		return imap_wire_need_input(event);
	}
	wire->state = wire->resume;
	return false;
}

/*
 * The steps
 */

static bool start(struct imap_wire *wire, struct bytes *input,
		  struct imap_wire_event *event)
{
	int c = imap_wire_line_octet(wire, input, 0);

	if (c < 0) {
		return imap_wire_need_input(event);
	}
	wire->used = 0;
	wire->charged = false;
	/* At once: what is no IMAP at all may never send a line end. */
	if (c != '*' && c != '+' && !imap_token_is_digit((char)c) &&
	    !imap_token_is_letter((char)c)) {
		return imap_wire_violate(wire, event, "a response begins with no tag");
	}
	if (imap_wire_is_search(wire, input) == 1) {
		return imap_wire_begin_search(wire, input, event);
	}
	return step_line(wire, input, imap_wire_begin_response, event);
}

static bool step(struct imap_wire *wire, struct bytes *input,
		 struct imap_wire_event *event)
{
	switch (wire->state) {
	case IMAP_WIRE_AT_START:
		return start(wire, input, event);
	case IMAP_WIRE_IN_SEARCH:
		return imap_wire_search(wire, input, event);
	case IMAP_WIRE_IN_SEARCH_CR:
		return imap_wire_search_line_end(wire, input, event);
	case IMAP_WIRE_IN_SEARCH_TAIL:
		return step_line(wire, input, imap_wire_search_tail, event);
	case IMAP_WIRE_AT_SEARCH_END:
		return imap_wire_end_search(wire, event);
	case IMAP_WIRE_IN_ESEARCH:
		return step_line(wire, input, imap_wire_esearch, event);
	case IMAP_WIRE_IN_VANISHED:
		return step_line(wire, input, imap_wire_vanished, event);
	case IMAP_WIRE_IN_FETCH_FIRST:
	case IMAP_WIRE_IN_FETCH:
		return step_line(wire, input, imap_wire_fetch_item, event);
	case IMAP_WIRE_IN_NAME:
	case IMAP_WIRE_IN_VALUE:
		return step_line(wire, input, imap_wire_skip_item, event);
	case IMAP_WIRE_IN_QUOTED_BODY:
		return step_line(wire, input, imap_wire_quoted_body, event);
	case IMAP_WIRE_IN_BODY:
		return body(wire, input, event);
	case IMAP_WIRE_IN_UNKNOWN:
		return step_line(wire, input, imap_wire_skip_response, event);
	case IMAP_WIRE_IN_LITERAL:
		return skipped_literal(wire, input, event);
	}
	return imap_wire_violate(wire, event, "the wire's state is broken");
}

void imap_wire_next(struct imap_wire *wire, struct bytes *input,
		    struct imap_wire_event *event)
{
	*event = (struct imap_wire_event){ 0 };
	if (wire->violation) {
		imap_wire_violate(wire, event, wire->violation);
		return;
	}
	while (!step(wire, input, event)) {
	}
}
