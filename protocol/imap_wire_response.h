/*
 * The beginning of a response, and the whole of those that are one line. Part of
 * imap_wire.
 */
#ifndef PROTOCOL_IMAP_WIRE_RESPONSE_H
#define PROTOCOL_IMAP_WIRE_RESPONSE_H

#include "protocol/imap_wire.h"

/* rest: the first line, not empty, without its end. True: the event is filled. */
bool imap_wire_begin_response(struct imap_wire *wire, struct bytes *rest,
			      struct imap_wire_event *event);

#endif
