/*
 * What is read is what a writer would have meant: written in quotes and read again, every
 * file is the same fields and lines.
 */
#include "protocol/csv.h"

#include <stdint.h>
#include <stdlib.h>

#define FIELD_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void write_field(struct buffer *out, struct bytes field, bool last)
{
	buffer_append(out, bytes_of("\""));
	for (size_t i = 0; i < field.len; i++) {
		buffer_append(out, field.at[i] == '"'
					   ? bytes_of("\"\"")
					   : (struct bytes){ &field.at[i], 1 });
	}
	buffer_append(out, bytes_of(last ? "\"\n" : "\","));
}

static enum csv_field read_all(struct bytes text, struct buffer *out)
{
	struct csv csv;
	struct buffer field;
	enum csv_field kind;

	buffer_init(&field, FIELD_MAX);
	csv_init(&csv, text);
	while ((kind = csv_next(&csv, &field)) == CSV_FIELD || kind == CSV_LAST_FIELD) {
		must(field.len <= FIELD_MAX && csv.line <= text.len + 1);
		write_field(out, buffer_bytes(&field), kind == CSV_LAST_FIELD);
	}
	buffer_release(&field);
	return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct buffer once, twice;

	buffer_init(&once, 8 * size + 16);
	buffer_init(&twice, 8 * size + 16);
	if (read_all((struct bytes){ (const char *)input, size }, &once) == CSV_END) {
		must(read_all(buffer_bytes(&once), &twice) == CSV_END);
		must(bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)));
	}
	buffer_release(&once);
	buffer_release(&twice);
	return 0;
}
