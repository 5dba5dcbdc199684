/*
 * What imap_mailbox_name must do, said another way: UTF-8 by RFC 3629's table of octets,
 * and modified UTF-7 decoded as a string of bits. The unit test and the fuzz target
 * compare the two.
 */
#ifndef TESTS_UNIT_IMAP_MAILBOX_NAME_REFERENCE_H
#define TESTS_UNIT_IMAP_MAILBOX_NAME_REFERENCE_H

#include "protocol/buffer.h"
#include "protocol/imap_mailbox_name.h"

#include <stdlib.h>
#include <string.h>

static inline bool reference_is_ascii(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.at[i] > 0x7F) {
			return false;
		}
	}
	return true;
}

/* The octets of one character without controls, by RFC 3629 section 4; 0: malformed. */
static inline size_t reference_character(const unsigned char *at, size_t len)
{
	static const struct {
		size_t octets;
		unsigned char ranges[4][2];
	} rows[] = {
		{ 1, { { 0x20, 0x7E } } },
		{ 2, { { 0xC2, 0xDF }, { 0x80, 0xBF } } },
		{ 3, { { 0xE0, 0xE0 }, { 0xA0, 0xBF }, { 0x80, 0xBF } } },
		{ 3, { { 0xE1, 0xEC }, { 0x80, 0xBF }, { 0x80, 0xBF } } },
		{ 3, { { 0xED, 0xED }, { 0x80, 0x9F }, { 0x80, 0xBF } } },
		{ 3, { { 0xEE, 0xEF }, { 0x80, 0xBF }, { 0x80, 0xBF } } },
		{ 4, { { 0xF0, 0xF0 }, { 0x90, 0xBF }, { 0x80, 0xBF }, { 0x80, 0xBF } } },
		{ 4, { { 0xF1, 0xF3 }, { 0x80, 0xBF }, { 0x80, 0xBF }, { 0x80, 0xBF } } },
		{ 4, { { 0xF4, 0xF4 }, { 0x80, 0x8F }, { 0x80, 0xBF }, { 0x80, 0xBF } } },
	};

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		size_t i = 0;

		while (i < rows[row].octets && i < len &&
		       at[i] >= rows[row].ranges[i][0] &&
		       at[i] <= rows[row].ranges[i][1]) {
			i++;
		}
		if (i == rows[row].octets) {
			return i;
		}
	}
	return 0;
}

static inline bool reference_is_name(struct bytes text)
{
	while (text.len > 0) {
		size_t n = reference_character((const unsigned char *)text.at, text.len);

		if (n == 0) {
			return false;
		}
		bytes_skip(&text, n);
	}
	return true;
}

static inline void reference_put(struct buffer *out, unsigned long octet)
{
	const char c = (char)octet;

	if (!buffer_append(out, (struct bytes){ &c, 1 })) {
		abort();
	}
}

static inline void reference_put_utf8(struct buffer *out, unsigned long c)
{
	if (c < 0x80) {
		reference_put(out, c);
	} else if (c < 0x800) {
		reference_put(out, 0xC0 + c / 64);
		reference_put(out, 0x80 + c % 64);
	} else if (c < 0x10000) {
		reference_put(out, 0xE0 + c / 4096);
		reference_put(out, 0x80 + c / 64 % 64);
		reference_put(out, 0x80 + c % 64);
	} else {
		reference_put(out, 0xF0 + c / 262144);
		reference_put(out, 0x80 + c / 4096 % 64);
		reference_put(out, 0x80 + c / 64 % 64);
		reference_put(out, 0x80 + c % 64);
	}
}

/* Bit number i of base64 digits; beyond their end 0. -1: no digit. */
static inline int reference_bit(struct bytes digits, size_t i)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
	const char *digit = memchr(alphabet, digits.at[i / 6], 64);

	return digit ? (int)((digit - alphabet) >> (5 - i % 6) & 1) : -1;
}

/* count bits from bit number i on; negative where one is no digit's. */
static inline long reference_bits(struct bytes digits, size_t i, size_t count)
{
	long value = 0;

	for (size_t end = i + count; i < end; i++) {
		int bit = reference_bit(digits, i);

		if (bit < 0) {
			return -1;
		}
		value = value * 2 + bit;
	}
	return value;
}

static inline bool reference_decode_digits(struct bytes digits, struct buffer *out)
{
	const size_t units = digits.len * 6 / 16;
	const size_t left = digits.len * 6 % 16;

	for (size_t i = 0; i < units; i++) {
		long c = reference_bits(digits, i * 16, 16);

		if (c < 0 || (c >= 0x20 && c <= 0x7E) || c / 0x400 == 0xDC00 / 0x400) {
			return false;
		}
		if (c / 0x400 == 0xD800 / 0x400) {
			i++;
			long low = i < units ? reference_bits(digits, i * 16, 16) : 0;

			if (low / 0x400 != 0xDC00 / 0x400) {
				return false;
			}
			c = 0x10000 + c % 0x400 * 0x400 + low % 0x400;
		}
		reference_put_utf8(out, (unsigned long)c);
	}
	return units > 0 && left < 6 && reference_bits(digits, units * 16, left) == 0;
}

/* Modified UTF-7 to UTF-8. False where text is not the one way to write that name. */
static inline bool reference_decode(struct bytes text, struct buffer *out)
{
	bool after_run = false;

	for (size_t i = 0; i < text.len; i++) {
		const char c = text.at[i];

		if (c < 0x20 || c > 0x7E) {
			return false;
		}
		if (c != '&') {
			reference_put(out, (unsigned char)c);
			after_run = false;
			continue;
		}
		const char *end = memchr(text.at + i, '-', text.len - i);
		if (!end) {
			return false;
		}
		struct bytes digits = { text.at + i + 1,
					(size_t)(end - text.at) - i - 1 };
		if (digits.len == 0) {
			reference_put(out, '&');
		} else if (after_run || !reference_decode_digits(digits, out)) {
			return false;
		}
		after_run = digits.len > 0;
		i += digits.len + 1;
	}
	return true;
}

/* Does imap_mailbox_name_encode() do with this name what its header says? */
static inline bool reference_agrees(struct bytes name)
{
	struct buffer out = { .max = SIZE_MAX / 2 };
	struct buffer decoded = { .max = SIZE_MAX / 2 };
	const bool as_it_is = reference_decode(name, &decoded);
	const bool made = imap_mailbox_name_encode(name, &out);
	bool agrees = false;

	buffer_clear(&decoded);
	if (as_it_is) {
		agrees = made && bytes_equal(buffer_bytes(&out), name);
	} else if (!reference_is_name(name)) {
		agrees = !made && out.len == 0;
	} else {
		agrees = made && reference_decode(buffer_bytes(&out), &decoded) &&
			 bytes_equal(buffer_bytes(&decoded), name);
	}
	agrees = agrees && out.len <= name.len * IMAP_MAILBOX_NAME_GROWTH;
	buffer_release(&decoded);
	buffer_release(&out);
	return agrees;
}

#endif
