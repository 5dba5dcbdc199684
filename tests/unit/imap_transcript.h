/*
 * What imap_wire says about an input, as text: one line an event, body octets joined.
 * For the unit test and the fuzz target.
 */
#ifndef TESTS_UNIT_IMAP_TRANSCRIPT_H
#define TESTS_UNIT_IMAP_TRANSCRIPT_H

#include "protocol/imap_wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the n-th piece of the input is; 0: the rest of it. */
typedef size_t chunk_fn(void *context);

struct transcript {
	struct buffer out;
	bool in_bytes; // the last line is one of body octets
	size_t most;   // octets the wire's line buffer ever had
};

static inline void transcript_text(struct buffer *out, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c >= 0x20 && c < 0x7F && c != '\\') {
			buffer_append(out, (struct bytes){ text.at + i, 1 });
		} else {
			buffer_printf(out, "\\%02x", c);
		}
	}
}

static inline void transcript_status(struct buffer *out,
				     const struct imap_wire_event *event)
{
	static const char *const names[] = { "OK", "NO", "BAD", "PREAUTH", "BYE" };

	transcript_text(out, event->tag.len > 0 ? event->tag : bytes_of("*"));
	buffer_printf(out, " %s", names[event->condition]);
	if (event->code != IMAP_WIRE_CODE_NONE) {
		buffer_printf(out, " [%s/%" PRIu64 "/", imap_wire_code_name(event->code),
			      event->number);
		transcript_text(out, event->code_text);
		buffer_printf(out, "]");
	}
	buffer_printf(out, " ");
	transcript_text(out, event->text);
	if (event->relay.len > 0) {
		buffer_printf(out, " > ");
		transcript_text(out, event->relay);
	}
}

static inline void transcript_range(struct buffer *out, const char *name,
				    struct imap_range range)
{
	assert(range.first >= 1 && range.first <= range.last);
	buffer_printf(out, "%s %" PRIu32 ":%" PRIu32, name, range.first, range.last);
}

static inline void transcript_named(struct buffer *out, const char *name,
				    struct bytes text)
{
	buffer_printf(out, "%s ", name);
	transcript_text(out, text);
}

static inline void transcript_line(struct buffer *out,
				   const struct imap_wire_event *event)
{
	switch (event->kind) {
	case IMAP_WIRE_NEED_INPUT:
	case IMAP_WIRE_BODY_BYTES:
		break;
	case IMAP_WIRE_STATUS:
		transcript_status(out, event);
		break;
	case IMAP_WIRE_CONTINUE:
		transcript_named(out, "+", event->text);
		buffer_printf(out, " > ");
		transcript_text(out, event->relay);
		break;
	case IMAP_WIRE_CAPABILITY:
		transcript_named(out, "capability", event->text);
		break;
	case IMAP_WIRE_ENABLED:
		transcript_named(out, "enabled", event->text);
		break;
	case IMAP_WIRE_EXISTS:
		buffer_printf(out, "exists %" PRIu64, event->number);
		break;
	case IMAP_WIRE_EXPUNGE:
		buffer_printf(out, "expunge %" PRIu64, event->number);
		break;
	case IMAP_WIRE_SEARCH_BEGINS:
		transcript_named(out, "search", event->tag);
		break;
	case IMAP_WIRE_FOUND:
		transcript_range(out, "found", event->range);
		break;
	case IMAP_WIRE_SEARCH_ENDS:
		buffer_printf(out, "search ends");
		break;
	case IMAP_WIRE_VANISHED:
		transcript_range(out, event->number ? "vanished earlier" : "vanished",
				 event->range);
		break;
	case IMAP_WIRE_FETCH_BEGINS:
		buffer_printf(out, "fetch %" PRIu64, event->number);
		break;
	case IMAP_WIRE_UID:
		buffer_printf(out, "uid %" PRIu64, event->number);
		break;
	case IMAP_WIRE_SIZE:
		buffer_printf(out, "size %" PRIu64, event->number);
		break;
	case IMAP_WIRE_MODSEQ:
		buffer_printf(out, "modseq %" PRIu64, event->number);
		break;
	case IMAP_WIRE_GM_MSGID:
		buffer_printf(out, "gm-msgid %" PRIu64, event->number);
		break;
	case IMAP_WIRE_EMAILID:
		transcript_named(out, "emailid", event->text);
		break;
	case IMAP_WIRE_BODY_BEGINS:
		buffer_printf(out, "body %" PRIu64, event->number);
		if (event->partial) {
			buffer_printf(out, " from %" PRIu64, event->origin);
		}
		if (event->nil) {
			buffer_printf(out, " nil");
		}
		break;
	case IMAP_WIRE_BODY_ENDS:
		buffer_printf(out, "body ends");
		break;
	case IMAP_WIRE_FETCH_ENDS:
		buffer_printf(out, "fetch ends");
		break;
	case IMAP_WIRE_VIOLATION:
		buffer_printf(out, "violation: %s", event->why);
		break;
	}
}

static inline void transcript_add(struct transcript *transcript,
				  const struct imap_wire_event *event)
{
	bool bytes = event->kind == IMAP_WIRE_BODY_BYTES;

	if (event->kind == IMAP_WIRE_NEED_INPUT) {
		return;
	}
	if (transcript->in_bytes && !bytes) {
		buffer_printf(&transcript->out, "\n");
	}
	if (bytes) {
		assert(event->text.len > 0);
		if (!transcript->in_bytes) {
			buffer_printf(&transcript->out, "= ");
		}
		transcript_text(&transcript->out, event->text);
	} else {
		transcript_line(&transcript->out, event);
		buffer_printf(&transcript->out, "\n");
	}
	transcript->in_bytes = bytes;
}

/* All events of one piece, in memory of its own, so that no octet beyond it is read. */
static inline bool transcript_feed(struct transcript *transcript, struct imap_wire *wire,
				   const char *at, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct bytes input = { copy, len };
	struct imap_wire_event event;

	assert(copy);
	memcpy(copy, at, len);
	do {
		imap_wire_next(wire, &input, &event);
		transcript_add(transcript, &event);
	} while (event.kind != IMAP_WIRE_NEED_INPUT && event.kind != IMAP_WIRE_VIOLATION);
	assert(event.kind == IMAP_WIRE_VIOLATION || input.len == 0);
	if (wire->line.size > transcript->most) {
		transcript->most = wire->line.size;
	}
	free(copy);
	return event.kind != IMAP_WIRE_VIOLATION;
}

/* The caller releases transcript->out. Ends "(within)" where a response is half read. */
static inline void transcript_of(struct transcript *transcript, struct bytes input,
				 const struct imap_wire_limits *limits, unsigned expect,
				 chunk_fn *chunk, void *context)
{
	struct imap_wire wire;
	bool going = true;

	*transcript = (struct transcript){ 0 };
	buffer_init(&transcript->out, SIZE_MAX / 4);
	imap_wire_init(&wire, limits);
	imap_wire_begin_command(&wire, expect);
	while (going && input.len > 0) {
		size_t n = chunk ? chunk(context) : 0;

		n = n > 0 && n < input.len ? n : input.len;
		going = transcript_feed(transcript, &wire, input.at, n);
		bytes_skip(&input, n);
	}
	if (transcript->in_bytes) {
		buffer_printf(&transcript->out, "\n");
	}
	if (going && !imap_wire_is_between_responses(&wire)) {
		buffer_printf(&transcript->out, "(within)\n");
	}
	imap_wire_release(&wire);
	buffer_append(&transcript->out, (struct bytes){ "", 1 });
}

#endif
