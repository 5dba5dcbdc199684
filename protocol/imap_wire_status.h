/*
 * The status part of an IMAP answer: condition, response code, text. Used by imap_wire.
 */
#ifndef PROTOCOL_IMAP_WIRE_STATUS_H
#define PROTOCOL_IMAP_WIRE_STATUS_H

#include "protocol/imap_wire.h"

/* Is it OK, NO, BAD, PREAUTH or BYE, in any case? */
bool imap_wire_is_condition(struct bytes word, enum imap_wire_condition *condition);

/* The condition as it goes into a relay line. */
const char *imap_wire_condition_name(enum imap_wire_condition condition);

/*
 * What stands behind the condition: "[CODE arguments] text". Fills code, code_text,
 * number and text of the event. A static sentence where a number is out of range,
 * else NULL.
 */
const char *imap_wire_parse_status_text(struct bytes rest, struct imap_wire_event *event);

#endif
