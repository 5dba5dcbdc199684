#include "protocol/csv.h"

#include <string.h>

void csv_init(struct csv *csv, struct bytes text)
{
	*csv = (struct csv){ .rest = text, .line = 1, .next_line = 1 };
}

/* Behind the field: a comma, a line end, the end. */
static enum csv_field end_field(struct csv *csv)
{
	if (csv->rest.len == 0) {
		return CSV_LAST_FIELD;
	}
	if (*csv->rest.at == ',') {
		bytes_skip(&csv->rest, 1);
		return CSV_FIELD;
	}
	if (*csv->rest.at == '\r' && csv->rest.len > 1 && csv->rest.at[1] == '\n') {
		bytes_skip(&csv->rest, 1);
	}
	if (*csv->rest.at != '\n') {
		return CSV_MALFORMED;
	}
	bytes_skip(&csv->rest, 1);
	csv->next_line++;
	return CSV_LAST_FIELD;
}

static enum csv_field quoted(struct csv *csv, struct buffer *out)
{
	bytes_skip(&csv->rest, 1);
	while (csv->rest.len > 0) {
		const char c = *csv->rest.at;

		bytes_skip(&csv->rest, 1);
		if (c == '"') {
			if (csv->rest.len == 0 || *csv->rest.at != '"') {
				return end_field(csv);
			}
			bytes_skip(&csv->rest, 1);
		}
		csv->next_line += c == '\n';
		if (!buffer_append(out, (struct bytes){ &c, 1 })) {
			return CSV_MALFORMED;
		}
	}
	return CSV_MALFORMED;
}

static enum csv_field bare(struct csv *csv, struct buffer *out)
{
	size_t len = 0;

	while (len < csv->rest.len && !strchr(",\r\n\"", csv->rest.at[len])) {
		len++;
	}
	/* strchr() finds the NUL, too: it is no character of a field. */
	if (len > 0 && !buffer_append(out, (struct bytes){ csv->rest.at, len })) {
		return CSV_MALFORMED;
	}
	bytes_skip(&csv->rest, len);
	return end_field(csv);
}

enum csv_field csv_next(struct csv *csv, struct buffer *out)
{
	buffer_clear(out);
	csv->line = csv->next_line;
	if (csv->rest.len == 0) {
		return CSV_END;
	}
	return *csv->rest.at == '"' ? quoted(csv, out) : bare(csv, out);
}
