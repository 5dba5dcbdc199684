/*
 * "Suggested Backoff Time: 299961 milliseconds": how Microsoft's servers say, in the text
 * for people of a NO, BAD or BYE, how long they want to be left alone.
 *
 * Pure. The text is untrusted: whoever uses the number bounds it.
 */
#ifndef PROTOCOL_IMAP_BACKOFF_H
#define PROTOCOL_IMAP_BACKOFF_H

#include "protocol/bytes.h"

/* False: it does not say. */
bool imap_backoff_parse(struct bytes text, uint64_t *ms);

#endif
