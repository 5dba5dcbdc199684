/*
 * Comma-separated values (RFC 4180), a field at a time: quotes, quotes in quotes, line
 * breaks in quotes, LF or CR LF at the end of a line, no line end at the end of the file.
 *
 * Pure. The text is untrusted, and whole in memory.
 */
#ifndef PROTOCOL_CSV_H
#define PROTOCOL_CSV_H

#include "protocol/buffer.h"

struct csv {
	struct bytes rest;
	size_t line; // of the field given last, from 1
	size_t next_line;
};

enum csv_field {
	CSV_FIELD,      // and another one follows in its line
	CSV_LAST_FIELD, // of its line
	CSV_END,        // no more lines
	CSV_MALFORMED,  // a quote that is not closed, or stands where none may
};

void csv_init(struct csv *csv, struct bytes text);

/* The next field, into out (cleared first); CSV_MALFORMED as well where it does not fit.
 * An empty line is one empty field. */
enum csv_field csv_next(struct csv *csv, struct buffer *out);

#endif
