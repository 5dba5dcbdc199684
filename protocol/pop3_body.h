/*
 * A message on its way from IMAP to a POP3 client (RFC 1939 section 3): every line
 * end (CR LF, bare LF, bare CR) becomes CR LF, lines that begin with "." get
 * another one, TOP ends after its last line (section 7).
 *
 * Pure and incremental: the output is the same for every chunking of the input.
 */
#ifndef PROTOCOL_POP3_BODY_H
#define PROTOCOL_POP3_BODY_H

#include "protocol/bytes.h"

#define POP3_BODY_ALL UINT32_MAX // lines: the whole message
#define POP3_BODY_END_MAX 8      // octets pop3_body_end() writes at most

struct pop3_body {
	uint64_t octets;     // so far, after line end repair, before stuffing
	uint32_t lines;      // TOP: body lines wanted
	uint32_t lines_seen; // TOP: body lines given
	bool replace_nul;    // NUL becomes 0x80 (Outlook hangs on NUL)
	bool in_header;      // the blank line has not been seen
	bool at_line_start;
	bool after_cr; // the last input octet was CR (its CR LF is written)
	bool full;     // TOP has all its lines
};

/* lines: POP3_BODY_ALL for RETR, else TOP's number (0: header and blank line only). */
void pop3_body_init(struct pop3_body *body, uint32_t lines, bool replace_nul);

/*
 * Convert from *input, advancing it, into out until input or room ends or TOP is
 * full. size is at least 8. Returns the octets written.
 */
size_t pop3_body_convert(struct pop3_body *body, struct bytes *input, char *out,
			 size_t size);

/* TOP only: the last wanted line was written, the rest of the input is not needed. */
bool pop3_body_is_full(const struct pop3_body *body);

/*
 * The input is over: a missing last line end (counted in octets; none for a message
 * of zero octets), then ".", CR LF. Returns the octets written.
 */
size_t pop3_body_end(struct pop3_body *body, char out[POP3_BODY_END_MAX]);

#endif
