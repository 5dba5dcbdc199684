#include "proxy/ipc/field.h"

#define TEXT_LENGTH_OCTETS 2

bool field_put_number(struct buffer *out, uint64_t number, size_t octets)
{
	char text[8];

	for (size_t i = 0; i < octets; i++) {
		text[i] = (char)(number >> (8 * i));
	}
	return buffer_append(out, (struct bytes){ text, octets });
}

bool field_put_text(struct buffer *out, struct bytes text, size_t max)
{
	return text.len <= max && field_put_number(out, text.len, TEXT_LENGTH_OCTETS) &&
	       (text.len == 0 || buffer_append(out, text));
}

bool field_take_number(struct bytes *rest, size_t octets, uint64_t *out)
{
	if (rest->len < octets) {
		return false;
	}
	*out = 0;
	for (size_t i = 0; i < octets; i++) {
		*out |= (uint64_t)(unsigned char)rest->at[i] << (8 * i);
	}
	bytes_skip(rest, octets);
	return true;
}

bool field_take_u32(struct bytes *rest, size_t octets, uint32_t *out)
{
	uint64_t number;

	if (!field_take_number(rest, octets, &number)) {
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

bool field_take_text(struct bytes *rest, size_t max, struct bytes *out)
{
	uint64_t len;

	if (!field_take_number(rest, TEXT_LENGTH_OCTETS, &len) || len > max ||
	    len > rest->len) {
		return false;
	}
	*out = (struct bytes){ rest->at, (size_t)len };
	bytes_skip(rest, (size_t)len);
	return true;
}

bool field_put_numbers(struct buffer *out, const uint64_t *numbers, unsigned which)
{
	bool fits = true;

	for (unsigned i = 0; which >> i > 0 && fits; i++) {
		fits = !(which >> i & 1) || field_put_number(out, numbers[i], 8);
	}
	return fits;
}

bool field_put_texts(struct buffer *out, const struct bytes *texts, unsigned which,
		     size_t max)
{
	bool fits = true;

	for (unsigned i = 0; which >> i > 0 && fits; i++) {
		fits = !(which >> i & 1) || field_put_text(out, texts[i], max);
	}
	return fits;
}

bool field_take_numbers(struct bytes *rest, unsigned which, uint64_t *numbers)
{
	bool good = true;

	for (unsigned i = 0; which >> i > 0 && good; i++) {
		good = !(which >> i & 1) || field_take_number(rest, 8, &numbers[i]);
	}
	return good;
}

bool field_take_texts(struct bytes *rest, unsigned which, size_t max, struct bytes *texts)
{
	bool good = true;

	for (unsigned i = 0; which >> i > 0 && good; i++) {
		good = !(which >> i & 1) || field_take_text(rest, max, &texts[i]);
	}
	return good;
}
