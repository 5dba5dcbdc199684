#include "protocol/imap_wire_response.h"
#include "protocol/imap_token.h"
#include "protocol/imap_wire_fetch.h"
#include "protocol/imap_wire_guard.h"
#include "protocol/imap_wire_search.h"
#include "protocol/imap_wire_status.h"

#include <assert.h>
#include <stdio.h>

#define TAG_MAX 31

static void relay(struct imap_wire *wire, const char *tag, size_t tag_len,
		  enum imap_wire_condition condition, struct imap_wire_event *event)
{
	int len = snprintf(wire->relay, sizeof(wire->relay), "%.*s %s .\r\n",
			   (int)tag_len, tag, imap_wire_condition_name(condition));

	/* The tag has at most TAG_MAX octets. */
	assert(len > 0 && (size_t)len < sizeof(wire->relay));
	event->relay = (struct bytes){ wire->relay, (size_t)len };
}

/* The event is filled: as it is, or with the violation. */
static bool count_or_violate(struct imap_wire *wire, enum imap_wire_expect expected,
			     struct imap_wire_event *event)
{
	imap_wire_count_response(wire, expected, event);
	return true;
}

static bool status(struct imap_wire *wire, struct bytes *rest,
		   struct imap_wire_event *event)
{
	const char *why = imap_wire_parse_status_text(*rest, event);

	bytes_skip(rest, rest->len);
	event->kind = IMAP_WIRE_STATUS;
	return !why || imap_wire_violate(wire, event, why);
}

static bool is_tag(struct bytes tag, bool *digits_only)
{
	*digits_only = true;
	for (size_t i = 0; i < tag.len; i++) {
		if (!imap_token_is_digit(tag.at[i])) {
			*digits_only = false;
			if (!imap_token_is_letter(tag.at[i])) {
				return false;
			}
		}
	}
	return tag.len > 0 && tag.len <= TAG_MAX;
}

static bool tagged(struct imap_wire *wire, struct bytes *rest,
		   struct imap_wire_event *event)
{
	bool digits_only;

	event->tag = bytes_take_word(rest);
	if (!is_tag(event->tag, &digits_only)) {
		return imap_wire_violate(wire, event, "a response begins with no tag");
	}
	if (!imap_wire_is_condition(bytes_take_word(rest), &event->condition) ||
	    event->condition > IMAP_WIRE_BAD) {
		return imap_wire_violate(wire, event,
					 "a tagged response is not OK, NO or BAD");
	}
	if (!imap_wire_charge(wire, wire->used, event)) {
		return true;
	}
	if (digits_only) {
		relay(wire, event->tag.at, event->tag.len, event->condition, event);
	}
	return status(wire, rest, event);
}

static bool continuation(struct imap_wire *wire, struct bytes *rest,
			 struct imap_wire_event *event)
{
	bytes_skip(rest, 1);
	if (rest->len > 0 && rest->at[0] != ' ') {
		return imap_wire_violate(wire, event, "a continuation is malformed");
	}
	bytes_skip(rest, 1);
	event->kind = IMAP_WIRE_CONTINUE;
	event->text = *rest;
	event->relay = bytes_of("+ .\r\n");
	bytes_skip(rest, rest->len);
	return count_or_violate(wire, IMAP_WIRE_EXPECT_NOTHING, event);
}

static bool unknown(struct imap_wire *wire, struct bytes *rest,
		    struct imap_wire_event *event)
{
	wire->depth = 0;
	wire->state = IMAP_WIRE_IN_UNKNOWN;
	return !imap_wire_count_response(wire, IMAP_WIRE_EXPECT_NOTHING, event) ||
	       imap_wire_skip_response(wire, rest, event);
}

static bool begin_fetch(struct imap_wire *wire, struct bytes *rest,
			struct imap_wire_event *event)
{
	if (rest->len < 2 || rest->at[0] != '(' || event->number == 0) {
		return imap_wire_violate(wire, event, "a FETCH answer is malformed");
	}
	bytes_skip(rest, 1);
	wire->depth = 1;
	wire->state = IMAP_WIRE_IN_FETCH_FIRST;
	event->kind = IMAP_WIRE_FETCH_BEGINS;
	return count_or_violate(wire, IMAP_WIRE_EXPECT_FETCH, event);
}

/* A response that is only a number and a word. */
static bool counted(struct imap_wire *wire, struct bytes *rest, enum imap_wire_kind kind,
		    enum imap_wire_expect expected, struct imap_wire_event *event)
{
	imap_token_spaces(rest);
	if (rest->len > 0) {
		return imap_wire_violate(wire, event,
					 "something follows an EXISTS or EXPUNGE");
	}
	event->kind = kind;
	return count_or_violate(wire, expected, event);
}

/* Behind "* ", in front of a number. */
static bool numbered(struct imap_wire *wire, struct bytes *rest,
		     struct imap_wire_event *event)
{
	struct bytes whole = *rest;
	struct bytes word;

	if (!imap_token_number(rest, &event->number) || event->number > UINT32_MAX ||
	    !imap_token_spaces(rest)) {
		return imap_wire_violate(
			wire, event, "a response's number is malformed or above 2^32-1");
	}
	word = bytes_take_word(rest);
	if (bytes_is_keyword(word, "FETCH")) {
		return begin_fetch(wire, rest, event);
	}
	if (bytes_is_keyword(word, "EXISTS")) {
		return counted(wire, rest, IMAP_WIRE_EXISTS, IMAP_WIRE_EXPECT_NOTHING,
			       event);
	}
	if (bytes_is_keyword(word, "EXPUNGE") && event->number > 0) {
		return counted(wire, rest, IMAP_WIRE_EXPUNGE, IMAP_WIRE_EXPECT_VANISHED,
			       event);
	}
	if (bytes_is_keyword(word, "EXPUNGE")) {
		return imap_wire_violate(wire, event, "an EXPUNGE of message 0");
	}
	*rest = whole;
	event->number = 0;
	return unknown(wire, rest, event);
}

static bool words(struct imap_wire *wire, struct bytes *rest, enum imap_wire_kind kind,
		  struct imap_wire_event *event)
{
	event->kind = kind;
	event->text = *rest;
	bytes_skip(rest, rest->len);
	return count_or_violate(wire, IMAP_WIRE_EXPECT_NOTHING, event);
}

static bool untagged_status(struct imap_wire *wire, struct bytes *rest,
			    struct imap_wire_event *event)
{
	if (!imap_wire_count_response(wire, IMAP_WIRE_EXPECT_NOTHING, event)) {
		return true;
	}
	relay(wire, "*", 1, event->condition, event);
	return status(wire, rest, event);
}

static bool untagged(struct imap_wire *wire, struct bytes *rest,
		     struct imap_wire_event *event)
{
	struct bytes whole;
	struct bytes word;

	bytes_skip(rest, 1);
	if (!imap_token_spaces(rest) || rest->len == 0) {
		return imap_wire_violate(wire, event,
					 "an untagged response is malformed");
	}
	if (imap_token_is_digit(rest->at[0])) {
		return numbered(wire, rest, event);
	}
	whole = *rest;
	word = bytes_take_word(rest);
	if (imap_wire_is_condition(word, &event->condition)) {
		return untagged_status(wire, rest, event);
	}
	if (bytes_is_keyword(word, "CAPABILITY")) {
		return words(wire, rest, IMAP_WIRE_CAPABILITY, event);
	}
	if (bytes_is_keyword(word, "ENABLED")) {
		return words(wire, rest, IMAP_WIRE_ENABLED, event);
	}
	if (bytes_is_keyword(word, "ESEARCH")) {
		return imap_wire_begin_esearch(wire, rest, event);
	}
	if (bytes_is_keyword(word, "VANISHED")) {
		return imap_wire_begin_vanished(wire, rest, event);
	}
	*rest = whole;
	return unknown(wire, rest, event);
}

bool imap_wire_begin_response(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event)
{
	switch (rest->at[0]) {
	case '*':
		return untagged(wire, rest, event);
	case '+':
		return continuation(wire, rest, event);
	default:
		return tagged(wire, rest, event);
	}
}
