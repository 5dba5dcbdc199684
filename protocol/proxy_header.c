#include "protocol/proxy_header.h"

#include <string.h>

#define TEXT_SHORTEST 15 // "PROXY UNKNOWN" CR LF
#define TEXT_SPACES 5    // PROXY TCP4 source destination port port

static const char text_signature[] = "PROXY ";
static const char binary_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- addresses and ports as text ---- */

/* Decimal, in its one spelling. */
static bool take_number(struct bytes *rest, uint32_t max, uint32_t *out)
{
	const bool leading_zero = rest->len > 0 && *rest->at == '0';
	size_t digits = 0;

	*out = 0;
	while (digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9') {
		*out = *out * 10 + (uint32_t)(rest->at[digits] - '0');
		digits++;
		if (*out > max || (leading_zero && digits > 1)) {
			return false;
		}
	}
	bytes_skip(rest, digits);
	return digits > 0;
}

static bool take_octet(struct bytes *rest, char octet)
{
	if (rest->len == 0 || *rest->at != octet) {
		return false;
	}
	bytes_skip(rest, 1);
	return true;
}

static bool parse_ipv4(struct bytes text, unsigned char out[4])
{
	for (size_t i = 0; i < 4; i++) {
		uint32_t number;

		if ((i > 0 && !take_octet(&text, '.')) ||
		    !take_number(&text, 255, &number)) {
			return false;
		}
		out[i] = (unsigned char)number;
	}
	return text.len == 0;
}

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_group(struct bytes *rest, unsigned char out[2])
{
	unsigned value = 0;
	size_t digits = 0;

	while (digits < rest->len && hex_value(rest->at[digits]) >= 0) {
		value = value * 16 + (unsigned)hex_value(rest->at[digits]);
		if (++digits > 4) {
			return false;
		}
	}
	bytes_skip(rest, digits);
	out[0] = (unsigned char)(value >> 8);
	out[1] = (unsigned char)(value & 0xFF);
	return digits > 0;
}

/* A group, or the dotted quad that may end an address ("::ffff:192.0.2.1"). */
static bool take_part(struct bytes *rest, unsigned char out[16], size_t *len)
{
	if (!memchr(rest->at, ':', rest->len) && memchr(rest->at, '.', rest->len)) {
		const struct bytes quad = *rest;

		bytes_skip(rest, rest->len);
		*len += 4;
		return *len <= 16 && parse_ipv4(quad, out + *len - 4);
	}
	*len += 2;
	return *len <= 16 && take_group(rest, out + *len - 2);
}

/* "::" at octet gap stands for one group of zeros or more. */
static bool close_gap(unsigned char out[16], size_t len, size_t gap)
{
	if (len == 16) {
		return false;
	}
	memmove(out + 16 - (len - gap), out + gap, len - gap);
	memset(out + gap, 0, 16 - len);
	return true;
}

static bool parse_ipv6(struct bytes text, unsigned char out[16])
{
	size_t len = 0;
	size_t gap = SIZE_MAX;

	if (bytes_has_prefix(text, "::")) {
		gap = 0;
		bytes_skip(&text, 2);
	}
	while (text.len > 0) {
		if (!take_part(&text, out, &len)) {
			return false;
		}
		if (text.len == 0) {
			break;
		}
		if (!take_octet(&text, ':') || text.len == 0) {
			return false;
		}
		if (gap == SIZE_MAX && take_octet(&text, ':')) {
			gap = len;
		}
	}
	return gap == SIZE_MAX ? len == 16 : close_gap(out, len, gap);
}

static bool parse_port(struct bytes text, uint16_t *port)
{
	uint32_t number;

	if (!take_number(&text, 65535, &number)) {
		return false;
	}
	*port = (uint16_t)number;
	return text.len == 0;
}

/* ---- version 1: a line ---- */

/* Octets in front of CR LF. Of all others only printable ones may stand in the line. */
static enum proxy_header_result find_end(struct bytes input, size_t *len)
{
	for (size_t i = 0; i < input.len && i < PROXY_HEADER_TEXT_MAX - 1; i++) {
		if (input.at[i] == '\r') {
			*len = i;
			if (i + 1 == input.len) {
				return PROXY_HEADER_NEED_MORE;
			}
			return input.at[i + 1] == '\n' ? PROXY_HEADER_READY
						       : PROXY_HEADER_MALFORMED;
		}
		if (input.at[i] < ' ' || input.at[i] > '~') {
			return PROXY_HEADER_MALFORMED;
		}
	}
	return input.len < PROXY_HEADER_TEXT_MAX - 1 ? PROXY_HEADER_NEED_MORE
						     : PROXY_HEADER_MALFORMED;
}

static size_t count_spaces(struct bytes text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++) {
		count += text.at[i] == ' ';
	}
	return count;
}

static bool parse_address(struct bytes text, enum proxy_header_family family,
			  unsigned char out[16])
{
	return family == PROXY_HEADER_IPV4 ? parse_ipv4(text, out)
					   : parse_ipv6(text, out);
}

static bool parse_line(struct bytes line, struct proxy_header *out)
{
	const size_t spaces = count_spaces(line);
	struct proxy_header header = { .has_address = true };

	bytes_skip(&line, sizeof(text_signature) - 1);
	const struct bytes protocol = bytes_take_word(&line);
	if (bytes_equal(protocol, bytes_of("UNKNOWN"))) {
		*out = (struct proxy_header){ 0 }; // the rest is to be ignored
		return true;
	}
	if (bytes_equal(protocol, bytes_of("TCP6"))) {
		header.family = PROXY_HEADER_IPV6;
	} else if (!bytes_equal(protocol, bytes_of("TCP4"))) {
		return false;
	}
	if (spaces != TEXT_SPACES ||
	    !parse_address(bytes_take_word(&line), header.family,
			   header.source.address) ||
	    !parse_address(bytes_take_word(&line), header.family,
			   header.destination.address) ||
	    !parse_port(bytes_take_word(&line), &header.source.port) ||
	    !parse_port(line, &header.destination.port)) {
		return false;
	}
	*out = header;
	return true;
}

static enum proxy_header_result parse_text(struct bytes input, size_t *consumed,
					   struct proxy_header *out)
{
	size_t len = 0;
	const enum proxy_header_result result = find_end(input, &len);

	if (result != PROXY_HEADER_READY) {
		return result;
	}
	if (!parse_line((struct bytes){ input.at, len }, out)) {
		return PROXY_HEADER_MALFORMED;
	}
	*consumed = len + 2;
	return PROXY_HEADER_READY;
}

static size_t wanted_of_text(struct bytes input)
{
	const size_t line_end = input.at[input.len - 1] == '\r' ? 1 : 2;
	const size_t spaces = count_spaces(input);

	if (input.len < TEXT_SHORTEST) {
		return TEXT_SHORTEST - input.len;
	}
	if (input.at[sizeof(text_signature) - 1] == 'U' || spaces >= TEXT_SPACES) {
		return line_end;
	}
	return 2 * (TEXT_SPACES - spaces) + line_end; // a space and an octet each
}

/* ---- version 2: binary ---- */

static uint16_t get_u16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static size_t block_size(struct bytes input)
{
	return get_u16((const unsigned char *)input.at + 14);
}

/* Octets of one address where the header says TCP over IPv4 or IPv6, else 0. */
static size_t address_size(unsigned char family)
{
	return family == 0x11 ? 4 : family == 0x21 ? 16 : 0;
}

/* Both addresses and both ports. */
static size_t addresses_size(unsigned char family)
{
	const size_t size = address_size(family);

	return size > 0 ? 2 * size + 4 : 0;
}

/* Address family 0 to 3 and transport 0 to 2 are defined. */
static bool is_family(unsigned char family)
{
	return family >> 4 <= 3 && (family & 0x0F) <= 2;
}

/* Of a fixed part that is all there. */
static bool is_valid_binary(const unsigned char *fixed, size_t block)
{
	const unsigned char version_command = fixed[12], family = fixed[13];

	if (block > PROXY_HEADER_BLOCK_MAX) {
		return false;
	}
	if (version_command == 0x20) {
		return true; // LOCAL: what follows does not matter
	}
	return version_command == 0x21 && is_family(family) &&
	       block >= addresses_size(family);
}

static void read_addresses(const unsigned char *block, size_t size,
			   struct proxy_header *out)
{
	const unsigned char *ports = block + 2 * size;

	out->has_address = true;
	out->family = size == 4 ? PROXY_HEADER_IPV4 : PROXY_HEADER_IPV6;
	memcpy(out->source.address, block, size);
	memcpy(out->destination.address, block + size, size);
	out->source.port = get_u16(ports);
	out->destination.port = get_u16(ports + 2);
}

static enum proxy_header_result parse_binary(struct bytes input, size_t *consumed,
					     struct proxy_header *out)
{
	const unsigned char *at = (const unsigned char *)input.at;

	if (input.len < PROXY_HEADER_FIXED) {
		return PROXY_HEADER_NEED_MORE;
	}
	const size_t block = block_size(input), size = address_size(at[13]);
	if (!is_valid_binary(at, block)) {
		return PROXY_HEADER_MALFORMED;
	}
	if (input.len - PROXY_HEADER_FIXED < block) {
		return PROXY_HEADER_NEED_MORE;
	}
	*out = (struct proxy_header){ .is_local = at[12] == 0x20 };
	if (!out->is_local && size > 0) {
		read_addresses(at + PROXY_HEADER_FIXED, size, out);
	}
	*consumed = PROXY_HEADER_FIXED + block;
	return PROXY_HEADER_READY;
}

/* ---- either ---- */

/* Is all there is of the input equal to the signature's beginning? */
static bool begins_like(struct bytes input, const char *signature, size_t size)
{
	return memcmp(input.at, signature, input.len < size ? input.len : size) == 0;
}

enum proxy_header_result proxy_header_parse(struct bytes input, size_t *consumed,
					    struct proxy_header *out)
{
	if (input.len == 0) {
		return PROXY_HEADER_NEED_MORE;
	}
	if (begins_like(input, text_signature, sizeof(text_signature) - 1)) {
		return parse_text(input, consumed, out);
	}
	if (begins_like(input, binary_signature, sizeof(binary_signature) - 1)) {
		return parse_binary(input, consumed, out);
	}
	return PROXY_HEADER_MALFORMED;
}

size_t proxy_header_wanted(struct bytes input)
{
	if (input.len == 0) {
		return TEXT_SHORTEST;
	}
	if (*input.at != '\r') {
		return wanted_of_text(input);
	}
	return input.len < PROXY_HEADER_FIXED
		       ? PROXY_HEADER_FIXED - input.len
		       : PROXY_HEADER_FIXED + block_size(input) - input.len;
}
