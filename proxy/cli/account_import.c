/*
 * `popbridge account import`: many accounts from a CSV or JSON file, all or none.
 *
 * CSV has a first line with the names of its columns, JSON is a list of objects; both
 * have what `export` writes, and `password` or `refresh_token` besides. Every mistake is
 * told by its line or place before anything is stored.
 */
#include "proxy/cli/account.h"
#include "proxy/cli/output.h"

#include "protocol/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_OCTETS ((size_t)64 * 1024 * 1024)
#define FIELD_OCTETS 4096
#define COLUMNS_MAX 32

/* What an account can have, as both kinds of file name it. */
static const struct column {
	const char *name;
	enum admin_text text;
} columns[] = {
	{ "user", ADMIN_USER },
	{ "mailbox", ADMIN_MAILBOX },
	{ "kind", ADMIN_WHAT }, // judged here
	{ "provider", ADMIN_PROVIDER },
	{ "route", ADMIN_ROUTE },
	{ "signs_in_as", ADMIN_SIGNS_IN_AS },
	{ "aliases", ADMIN_ALIASES },
	{ "password", ADMIN_SECRET },
	{ "refresh_token", ADMIN_SECRET },
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

/* An import under way. */
struct import {
	struct enquiry *enquiry;
	const char *path;
	struct buffer fields[COLUMNS]; // of the account that is read
	uint64_t good;
	uint64_t mistakes;
	bool broken; // the service is gone
};

static void mistake(struct import *import, const char *where, size_t place,
		    const char *why)
{
	fprintf(stderr, "%s:%s%zu: %s\n", import->path, where, place, why);
	import->mistakes++;
}

static size_t column_named(struct bytes name)
{
	size_t i = 0;

	while (i < COLUMNS && !bytes_equal(bytes_of(columns[i].name), name)) {
		i++;
	}
	return i;
}

/* Several in one field are apart by blanks. */
static void split_aliases(struct buffer *field)
{
	for (size_t i = 0; i < field->len; i++) {
		if (field->data[i] == ' ') {
			field->data[i] = '\n';
		}
	}
}

/* False: no such kind. */
static bool kind_of(const struct import *import, uint64_t *out)
{
	const struct bytes kind = buffer_bytes(&import->fields[2]);

	if (kind.len == 0) {
		*out = import->fields[3].len > 0 ? ACCOUNT_OAUTH : ACCOUNT_PASSWORD;
		return true;
	}
	for (*out = 0; *out < ACCOUNT_KINDS; (*out)++) {
		if (bytes_equal(bytes_of(account_kinds[*out]), kind)) {
			return true;
		}
	}
	return false;
}

/* The account that was read, to the service, which judges it. */
static void send_account(struct import *import, const char *where, size_t place)
{
	struct admin_message message = { .type = ADMIN_REGISTER,
					 .number[ADMIN_MODE] = ADMIN_MODE_COLLECT };
	struct failure failure;
	uint64_t count;

	if (!kind_of(import, &message.number[ADMIN_TYPE])) {
		mistake(import, where, place, "kind is oauth, password or pass-through");
		return;
	}
	split_aliases(&import->fields[6]);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (import->fields[i].len > 0) {
			message.text[columns[i].text] = buffer_bytes(&import->fields[i]);
		}
	}
	message.text[ADMIN_WHAT] = (struct bytes){ 0 };
	if (message.text[ADMIN_MAILBOX].len == 0) {
		message.text[ADMIN_MAILBOX] = message.text[ADMIN_USER];
	}
	if (enquiry_count(import->enquiry, &message, &count, &failure)) {
		import->good++;
	} else if (failure.kind == FAILURE_TEMPORARY && failure.advice) {
		import->broken = true; // not a word about the account
		output_failure(&failure);
	} else {
		mistake(import, where, place, failure.text);
	}
}

static void clear_fields(struct import *import)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (import->fields[i].data) {
			memory_wipe(import->fields[i].data, import->fields[i].size);
		}
		buffer_clear(&import->fields[i]);
	}
}

/* ---- CSV ---- */

struct csv_reading {
	struct csv csv;
	struct buffer field;
	size_t order[COLUMNS_MAX]; // which of our columns
	size_t count;
};

static bool read_header(struct import *import, struct csv_reading *reading)
{
	enum csv_field kind;

	do {
		kind = csv_next(&reading->csv, &reading->field);
		const size_t column = column_named(buffer_bytes(&reading->field));

		if (kind == CSV_END || kind == CSV_MALFORMED || column == COLUMNS ||
		    reading->count == COLUMNS_MAX) {
			mistake(import, "", reading->csv.line,
				"the first line names the columns: user, mailbox, kind, "
				"provider, route, signs_in_as, aliases, password, "
				"refresh_token");
			return false;
		}
		reading->order[reading->count++] = column;
	} while (kind == CSV_FIELD);
	return true;
}

/* CSV_LAST_FIELD: a whole line, its account's fields are filled. */
static enum csv_field read_line(struct import *import, struct csv_reading *reading,
				size_t *line)
{
	enum csv_field kind = CSV_FIELD;

	clear_fields(import);
	for (size_t i = 0; kind == CSV_FIELD; i++) {
		kind = csv_next(&reading->csv, &reading->field);
		*line = i == 0 ? reading->csv.line : *line;
		if (kind == CSV_END || kind == CSV_MALFORMED) {
			return kind;
		}
		if (i >= reading->count) {
			return CSV_MALFORMED;
		}
		buffer_append(&import->fields[reading->order[i]],
			      buffer_bytes(&reading->field));
	}
	return kind;
}

static void read_csv(struct import *import, struct bytes text)
{
	struct csv_reading reading = { .field = { .max = FIELD_OCTETS } };
	enum csv_field kind = CSV_LAST_FIELD;
	size_t line = 1;

	csv_init(&reading.csv, text);
	if (read_header(import, &reading)) {
		while (kind == CSV_LAST_FIELD && !import->broken) {
			kind = read_line(import, &reading, &line);
			if (kind == CSV_LAST_FIELD) {
				send_account(import, "", line);
			}
		}
		if (kind == CSV_MALFORMED) {
			mistake(import, "", reading.csv.line,
				"not comma-separated values: a quote is not closed, or "
				"there are more fields than columns");
		}
	}
	if (reading.field.data) {
		memory_wipe(reading.field.data, reading.field.size);
	}
	buffer_release(&reading.field);
}

/* ---- JSON ---- */

/* A text, or for aliases a list of texts. */
static bool take_member(struct buffer *field, const json_t *value)
{
	size_t index;
	const json_t *each;
	bool fits = true;

	if (json_is_string(value)) {
		return buffer_append(field, (struct bytes){ json_string_value(value),
							    json_string_length(value) });
	}
	if (!json_is_array(value)) {
		return json_is_null(value);
	}
	json_array_foreach(value, index, each)
	{
		fits = fits && json_is_string(each) &&
		       buffer_printf(field, "%s%s", index > 0 ? "\n" : "",
				     json_string_value(each));
	}
	return fits;
}

static void read_object(struct import *import, json_t *object, size_t place)
{
	const char *name;
	json_t *value;

	clear_fields(import);
	if (!json_is_object(object)) {
		mistake(import, " account ", place, "is no object");
		return;
	}
	json_object_foreach(object, name, value)
	{
		const size_t column = column_named(bytes_of(name));

		if (column == COLUMNS) {
			mistake(import, " account ", place, name);
			fprintf(stderr, "  is no member that is known\n");
			return;
		}
		if (!take_member(&import->fields[column], value)) {
			mistake(import, " account ", place, name);
			fprintf(stderr, "  is a text, aliases a list of texts\n");
			return;
		}
	}
	send_account(import, " account ", place);
}

static void read_json(struct import *import, struct bytes text)
{
	json_error_t error;
	json_t *root = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &error);
	size_t index;
	json_t *object;

	if (!root) {
		fprintf(stderr, "%s:%d:%d: %s\n", import->path, error.line, error.column,
			error.text);
		import->mistakes++;
	} else if (!json_is_array(root)) {
		mistake(import, "", 1, "not a list of accounts: [{\"user\": ...}, ...]");
	} else {
		json_array_foreach(root, index, object)
		{
			if (!import->broken) {
				read_object(import, object, index + 1);
			}
		}
	}
	json_decref(root);
}

/* ---- the whole ---- */

static bool read_file(const char *path, struct buffer *out)
{
	const int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
					      : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	buffer_init(out, FILE_MAX_OCTETS);
	while (fd >= 0 && buffer_reserve(out, 65536) &&
	       (got = read(fd, out->data + out->len, 65536)) > 0) {
		out->len += (size_t)got;
	}
	if (fd < 0 || got != 0) {
		fprintf(stderr, "popbridge: %s: %s\n", path,
			got > 0 ? "too large" : strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0 && got == 0;
}

/* JSON begins with a bracket, a first line of column names does not. */
static bool is_json(struct bytes text)
{
	while (text.len > 0 && strchr(" \t\r\n", *text.at)) {
		bytes_skip(&text, 1);
	}
	return text.len > 0 && (*text.at == '[' || *text.at == '{');
}

static int finish(struct import *import, const struct account_arguments *arguments)
{
	uint64_t count;

	if (import->mistakes > 0 || import->broken) {
		fprintf(stderr, "popbridge: nothing was imported\n");
		return 1;
	}
	if (!account_do(import->enquiry,
			&(struct admin_message){ .type = ADMIN_REGISTER_ALL }, &count)) {
		return 1;
	}
	if (arguments->json) {
		printf("{\"imported\":%" PRIu64 "}\n", count);
	} else {
		printf("%" PRIu64 " account%s imported\n", count, count == 1 ? "" : "s");
	}
	return 0;
}

int account_import(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct import import = { .enquiry = enquiry,
				 .path = arguments->user ? arguments->user : "-" };
	struct buffer text;
	int result = 1;

	for (size_t i = 0; i < COLUMNS; i++) {
		buffer_init(&import.fields[i], FIELD_OCTETS);
	}
	if (read_file(import.path, &text)) {
		if (is_json(buffer_bytes(&text))) {
			read_json(&import, buffer_bytes(&text));
		} else {
			read_csv(&import, buffer_bytes(&text));
		}
		result = finish(&import, arguments);
	}
	clear_fields(&import);
	for (size_t i = 0; i < COLUMNS; i++) {
		buffer_release(&import.fields[i]);
	}
	if (text.data) {
		memory_wipe(text.data, text.size);
	}
	buffer_release(&text);
	return result;
}
