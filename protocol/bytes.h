/*
 * A borrowed run of octets, and the small questions a line parser asks of it.
 *
 * Pure. A struct bytes owns nothing: it lives as long as what it points into.
 * A zeroed one is valid and empty.
 */
#ifndef PROTOCOL_BYTES_H
#define PROTOCOL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const char *at;
	size_t len;
};

/* A whole C string, without its NUL. */
struct bytes bytes_of(const char *text);

bool bytes_equal(struct bytes a, struct bytes b);

/* ASCII letters in any case; keyword is written in upper case. */
bool bytes_is_keyword(struct bytes word, const char *keyword);

/* ASCII case-insensitive: does text begin with the (upper case) prefix? */
bool bytes_has_prefix(struct bytes text, const char *prefix);

/* Drop the first n octets (at most all of them). */
void bytes_skip(struct bytes *text, size_t n);

/*
 * Take the run up to the first space, and that one space. Inner spaces of the
 * rest stay: a password has them.
 */
struct bytes bytes_take_word(struct bytes *rest);

/*
 * Take a decimal number that ends at a space or at the end, and that one space.
 * Refused (false, nothing taken): empty, sign, leading zero other than "0"
 * itself, anything but digits, above 2^32-1 (2^64-1).
 */
bool bytes_take_u32(struct bytes *rest, uint32_t *out);
bool bytes_take_u64(struct bytes *rest, uint64_t *out);

#endif
