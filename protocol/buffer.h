/*
 * A growing buffer with a maximum from birth.
 *
 * Owned memory. A zeroed struct with max set is valid. Running out of memory
 * aborts the process; running into max is an answer (false), since the peer
 * chose the size.
 */
#ifndef PROTOCOL_BUFFER_H
#define PROTOCOL_BUFFER_H

#include "protocol/bytes.h"

struct buffer {
	char *data;  // owned, NULL while empty
	size_t len;  // octets in use
	size_t size; // octets allocated
	size_t max;  // never grows beyond
};

void buffer_init(struct buffer *buffer, size_t max);

/* Frees the memory; the buffer can be used again. Does not wipe. */
void buffer_release(struct buffer *buffer);

/* False, and nothing appended, where len would pass max. */
bool buffer_append(struct buffer *buffer, struct bytes more);

/* Text by printf rules. False, and nothing appended, where it does not fit. */
bool buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Room for at least n more octets at data + len; false beyond max. */
bool buffer_reserve(struct buffer *buffer, size_t n);

void buffer_clear(struct buffer *buffer);

struct bytes buffer_bytes(const struct buffer *buffer);

#endif
