#include "protocol/imap_wire_search.h"
#include "protocol/imap_token.h"
#include "protocol/imap_wire_fetch.h"
#include "protocol/imap_wire_guard.h"
#include "protocol/imap_wire_line.h"

static const char search_prefix[] = "* SEARCH";

#define SEARCH_PREFIX_LEN (sizeof(search_prefix) - 1)

static bool next_range(struct imap_wire *wire, struct bytes *set,
		       enum imap_wire_kind kind, struct imap_wire_event *event)
{
	if (imap_set_next(set, &event->range) != IMAP_SET_RANGE) {
		return imap_wire_violate(wire, event, "a set of UIDs is malformed");
	}
	event->kind = kind;
	event->number = wire->number;
	return true;
}

bool imap_wire_vanished(struct imap_wire *wire, struct bytes *rest,
			struct imap_wire_event *event)
{
	next_range(wire, rest, IMAP_WIRE_VANISHED, event);
	if (rest->len == 0) {
		wire->state = IMAP_WIRE_AT_START;
	}
	return true;
}

bool imap_wire_begin_vanished(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event)
{
	wire->number = bytes_has_prefix(*rest, "(EARLIER) ") ? 1 : 0;
	if (wire->number) {
		bytes_skip(rest, 10);
	}
	if (rest->len == 0) {
		return imap_wire_violate(wire, event, "a VANISHED answer is malformed");
	}
	wire->state = IMAP_WIRE_IN_VANISHED;
	return !imap_wire_count_response(wire, IMAP_WIRE_EXPECT_VANISHED, event);
}

/* The correlator: (TAG "x"). */
static bool take_correlator(struct bytes *rest, struct bytes *tag)
{
	struct imap_quoted quoted;

	if (!bytes_has_prefix(*rest, "(TAG \"")) {
		return false;
	}
	bytes_skip(rest, 6);
	if (!imap_token_quoted(*rest, &quoted)) {
		return false;
	}
	*tag = (struct bytes){ rest->at, quoted.raw };
	bytes_skip(rest, quoted.raw + 1);
	if (rest->len == 0 || rest->at[0] != ')') {
		return false;
	}
	bytes_skip(rest, 1);
	return rest->len == 0 || rest->at[0] == ' ';
}

bool imap_wire_begin_esearch(struct imap_wire *wire, struct bytes *rest,
			     struct imap_wire_event *event)
{
	if (!imap_wire_count_response(wire, IMAP_WIRE_EXPECT_SEARCH, event)) {
		return true;
	}
	if (rest->len > 0 && rest->at[0] == '(' && !take_correlator(rest, &event->tag)) {
		return imap_wire_violate(wire, event, "an ESEARCH answer is malformed");
	}
	wire->number = 0;
	wire->set_left = 0;
	wire->state = rest->len > 0 ? IMAP_WIRE_IN_ESEARCH : IMAP_WIRE_AT_SEARCH_END;
	event->kind = IMAP_WIRE_SEARCH_BEGINS;
	return true;
}

static bool esearch_range(struct imap_wire *wire, struct bytes *rest,
			  struct imap_wire_event *event)
{
	struct bytes set = { rest->at, wire->set_left };

	next_range(wire, &set, IMAP_WIRE_FOUND, event);
	event->number = 0;
	bytes_skip(rest, wire->set_left - set.len);
	wire->set_left = set.len;
	return true;
}

/*
 * What was searched by sequence number is no set of UIDs: taken for one, or passed
 * over, it would name the wrong messages or prove that the right ones are gone.
 */
static bool begin_esearch_set(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event)
{
	struct bytes after = *rest;

	if (!wire->number) {
		return imap_wire_violate(wire, event, "an ESEARCH answer without UID");
	}
	wire->set_left = bytes_take_word(&after).len;
	return wire->set_left == 0 &&
	       imap_wire_violate(wire, event, "a set of UIDs is malformed");
}

bool imap_wire_esearch(struct imap_wire *wire, struct bytes *rest,
		       struct imap_wire_event *event)
{
	struct bytes name;

	if (wire->set_left > 0) {
		esearch_range(wire, rest, event);
		if (rest->len == 0) {
			wire->state = IMAP_WIRE_AT_SEARCH_END;
		}
		return true;
	}
	imap_token_spaces(rest);
	if (rest->len == 0) {
		wire->state = IMAP_WIRE_AT_SEARCH_END;
		return false;
	}
	/* Out of step, a set could be passed over: an empty answer nobody gave. */
	if (!imap_token_is_letter(rest->at[0])) {
		return imap_wire_violate(wire, event, "an ESEARCH answer is malformed");
	}
	name = bytes_take_word(rest);
	imap_token_spaces(rest);
	if (bytes_is_keyword(name, "UID")) {
		wire->number = 1;
	} else if (bytes_is_keyword(name, "ALL")) {
		return begin_esearch_set(wire, rest, event);
	} else if (imap_wire_skip_value(wire, rest, event)) {
		return true;
	}
	if (rest->len == 0) {
		wire->state = IMAP_WIRE_AT_SEARCH_END;
	}
	return false;
}

int imap_wire_is_search(const struct imap_wire *wire, const struct bytes *input)
{
	for (size_t i = 0; i < SEARCH_PREFIX_LEN; i++) {
		int c = imap_wire_line_octet(wire, input, i);

		if (c < 0) {
			return -1;
		}
		if (c != search_prefix[i] && c - 'a' + 'A' != search_prefix[i]) {
			return 0;
		}
	}
	switch (imap_wire_line_octet(wire, input, SEARCH_PREFIX_LEN)) {
	case -1:
		return -1;
	case ' ':
	case '\r':
	case '\n':
		return 1;
	default:
		return 0;
	}
}

bool imap_wire_begin_search(struct imap_wire *wire, struct bytes *input,
			    struct imap_wire_event *event)
{
	size_t held = wire->source == IMAP_WIRE_LINE_PARTIAL ? wire->line.len : 0;

	bytes_skip(input, SEARCH_PREFIX_LEN - held);
	wire->source = IMAP_WIRE_LINE_NONE;
	wire->used = SEARCH_PREFIX_LEN;
	if (!imap_wire_count_response(wire, IMAP_WIRE_EXPECT_SEARCH, event)) {
		return true;
	}
	wire->streamed = 0;
	wire->streamed_max = wire->limits.search;
	if (wire->charged && wire->limits.octets - wire->octets < wire->streamed_max) {
		wire->streamed_max = wire->limits.octets - wire->octets;
	}
	wire->number = 0;
	wire->state = IMAP_WIRE_IN_SEARCH;
	event->kind = IMAP_WIRE_SEARCH_BEGINS;
	return true;
}

static bool found_number(struct imap_wire *wire, struct imap_wire_event *event)
{
	uint32_t imap_uid = (uint32_t)wire->number;

	wire->number = 0;
	event->kind = IMAP_WIRE_FOUND;
	event->range = (struct imap_range){ imap_uid, imap_uid };
	return true;
}

/* One octet between numbers. False: a state of its own begins, or it is wrong. */
static bool take_separator(struct imap_wire *wire, char c, struct imap_wire_event *event)
{
	switch (c) {
	case ' ':
		return true;
	case '\r':
		wire->state = IMAP_WIRE_IN_SEARCH_CR;
		return false;
	case '\n':
		wire->state = IMAP_WIRE_AT_SEARCH_END;
		return false;
	default:
		return !imap_wire_violate(wire, event, "a SEARCH answer is malformed");
	}
}

static bool add_digit(struct imap_wire *wire, char c, struct imap_wire_event *event)
{
	wire->number = wire->number * 10 + (unsigned)(c - '0');
	if (wire->number == 0 || wire->number > UINT32_MAX) {
		return !imap_wire_violate(
			wire, event,
			"a SEARCH answer's number is not within 1 to 2^32-1");
	}
	return true;
}

/* Digits stay in wire->number across inputs; the octet behind them ends the number. */
bool imap_wire_search(struct imap_wire *wire, struct bytes *input,
		      struct imap_wire_event *event)
{
	while (input->len > 0) {
		char c = input->at[0];
		bool digit = imap_token_is_digit(c);

		if (!digit && wire->number > 0) {
			return found_number(wire, event);
		}
		if (c == '(') {
			wire->state = IMAP_WIRE_IN_SEARCH_TAIL;
			return false;
		}
		if (++wire->streamed > wire->streamed_max) {
			return imap_wire_violate(wire, event,
						 "a SEARCH answer is above its limit");
		}
		input->at++;
		input->len--;
		if (digit ? !add_digit(wire, c, event)
			  : !take_separator(wire, c, event)) {
			return wire->violation != NULL;
		}
	}
	return imap_wire_need_input(event);
}

bool imap_wire_search_line_end(struct imap_wire *wire, struct bytes *input,
			       struct imap_wire_event *event)
{
	if (input->len == 0) {
		return imap_wire_need_input(event);
	}
	if (input->at[0] != '\n') {
		return imap_wire_violate(wire, event, "a SEARCH answer is malformed");
	}
	bytes_skip(input, 1);
	wire->state = IMAP_WIRE_AT_SEARCH_END;
	return false;
}

/* RFC 7162: "(MODSEQ n)" may end a SEARCH answer. */
bool imap_wire_search_tail(struct imap_wire *wire, struct bytes *rest,
			   struct imap_wire_event *event)
{
	uint64_t modseq;

	if (!bytes_has_prefix(*rest, "(MODSEQ ")) {
		return imap_wire_violate(wire, event, "a SEARCH answer is malformed");
	}
	bytes_skip(rest, 8);
	if (!imap_token_number(rest, &modseq) || rest->len != 1 || rest->at[0] != ')') {
		return imap_wire_violate(wire, event, "a SEARCH answer is malformed");
	}
	bytes_skip(rest, 1);
	wire->state = IMAP_WIRE_AT_SEARCH_END;
	return false;
}

bool imap_wire_end_search(struct imap_wire *wire, struct imap_wire_event *event)
{
	if (wire->charged && !imap_wire_charge(wire, wire->streamed, event)) {
		return true;
	}
	wire->streamed = 0;
	wire->state = IMAP_WIRE_AT_START;
	event->kind = IMAP_WIRE_SEARCH_ENDS;
	return true;
}
