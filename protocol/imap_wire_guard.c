#include "protocol/imap_wire_guard.h"

bool imap_wire_violate(struct imap_wire *wire, struct imap_wire_event *event,
		       const char *why)
{
	wire->violation = why;
	*event = (struct imap_wire_event){ .kind = IMAP_WIRE_VIOLATION, .why = why };
	return true;
}

bool imap_wire_charge(struct imap_wire *wire, uint64_t octets,
		      struct imap_wire_event *event)
{
	if (octets > wire->limits.octets - wire->octets) {
		return !imap_wire_violate(wire, event,
					  "a command got more octets than its limit");
	}
	wire->octets += (size_t)octets;
	return true;
}

/* Count a response that the command under way did not ask for. False: too many. */
bool imap_wire_count_response(struct imap_wire *wire, enum imap_wire_expect expected,
			      struct imap_wire_event *event)
{
	if (wire->expect & expected) {
		return true;
	}
	wire->charged = true;
	if (++wire->unsolicited > wire->limits.unsolicited) {
		return !imap_wire_violate(wire, event,
					  "more unsolicited responses than the limit");
	}
	if (!imap_wire_charge(wire, wire->used, event)) {
		return false;
	}
	return true;
}

bool imap_wire_need_input(struct imap_wire_event *event)
{
	event->kind = IMAP_WIRE_NEED_INPUT;
	return true;
}
