/*
 * The inside of FETCH answers and of answers that are skipped. Part of imap_wire:
 * each function takes from rest, the current line without its end, and moves the
 * wire's state on. True: the event is filled.
 */
#ifndef PROTOCOL_IMAP_WIRE_FETCH_H
#define PROTOCOL_IMAP_WIRE_FETCH_H

#include "protocol/imap_wire.h"

/* An item or the closing parenthesis. */
bool imap_wire_fetch_item(struct imap_wire *wire, struct bytes *rest,
			  struct imap_wire_event *event);

/* The name, then the value, of an item nobody asked for. */
bool imap_wire_skip_item(struct imap_wire *wire, struct bytes *rest,
			 struct imap_wire_event *event);

/* The next slice of a body that is a quoted string, or its end. */
bool imap_wire_quoted_body(struct imap_wire *wire, struct bytes *rest,
			   struct imap_wire_event *event);

/* The rest of a response that is none of ours. */
bool imap_wire_skip_response(struct imap_wire *wire, struct bytes *rest,
			     struct imap_wire_event *event);

/* One value of an ESEARCH answer: no literals here. */
bool imap_wire_skip_value(struct imap_wire *wire, struct bytes *rest,
			  struct imap_wire_event *event);

#endif
