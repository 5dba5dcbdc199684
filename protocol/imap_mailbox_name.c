#include "protocol/imap_mailbox_name.h"

#include <string.h>

/* Base64 with "," for "/", which is a hierarchy separator (RFC 3501 5.1.3). */
static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_printable(uint32_t c)
{
	return c >= 0x20 && c <= 0x7E;
}

static bool is_high_surrogate(uint32_t unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Reading what is modified UTF-7 already: one "&...-". */

struct run {
	uint32_t bits;  // the newest in the lowest place
	unsigned count; // of bits that make no UTF-16 unit yet
	bool awaits_low_surrogate;
};

/* Printable ASCII stands for itself, so that a name is written in one way only. */
static bool run_takes_unit(struct run *run, uint32_t unit)
{
	if (is_printable(unit) || is_low_surrogate(unit) != run->awaits_low_surrogate) {
		return false;
	}
	run->awaits_low_surrogate = is_high_surrogate(unit);
	return true;
}

static bool run_takes_digit(struct run *run, char c)
{
	const char *digit = c != '\0' ? strchr(alphabet, c) : NULL;

	if (!digit) {
		return false;
	}
	run->bits = run->bits << 6 | (uint32_t)(digit - alphabet);
	run->count += 6;
	if (run->count < 16) {
		return true;
	}
	run->count -= 16;
	return run_takes_unit(run, run->bits >> run->count & 0xFFFF);
}

/* Left over is less than a digit, and zero. */
static bool run_may_end(const struct run *run)
{
	return run->count < 6 && (run->bits & ((1U << run->count) - 1)) == 0 &&
	       !run->awaits_low_surrogate;
}

/* A second run right behind would have been one with the first. */
static bool begins_run(struct bytes text)
{
	return text.len > 0 && text.at[0] == '&' && !(text.len > 1 && text.at[1] == '-');
}

/* Take what follows an "&", up to and with the "-". */
static bool take_run(struct bytes *rest)
{
	struct run run = { 0 };

	if (rest->len > 0 && rest->at[0] == '-') {
		bytes_skip(rest, 1);
		return true;
	}
	while (rest->len > 0 && rest->at[0] != '-') {
		if (!run_takes_digit(&run, rest->at[0])) {
			return false;
		}
		bytes_skip(rest, 1);
	}
	if (rest->len == 0 || !run_may_end(&run)) {
		return false;
	}
	bytes_skip(rest, 1);
	return !begins_run(*rest);
}

static bool is_encoded(struct bytes name)
{
	while (name.len > 0) {
		const char c = name.at[0];

		if (!is_printable((unsigned char)c)) {
			return false;
		}
		bytes_skip(&name, 1);
		if (c == '&' && !take_run(&name)) {
			return false;
		}
	}
	return true;
}

/* Reading UTF-8 (RFC 3629). */

/* How many octets follow the first; 4: none begins so. */
static size_t count_more(unsigned char first)
{
	if (first < 0x80) {
		return 0;
	}
	if (first < 0xE0) {
		return first < 0xC0 ? 4 : 1;
	}
	if (first < 0xF0) {
		return 2;
	}
	return first < 0xF8 ? 3 : 4;
}

static bool take_code_point(struct bytes *utf8, uint32_t *out)
{
	static const uint32_t masks[] = { 0x7F, 0x1F, 0x0F, 0x07 };
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char first = (unsigned char)utf8->at[0];
	const size_t more = count_more(first);

	if (more > 3 || more >= utf8->len) {
		return false;
	}
	uint32_t c = first & masks[more];
	for (size_t i = 1; i <= more; i++) {
		const unsigned char next = (unsigned char)utf8->at[i];

		if ((next & 0xC0) != 0x80) {
			return false;
		}
		c = c << 6 | (next & 0x3F);
	}
	bytes_skip(utf8, more + 1);
	*out = c;
	return c >= least[more] && c <= 0x10FFFF && !is_high_surrogate(c) &&
	       !is_low_surrogate(c);
}

/* Writing modified UTF-7. */

struct encoder {
	struct buffer *out;
	uint32_t bits;  // the newest in the lowest place
	unsigned count; // of bits not written yet, below 6
	bool in_run;    // "&" is written, its "-" is not
};

static bool put_digit(struct encoder *encoder)
{
	const uint32_t digit = encoder->bits >> encoder->count & 0x3F;

	return buffer_append(encoder->out, (struct bytes){ &alphabet[digit], 1 });
}

static bool put_unit(struct encoder *encoder, uint32_t unit)
{
	encoder->bits = encoder->bits << 16 | unit;
	encoder->count += 16;
	while (encoder->count >= 6) {
		encoder->count -= 6;
		if (!put_digit(encoder)) {
			return false;
		}
	}
	return true;
}

static bool end_run(struct encoder *encoder)
{
	if (!encoder->in_run) {
		return true;
	}
	if (encoder->count > 0) {
		encoder->bits <<= 6 - encoder->count;
		encoder->count = 0;
		if (!put_digit(encoder)) {
			return false;
		}
	}
	encoder->in_run = false;
	return buffer_append(encoder->out, bytes_of("-"));
}

static bool put_in_run(struct encoder *encoder, uint32_t c)
{
	if (!encoder->in_run && !buffer_append(encoder->out, bytes_of("&"))) {
		return false;
	}
	encoder->in_run = true;
	if (c < 0x10000) {
		return put_unit(encoder, c);
	}
	c -= 0x10000;
	return put_unit(encoder, 0xD800 | c >> 10) &&
	       put_unit(encoder, 0xDC00 | (c & 0x3FF));
}

static bool put_code_point(struct encoder *encoder, uint32_t c)
{
	const char itself = (char)c;

	if (c > 0x7F) {
		return put_in_run(encoder, c);
	}
	if (!is_printable(c) || !end_run(encoder)) {
		return false;
	}
	return buffer_append(encoder->out,
			     c == '&' ? bytes_of("&-") : (struct bytes){ &itself, 1 });
}

static bool encode(struct bytes utf8, struct buffer *out)
{
	struct encoder encoder = { .out = out };
	uint32_t c;

	while (utf8.len > 0) {
		if (!take_code_point(&utf8, &c) || !put_code_point(&encoder, c)) {
			return false;
		}
	}
	return end_run(&encoder);
}

bool imap_mailbox_name_encode(struct bytes utf8, struct buffer *out)
{
	const size_t before = out->len;

	if (is_encoded(utf8)) {
		return buffer_append(out, utf8);
	}
	if (!encode(utf8, out)) {
		out->len = before;
		return false;
	}
	return true;
}
