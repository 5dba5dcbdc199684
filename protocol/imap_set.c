#include "protocol/imap_set.h"
#include "protocol/imap_token.h"

#include <inttypes.h>

void imap_set_writer_init(struct imap_set_writer *writer, struct buffer *out)
{
	*writer = (struct imap_set_writer){ .out = out, .begin = out->len };
}

static size_t digits(uint32_t number)
{
	size_t n = 1;

	while (number >= 10) {
		number /= 10;
		n++;
	}
	return n;
}

static size_t run_length(uint32_t first, uint32_t last)
{
	return first == last ? digits(first) : digits(first) + 1 + digits(last);
}

/* The open run with the comma in front of it where one is due. */
static size_t open_length(const struct imap_set_writer *writer, uint32_t last)
{
	size_t comma = writer->out->len > writer->begin ? 1 : 0;

	return comma + run_length(writer->first, last);
}

bool imap_set_add(struct imap_set_writer *writer, uint32_t imap_uid)
{
	if (writer->first == 0) {
		writer->first = imap_uid;
		if (!buffer_reserve(writer->out, open_length(writer, imap_uid))) {
			writer->first = 0;
			return false;
		}
	} else if (imap_uid == writer->last + 1) {
		if (!buffer_reserve(writer->out, open_length(writer, imap_uid))) {
			return false;
		}
	} else {
		if (!buffer_reserve(writer->out, open_length(writer, writer->last) + 1 +
							 digits(imap_uid))) {
			return false;
		}
		imap_set_finish(writer);
		writer->first = imap_uid;
	}
	writer->last = imap_uid;
	return true;
}

void imap_set_finish(struct imap_set_writer *writer)
{
	const char *comma = writer->out->len > writer->begin ? "," : "";

	if (writer->first == 0) {
		return;
	}
	if (writer->first == writer->last) {
		buffer_printf(writer->out, "%s%" PRIu32, comma, writer->first);
	} else {
		buffer_printf(writer->out, "%s%" PRIu32 ":%" PRIu32, comma, writer->first,
			      writer->last);
	}
	writer->first = 0;
}

static bool take_imap_uid(struct bytes *rest, uint32_t *imap_uid)
{
	uint64_t number;

	if (!imap_token_number(rest, &number) || number == 0 || number > UINT32_MAX) {
		return false;
	}
	*imap_uid = (uint32_t)number;
	return true;
}

static bool take_octet(struct bytes *rest, char octet)
{
	if (rest->len == 0 || rest->at[0] != octet) {
		return false;
	}
	bytes_skip(rest, 1);
	return true;
}

enum imap_set_step imap_set_next(struct bytes *rest, struct imap_range *range)
{
	uint32_t first;
	uint32_t last;

	if (rest->len == 0) {
		return IMAP_SET_END;
	}
	if (!take_imap_uid(rest, &first)) {
		return IMAP_SET_MALFORMED;
	}
	last = first;
	if (take_octet(rest, ':') && !take_imap_uid(rest, &last)) {
		return IMAP_SET_MALFORMED;
	}
	/* A comma promises one more; anything else than a comma is foreign here. */
	if (take_octet(rest, ',') ? rest->len == 0 : rest->len > 0) {
		return IMAP_SET_MALFORMED;
	}
	*range = first <= last ? (struct imap_range){ first, last }
			       : (struct imap_range){ last, first };
	return IMAP_SET_RANGE;
}
