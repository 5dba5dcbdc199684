/*
 * The current line of a response, in the input where it is whole there, else copied.
 * Part of imap_wire.
 */
#ifndef PROTOCOL_IMAP_WIRE_LINE_H
#define PROTOCOL_IMAP_WIRE_LINE_H

#include "protocol/imap_wire.h"

/* Octet i of the line that begins or has begun; -1: not here yet. */
int imap_wire_line_octet(const struct imap_wire *wire, const struct bytes *input,
			 size_t i);

/* Have a whole line. False: the event says why there is none. */
bool imap_wire_read_line(struct imap_wire *wire, struct bytes *input,
			 struct imap_wire_event *event);

/* What is not yet taken of it, without its end. */
struct bytes imap_wire_line_rest(const struct imap_wire *wire, const struct bytes *input);

/* Take the line up to rest; with nothing left, its end too. */
void imap_wire_take_line(struct imap_wire *wire, struct bytes *input, struct bytes rest);

#endif
