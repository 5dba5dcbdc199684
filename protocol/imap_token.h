/*
 * The smallest tokens of an IMAP answer: numbers, quoted strings, literal marks.
 *
 * Pure. Each takes from the front of rest on success and nothing otherwise.
 */
#ifndef PROTOCOL_IMAP_TOKEN_H
#define PROTOCOL_IMAP_TOKEN_H

#include "protocol/bytes.h"

/* ASCII only: what a number is must not depend on the locale. */
static inline bool imap_token_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool imap_token_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * A run of digits, whatever follows it. Refused: none, a leading zero other than
 * "0" itself, above 2^64-1.
 */
bool imap_token_number(struct bytes *rest, uint64_t *out);

/* "{n}" with nothing behind it: its octets follow the line's end. */
bool imap_token_literal(struct bytes *rest, uint64_t *octets);

struct imap_quoted {
	size_t raw;    // octets up to and without the closing quote, escapes included
	size_t octets; // the same without the escapes
};

/* Looks at a quoted string; rest begins behind the opening quote. False: no end. */
bool imap_token_quoted(struct bytes rest, struct imap_quoted *quoted);

/* One or more spaces (one is right, some servers send two). */
bool imap_token_spaces(struct bytes *rest);

#endif
