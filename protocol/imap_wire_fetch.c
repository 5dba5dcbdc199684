#include "protocol/imap_wire_fetch.h"
#include "protocol/imap_token.h"
#include "protocol/imap_wire_guard.h"

#include <string.h>

/* What the value of an item that we understand looks like. */
enum shape {
	NZ_NUMBER, // 1 to 2^32-1
	NUMBER,    // 64 bits
	MODSEQ,    // "(n)"
	OBJECTID,  // "(id)" or NIL
};

static const struct {
	const char *name;
	enum imap_wire_kind kind;
	enum shape shape;
} items[] = {
	{ "UID", IMAP_WIRE_UID, NZ_NUMBER },
	{ "RFC822.SIZE", IMAP_WIRE_SIZE, NUMBER },
	{ "MODSEQ", IMAP_WIRE_MODSEQ, MODSEQ },
	{ "X-GM-MSGID", IMAP_WIRE_GM_MSGID, NUMBER },
	{ "EMAILID", IMAP_WIRE_EMAILID, OBJECTID },
};

/* How skipping one element of a response ended. */
enum skipped {
	SKIPPED_ELEMENT, // at a space or ")" of the list it stands in, or at the line's
			 // end
	SKIPPED_TO_LITERAL,
	SKIPPED_NOTHING, // violation, the event says which
};

static bool begins_with(struct bytes rest, char octet)
{
	return rest.len > 0 && rest.at[0] == octet;
}

static bool take_octet(struct bytes *rest, char octet)
{
	if (!begins_with(*rest, octet)) {
		return false;
	}
	bytes_skip(rest, 1);
	return true;
}

/* An item's value must be followed by the next item or the end of the list. */
static bool ends_item(struct bytes rest)
{
	return begins_with(rest, ' ') || begins_with(rest, ')');
}

/* Begin to skip a literal; the wire returns to `resume` behind it. */
static bool skip_literal(struct imap_wire *wire, uint64_t octets,
			 enum imap_wire_state resume, struct imap_wire_event *event)
{
	if (octets > wire->limits.literal) {
		return imap_wire_violate(wire, event,
					 "a literal that is no body is above its limit");
	}
	if (!imap_wire_charge(wire, octets, event)) {
		return true;
	}
	wire->literal_left = octets;
	wire->resume = resume;
	wire->state = IMAP_WIRE_IN_LITERAL;
	return false;
}

static enum skipped broken(struct imap_wire *wire, struct imap_wire_event *event,
			   const char *why)
{
	imap_wire_violate(wire, event, why);
	return SKIPPED_NOTHING;
}

/* rest begins behind the opening quote. */
static bool skip_quoted(struct imap_wire *wire, struct bytes *rest,
			struct imap_wire_event *event)
{
	struct imap_quoted quoted;

	if (!imap_token_quoted(*rest, &quoted)) {
		return !imap_wire_violate(wire, event, "a quoted string has no end");
	}
	if (quoted.raw > wire->limits.quoted) {
		return !imap_wire_violate(wire, event,
					  "a quoted string is above its limit");
	}
	bytes_skip(rest, quoted.raw + 1);
	return true;
}

/*
 * Skip one element: an atom, a string, a list, or what a server makes of these. outer:
 * the parentheses around it. brackets: "[" and "]" nest too, as in an item's section.
 * A quote within an atom is part of it, a brace is not: octets that could be taken for
 * a literal must be one.
 */
static enum skipped skip_element(struct imap_wire *wire, struct bytes *rest,
				 unsigned outer, bool brackets, uint64_t *octets,
				 struct imap_wire_event *event)
{
	bool fresh = true; // a token begins here

	while (rest->len > 0) {
		char c = rest->at[0];

		if (wire->depth == outer && (c == ' ' || c == ')')) {
			return SKIPPED_ELEMENT;
		}
		if (c == '{') {
			return imap_token_literal(rest, octets)
				       ? SKIPPED_TO_LITERAL
				       : broken(wire, event, "a literal is malformed");
		}
		bytes_skip(rest, 1);
		if (c == '"' && fresh) {
			if (!skip_quoted(wire, rest, event)) {
				return SKIPPED_NOTHING;
			}
		} else if (c == '(' || (brackets && c == '[')) {
			if (++wire->depth > wire->limits.nesting) {
				return broken(wire, event,
					      "parentheses are nested above the limit");
			}
		} else if (wire->depth > outer && (c == ')' || (brackets && c == ']'))) {
			wire->depth--;
		}
		fresh = c == ' ' || c == '(';
	}
	return SKIPPED_ELEMENT;
}

bool imap_wire_skip_value(struct imap_wire *wire, struct bytes *rest,
			  struct imap_wire_event *event)
{
	uint64_t octets;

	wire->depth = 0;
	switch (skip_element(wire, rest, 0, false, &octets, event)) {
	case SKIPPED_ELEMENT:
		return begins_with(*rest, ')') &&
		       imap_wire_violate(wire, event, "a parenthesis was never opened");
	case SKIPPED_TO_LITERAL:
		return imap_wire_violate(wire, event, "a literal where none may be");
	case SKIPPED_NOTHING:
		return true;
	}
	return true;
}

bool imap_wire_skip_response(struct imap_wire *wire, struct bytes *rest,
			     struct imap_wire_event *event)
{
	uint64_t octets;

	while (rest->len > 0) {
		switch (skip_element(wire, rest, 0, false, &octets, event)) {
		case SKIPPED_ELEMENT:
			bytes_skip(rest,
				   1); // the space; or a ")" too many: not our business
			break;
		case SKIPPED_TO_LITERAL:
			return skip_literal(wire, octets, IMAP_WIRE_IN_UNKNOWN, event);
		case SKIPPED_NOTHING:
			return true;
		}
	}
	wire->state = IMAP_WIRE_AT_START;
	return false;
}

bool imap_wire_skip_item(struct imap_wire *wire, struct bytes *rest,
			 struct imap_wire_event *event)
{
	bool name = wire->state == IMAP_WIRE_IN_NAME;
	uint64_t octets;

	switch (skip_element(wire, rest, 1, name, &octets, event)) {
	case SKIPPED_NOTHING:
		return true;
	case SKIPPED_TO_LITERAL:
		return skip_literal(wire, octets, wire->state, event);
	case SKIPPED_ELEMENT:
		break;
	}
	if (rest->len == 0) {
		return imap_wire_violate(wire, event,
					 "a FETCH answer ends within its list");
	}
	if (name && imap_token_spaces(rest)) {
		wire->state = IMAP_WIRE_IN_VALUE;
		return rest->len == 0 &&
		       imap_wire_violate(wire, event, "a FETCH item has no value");
	}
	wire->state = IMAP_WIRE_IN_FETCH;
	return false;
}

bool imap_wire_quoted_body(struct imap_wire *wire, struct bytes *rest,
			   struct imap_wire_event *event)
{
	size_t start = begins_with(*rest, '\\') ? 1 : 0;
	size_t end = start * 2; // an escaped octet stands for itself

	if (begins_with(*rest, '"')) {
		bytes_skip(rest, 1);
		wire->state = IMAP_WIRE_IN_FETCH;
		event->kind = IMAP_WIRE_BODY_ENDS;
		return true;
	}
	while (rest->at[end] != '"' && rest->at[end] != '\\') {
		end++;
	}
	event->kind = IMAP_WIRE_BODY_BYTES;
	event->text = (struct bytes){ rest->at + start, end - start };
	bytes_skip(rest, end);
	return true;
}

static bool begin_quoted_body(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event)
{
	struct bytes after = *rest;
	struct imap_quoted quoted;

	if (!skip_quoted(wire, &after, event)) {
		return true;
	}
	if (!ends_item(after)) {
		return imap_wire_violate(wire, event,
					 "a body is not followed by an item");
	}
	imap_token_quoted(*rest, &quoted);
	event->number = quoted.octets;
	wire->state = IMAP_WIRE_IN_QUOTED_BODY;
	return true;
}

static bool begin_literal_body(struct imap_wire *wire, uint64_t octets,
			       struct imap_wire_event *event)
{
	if (wire->charged && !imap_wire_charge(wire, octets, event)) {
		return true;
	}
	event->number = octets;
	wire->literal_left = octets;
	wire->state = IMAP_WIRE_IN_BODY;
	return true;
}

static bool begin_nil_body(struct imap_wire *wire, struct bytes *rest,
			   struct imap_wire_event *event)
{
	bytes_skip(rest, 3);
	if (!ends_item(*rest)) {
		return imap_wire_violate(wire, event,
					 "a body is not followed by an item");
	}
	event->nil = true;
	wire->literal_left = 0;
	wire->state = IMAP_WIRE_IN_BODY;
	return true;
}

/* "<0>", or the whole "<0.8192>" of the question, as some servers repeat it. */
static bool take_origin(struct bytes *rest, uint64_t *origin)
{
	uint64_t asked;

	return imap_token_number(rest, origin) &&
	       (!take_octet(rest, '.') || imap_token_number(rest, &asked)) &&
	       take_octet(rest, '>');
}

/* Behind "BODY[]": an origin perhaps, then the value. */
static bool body_item(struct imap_wire *wire, struct bytes *rest,
		      struct imap_wire_event *event)
{
	uint64_t octets;

	event->kind = IMAP_WIRE_BODY_BEGINS;
	event->partial = take_octet(rest, '<');
	if (event->partial && !take_origin(rest, &event->origin)) {
		return imap_wire_violate(wire, event, "a body's origin is malformed");
	}
	if (!imap_token_spaces(rest)) {
		return imap_wire_violate(wire, event, "a FETCH item has no value");
	}
	if (take_octet(rest, '"')) {
		return begin_quoted_body(wire, rest, event);
	}
	if (bytes_has_prefix(*rest, "NIL")) {
		return begin_nil_body(wire, rest, event);
	}
	take_octet(rest, '~');
	if (imap_token_literal(rest, &octets)) {
		return begin_literal_body(wire, octets, event);
	}
	return imap_wire_violate(wire, event, "a body is malformed");
}

/* RFC 8474: 1 to 255 of A-Z a-z 0-9 "-" "_". */
static bool take_objectid(struct bytes *rest, struct bytes *out)
{
	size_t n = 0;

	while (n < rest->len && n < 256 &&
	       ((rest->at[n] >= '0' && rest->at[n] <= '9') ||
		((rest->at[n] | 0x20) >= 'a' && (rest->at[n] | 0x20) <= 'z') ||
		rest->at[n] == '-' || rest->at[n] == '_')) {
		n++;
	}
	*out = (struct bytes){ rest->at, n };
	bytes_skip(rest, n);
	return n >= 1 && n <= 255;
}

static bool take_value(enum shape shape, struct bytes *rest,
		       struct imap_wire_event *event)
{
	switch (shape) {
	case NZ_NUMBER:
		return imap_token_number(rest, &event->number) && event->number > 0 &&
		       event->number <= UINT32_MAX;
	case NUMBER:
		return imap_token_number(rest, &event->number);
	case MODSEQ:
		return take_octet(rest, '(') && imap_token_number(rest, &event->number) &&
		       take_octet(rest, ')');
	case OBJECTID:
		if (bytes_has_prefix(*rest, "NIL")) {
			bytes_skip(rest, 3);
			return true;
		}
		return take_octet(rest, '(') && take_objectid(rest, &event->text) &&
		       take_octet(rest, ')');
	}
	return false;
}

static bool known_item(struct imap_wire *wire, size_t item, struct bytes *rest,
		       struct imap_wire_event *event)
{
	if (!imap_token_spaces(rest) || !take_value(items[item].shape, rest, event) ||
	    !ends_item(*rest)) {
		return imap_wire_violate(
			wire, event, "a FETCH item's value is malformed or out of range");
	}
	event->kind = items[item].kind;
	wire->state = IMAP_WIRE_IN_FETCH;
	return true;
}

static bool is_name_octet(char c)
{
	return c != ' ' && c != '(' && c != ')' && c != '[' && c != '{' && c != '"';
}

static bool named_item(struct imap_wire *wire, struct bytes *rest,
		       struct imap_wire_event *event)
{
	struct bytes name = { rest->at, 0 };
	struct bytes behind = *rest;

	while (name.len < rest->len && is_name_octet(rest->at[name.len])) {
		name.len++;
	}
	if (name.len == 0) {
		return imap_wire_violate(wire, event, "a FETCH item has no name");
	}
	bytes_skip(&behind, name.len);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		if (bytes_is_keyword(name, items[i].name)) {
			*rest = behind;
			return known_item(wire, i, rest, event);
		}
	}
	if (bytes_is_keyword(name, "BODY") && bytes_has_prefix(behind, "[]")) {
		*rest = behind;
		bytes_skip(rest, 2);
		return body_item(wire, rest, event);
	}
	wire->state = IMAP_WIRE_IN_NAME;
	return false;
}

bool imap_wire_fetch_item(struct imap_wire *wire, struct bytes *rest,
			  struct imap_wire_event *event)
{
	bool first = wire->state == IMAP_WIRE_IN_FETCH_FIRST;

	if (!imap_token_spaces(rest) && !first && !begins_with(*rest, ')')) {
		return imap_wire_violate(wire, event,
					 "FETCH items are not separated or never end");
	}
	if (rest->len == 0) {
		return imap_wire_violate(wire, event,
					 "a FETCH answer ends within its list");
	}
	if (!take_octet(rest, ')')) {
		return named_item(wire, rest, event);
	}
	imap_token_spaces(rest);
	if (rest->len > 0) {
		return imap_wire_violate(wire, event,
					 "something follows the list of a FETCH answer");
	}
	event->kind = IMAP_WIRE_FETCH_ENDS;
	wire->state = IMAP_WIRE_AT_START;
	return true;
}
