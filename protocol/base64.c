#include "protocol/base64.h"

#include <string.h>

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t octet(struct bytes raw, size_t i)
{
	return i < raw.len ? (unsigned char)raw.at[i] : 0;
}

bool base64_encode(struct bytes raw, struct buffer *out)
{
	/* The first test keeps the product of the second from wrapping. */
	if (raw.len > out->max || !buffer_reserve(out, (raw.len + 2) / 3 * 4)) {
		return false;
	}
	for (size_t i = 0; i < raw.len; i += 3) {
		char *quad = out->data + out->len;
		uint32_t bits =
			octet(raw, i) << 16 | octet(raw, i + 1) << 8 | octet(raw, i + 2);

		quad[0] = alphabet[bits >> 18];
		quad[1] = alphabet[bits >> 12 & 63];
		quad[2] = i + 1 < raw.len ? alphabet[bits >> 6 & 63] : '=';
		quad[3] = i + 2 < raw.len ? alphabet[bits & 63] : '=';
		out->len += 4;
	}
	return true;
}

bool base64_encode_url(struct bytes raw, struct buffer *out)
{
	const size_t before = out->len;

	if (!base64_encode(raw, out)) {
		return false;
	}
	while (out->len > before && out->data[out->len - 1] == '=') {
		out->len--;
	}
	for (size_t i = before; i < out->len; i++) {
		char *c = &out->data[i];

		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	}
	return true;
}

/* The octets padding stands for: "xx==" lacks 2, "xxx=" 1, "xxxx" 0. */
static size_t count_padding(struct bytes text)
{
	if (text.len == 0 || text.at[text.len - 1] != '=') {
		return 0;
	}
	return text.at[text.len - 2] == '=' ? 2 : 1;
}

static bool take_digit(char c, uint32_t *bits)
{
	const char *digit = c != '\0' ? strchr(alphabet, c) : NULL;

	if (!digit) {
		return false;
	}
	*bits = *bits << 6 | (uint32_t)(digit - alphabet);
	return true;
}

/* One group of four, the last pad of which are "=". Unused bits must be zero. */
static bool decode_quad(const char *quad, size_t pad, char *out)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4 - pad; i++) {
		if (!take_digit(quad[i], &bits)) {
			return false;
		}
	}
	bits <<= 6 * pad;
	if (bits & ((1U << 8 * pad) - 1)) {
		return false;
	}
	for (size_t i = 0; i < 3 - pad; i++) {
		out[i] = (char)(bits >> (16 - 8 * i));
	}
	return true;
}

bool base64_decode(struct bytes text, struct buffer *out)
{
	if (text.len % 4 != 0) {
		return false;
	}
	size_t padding = count_padding(text);
	size_t octets = text.len / 4 * 3 - padding;
	if (!buffer_reserve(out, octets)) {
		return false;
	}
	char *to = out->data + out->len;
	for (size_t i = 0; i < text.len; i += 4) {
		if (!decode_quad(text.at + i, i + 4 == text.len ? padding : 0, to)) {
			return false;
		}
		to += 3;
	}
	out->len += octets;
	return true;
}
