/*
 * SEARCH, ESEARCH and VANISHED answers. Part of imap_wire: each function takes from
 * the front of the line or of the input and moves the wire's state on. True: the event
 * is filled.
 */
#ifndef PROTOCOL_IMAP_WIRE_SEARCH_H
#define PROTOCOL_IMAP_WIRE_SEARCH_H

#include "protocol/imap_wire.h"

/* The line is a SEARCH answer: 1 yes, 0 no, -1 too little of it is here. */
int imap_wire_is_search(const struct imap_wire *wire, const struct bytes *input);

bool imap_wire_begin_search(struct imap_wire *wire, struct bytes *input,
			    struct imap_wire_event *event);
bool imap_wire_search(struct imap_wire *wire, struct bytes *input,
		      struct imap_wire_event *event);
bool imap_wire_search_line_end(struct imap_wire *wire, struct bytes *input,
			       struct imap_wire_event *event);
bool imap_wire_search_tail(struct imap_wire *wire, struct bytes *rest,
			   struct imap_wire_event *event);
bool imap_wire_end_search(struct imap_wire *wire, struct imap_wire_event *event);

bool imap_wire_begin_esearch(struct imap_wire *wire, struct bytes *rest,
			     struct imap_wire_event *event);
bool imap_wire_esearch(struct imap_wire *wire, struct bytes *rest,
		       struct imap_wire_event *event);

bool imap_wire_begin_vanished(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event);
bool imap_wire_vanished(struct imap_wire *wire, struct bytes *rest,
			struct imap_wire_event *event);

#endif
