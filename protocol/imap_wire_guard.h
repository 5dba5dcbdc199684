/*
 * How imap_wire refuses, and what it counts. Part of imap_wire. Functions that answer
 * bool say true where the event is filled, except where said.
 */
#ifndef PROTOCOL_IMAP_WIRE_GUARD_H
#define PROTOCOL_IMAP_WIRE_GUARD_H

#include "protocol/imap_wire.h"

/* From now on every event is this one. Always true. why: a static sentence. */
bool imap_wire_violate(struct imap_wire *wire, struct imap_wire_event *event,
		       const char *why);

/* Always true. */
bool imap_wire_need_input(struct imap_wire_event *event);

/* Count octets against the command's. False: too many, a violation. */
bool imap_wire_charge(struct imap_wire *wire, uint64_t octets,
		      struct imap_wire_event *event);

/*
 * Count this response and its octets unless the command under way expects it. False:
 * too many, a violation.
 */
bool imap_wire_count_response(struct imap_wire *wire, enum imap_wire_expect expected,
			      struct imap_wire_event *event);

#endif
