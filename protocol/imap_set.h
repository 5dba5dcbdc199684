/*
 * Sets of IMAP UIDs (RFC 9051 sequence-set, numbers only): built compact for
 * commands, walked where a server sends one. Pure.
 */
#ifndef PROTOCOL_IMAP_SET_H
#define PROTOCOL_IMAP_SET_H

#include "protocol/buffer.h"

/* Builds "3:7,9,12:13" from ascending UIDs into a buffer with a maximum. */
struct imap_set_writer {
	struct buffer *out; // borrowed; may hold the command's beginning already
	size_t begin;       // out's length when the set began
	uint32_t first;     // of the run that is still open, 0: none
	uint32_t last;
};

void imap_set_writer_init(struct imap_set_writer *writer, struct buffer *out);

/*
 * UIDs in ascending order, none twice. False: the set is full without this UID
 * (finish it and begin another); what was added before is intact.
 */
bool imap_set_add(struct imap_set_writer *writer, uint32_t imap_uid);

/* Writes the last run. Never fails: imap_set_add() kept room for it. */
void imap_set_finish(struct imap_set_writer *writer);

/* One range first <= last, both 1 to 2^32-1. */
struct imap_range {
	uint32_t first, last;
};

enum imap_set_step { IMAP_SET_RANGE, IMAP_SET_END, IMAP_SET_MALFORMED };

/*
 * Take the next range of a received set ("7:3" counts as 3:7; "*" and 0 are
 * malformed in an answer).
 */
enum imap_set_step imap_set_next(struct bytes *rest, struct imap_range *range);

#endif
