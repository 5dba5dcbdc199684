#include "proxy/cli/output.h"

#include "proxy/base/memory.h"
#include "proxy/web/escape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define ESCAPED_MAX ((size_t)256 * 1024)

void output_text(FILE *file, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char c = (unsigned char)text.at[i];

		fputc(c < 0x20 || c == 0x7f ? '?' : c, file);
	}
}

int output_failure(const struct failure *failure)
{
	fprintf(stderr, "popbridge: ");
	output_text(stderr, bytes_of(failure->text));
	fputc('\n', stderr);
	if (failure->advice) {
		fprintf(stderr, "popbridge: %s\n", failure->advice);
	}
	return 1;
}

void output_json(FILE *file, struct bytes text)
{
	char *copy = memory_copy_text(text);
	struct buffer escaped;

	buffer_init(&escaped, ESCAPED_MAX);
	escape_json(&escaped, copy);
	fwrite(escaped.data, 1, escaped.len, file);
	buffer_release(&escaped);
	free(copy);
}

const char *output_time(uint64_t unix_s, char out[OUTPUT_TIME_MAX])
{
	const time_t at = (time_t)unix_s;
	struct tm utc;

	if (unix_s == 0 || !gmtime_r(&at, &utc) ||
	    strftime(out, OUTPUT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
		snprintf(out, OUTPUT_TIME_MAX, "never");
	}
	return out;
}

void output_json_time(FILE *file, uint64_t unix_s)
{
	char text[OUTPUT_TIME_MAX];

	if (unix_s == 0) {
		fputs("null", file);
	} else {
		fprintf(file, "\"%s\"", output_time(unix_s, text));
	}
}

const char *output_age(uint64_t unix_s, char out[OUTPUT_TIME_MAX])
{
	static const struct {
		uint64_t s;
		const char *name;
	} units[] = { { 86400, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	const uint64_t now_s = (uint64_t)time(NULL);
	const uint64_t age_s = now_s > unix_s ? now_s - unix_s : 0;
	size_t unit = 0;

	while (unit < 3 && age_s < 2 * units[unit].s) {
		unit++;
	}
	snprintf(out, OUTPUT_TIME_MAX, "%" PRIu64 " %s ago", age_s / units[unit].s,
		 units[unit].name);
	return out;
}
