/*
 * A POP3 client's octets cut into lines (RFC 1939 section 3, RFC 2449 section 4).
 *
 * Pure and incremental: fed at any chunking, constant memory. CR LF ends a line;
 * so does a bare LF (old clients). A line that is too long, or that holds a
 * control octet (0x00-0x1F, 0x7F), is skipped to its end and reported once, there.
 * The caller owns the storage, because a SASL line may be 16 KiB and a command is
 * 512 octets at most. It may hold a password: the caller wipes it.
 */
#ifndef PROTOCOL_POP3_LINE_H
#define PROTOCOL_POP3_LINE_H

#include "protocol/bytes.h"

enum pop3_line_result {
	POP3_LINE_NEED_INPUT, // all input taken, no line end yet
	POP3_LINE_READY,      // a whole line, its end taken off
	POP3_LINE_TOO_LONG,   // the line just skipped was longer than the storage
	POP3_LINE_BAD_OCTET,  // the line just skipped held a control octet
};

struct pop3_line {
	char *storage; // borrowed
	size_t size;   // longest line taken, without its line end
	size_t len;
	bool after_cr; // the last octet was a CR that may be half a line end
	bool too_long;
	bool bad_octet;
};

void pop3_line_init(struct pop3_line *line, char *storage, size_t size);

/*
 * Take octets from input up to and with the next line end. On POP3_LINE_READY
 * *text is the line, borrowed from the storage until the next call.
 */
enum pop3_line_result pop3_line_next(struct pop3_line *line, struct bytes *input,
				     struct bytes *text);

#endif
