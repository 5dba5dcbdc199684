/*
 * `popbridge account list`, `show`, `export`.
 */
#include "proxy/cli/account.h"
#include "proxy/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONSENT_NOBODYS, CONSENT_GIVEN, CONSENT_NEEDED_ANEW };

static const char *consent_words(const struct admin_message *row)
{
	static const char *const words[] = { "nobody has consented yet", "given",
					     "needed anew", "not needed" };
	const uint64_t state = row->number[ADMIN_STATE];

	if (row->number[ADMIN_TYPE] != ACCOUNT_OAUTH) {
		return row->number[ADMIN_TYPE] == ACCOUNT_PASSWORD &&
				       !row->number[ADMIN_HAS_SECRET]
			       ? "no password is stored"
			       : "-";
	}
	return state < sizeof(words) / sizeof(*words) ? words[state] : "unknown";
}

static const char *kind_of(const struct admin_message *row)
{
	const uint64_t kind = row->number[ADMIN_TYPE];

	return kind < ACCOUNT_KINDS ? account_kinds[kind] : "unknown";
}

/* ---- as JSON ---- */

static void json_member(FILE *file, const char *name, struct bytes text)
{
	fprintf(file, ",\"%s\":", name);
	output_json(file, text);
}

static void json_lines(FILE *file, const char *name, struct bytes lines)
{
	const char *comma = "";

	fprintf(file, ",\"%s\":[", name);
	while (lines.len > 0) {
		const char *end = memchr(lines.at, '\n', lines.len);
		const size_t len = end ? (size_t)(end - lines.at) : lines.len;

		fputs(comma, file);
		output_json(file, (struct bytes){ lines.at, len });
		bytes_skip(&lines, len + 1);
		comma = ",";
	}
	fputc(']', file);
}

static void json_time(FILE *file, const char *name, uint64_t unix_s)
{
	fprintf(file, ",\"%s\":", name);
	output_json_time(file, unix_s);
}

/* Without the closing brace: devices may follow. */
static void json_account(FILE *file, const struct admin_message *row, bool whole)
{
	fputs("{\"user\":", file);
	output_json(file, row->text[ADMIN_USER]);
	json_member(file, "mailbox", row->text[ADMIN_MAILBOX]);
	json_member(file, "kind", bytes_of(kind_of(row)));
	json_member(file, "provider", row->text[ADMIN_PROVIDER]);
	json_member(file, "route", row->text[ADMIN_ROUTE]);
	json_member(file, "signs_in_as", row->text[ADMIN_SIGNS_IN_AS]);
	json_lines(file, "aliases", row->text[ADMIN_ALIASES]);
	if (whole) {
		json_member(file, "consent", bytes_of(consent_words(row)));
		json_member(file, "consent_cause", row->text[ADMIN_CAUSE]);
		json_time(file, "consent_since", row->number[ADMIN_SINCE_S]);
		json_time(file, "consent_until", row->number[ADMIN_UNTIL_S]);
		json_time(file, "created", row->number[ADMIN_AT_S]);
		fprintf(file, ",\"device_passwords\":%" PRIu64,
			row->number[ADMIN_DEVICES]);
	}
}

static void json_device(FILE *file, const struct admin_message *row)
{
	fprintf(file, "{\"number\":%" PRIu64, row->number[ADMIN_ID]);
	json_member(file, "label", row->text[ADMIN_LABEL]);
	fprintf(file, ",\"may_delete\":%s,\"read_only\":%s",
		row->number[ADMIN_RIGHTS] & ACCOUNT_NO_DELETE ? "false" : "true",
		row->number[ADMIN_RIGHTS] & ACCOUNT_READ_ONLY ? "true" : "false");
	json_member(file, "folder", row->text[ADMIN_FOLDER]);
	json_lines(file, "from", row->text[ADMIN_NETWORKS]);
	json_time(file, "created", row->number[ADMIN_SINCE_S]);
	json_time(file, "expires", row->number[ADMIN_UNTIL_S]);
	json_time(file, "last_used", row->number[ADMIN_LAST_RIGHT_S]);
	json_member(file, "last_address", row->text[ADMIN_ADDRESS]);
	fputc('}', file);
}

/* ---- for people ---- */

static void line(const char *name, struct bytes text)
{
	if (text.len > 0) {
		printf("  %-14s ", name);
		output_text(stdout, text);
		putchar('\n');
	}
}

static void print_account(const struct admin_message *row)
{
	char since[OUTPUT_TIME_MAX];
	char until[OUTPUT_TIME_MAX];

	output_text(stdout, row->text[ADMIN_USER]);
	putchar('\n');
	line("mailbox", row->text[ADMIN_MAILBOX]);
	line("signs in by", bytes_of(kind_of(row)));
	line("provider", row->text[ADMIN_PROVIDER]);
	line("signs in as", row->text[ADMIN_SIGNS_IN_AS]);
	line("aliases", row->text[ADMIN_ALIASES]);
	line("route of", row->text[ADMIN_ROUTE]);
	line("consent", bytes_of(consent_words(row)));
	line("because", row->text[ADMIN_CAUSE]);
	if (row->number[ADMIN_SINCE_S] > 0) {
		line("since", bytes_of(output_time(row->number[ADMIN_SINCE_S], since)));
	}
	if (row->number[ADMIN_UNTIL_S] > 0) {
		line("ends", bytes_of(output_time(row->number[ADMIN_UNTIL_S], until)));
	}
	if (row->number[ADMIN_TYPE] == ACCOUNT_OAUTH &&
	    (row->number[ADMIN_STATE] == CONSENT_NOBODYS ||
	     row->number[ADMIN_STATE] == CONSENT_NEEDED_ANEW)) {
		printf("  to do: popbridge account consent ");
		output_text(stdout, row->text[ADMIN_USER]);
		putchar('\n');
	}
}

static void print_device(const struct admin_message *row)
{
	char age[OUTPUT_TIME_MAX];
	const uint64_t rights = row->number[ADMIN_RIGHTS];

	printf("  password %-4" PRIu64 " ", row->number[ADMIN_ID]);
	output_text(stdout, row->text[ADMIN_LABEL]);
	printf("%s%s", row->text[ADMIN_LABEL].len > 0 ? ", " : "",
	       rights & ACCOUNT_READ_ONLY   ? "read only"
	       : rights & ACCOUNT_NO_DELETE ? "may not delete"
					    : "may delete");
	if (row->text[ADMIN_FOLDER].len > 0) {
		printf(", folder ");
		output_text(stdout, row->text[ADMIN_FOLDER]);
	}
	if (row->text[ADMIN_NETWORKS].len > 0) {
		printf(", from ");
		output_text(stdout, row->text[ADMIN_NETWORKS]);
	}
	if (row->number[ADMIN_UNTIL_S] > 0) {
		printf(", until %s", output_time(row->number[ADMIN_UNTIL_S], age));
	}
	if (row->number[ADMIN_LAST_RIGHT_S] > 0) {
		printf(", last used %s from ",
		       output_age(row->number[ADMIN_LAST_RIGHT_S], age));
		output_text(stdout, row->text[ADMIN_ADDRESS]);
		putchar('\n');
	} else {
		printf(", never used\n");
	}
}

/* For the list: with the day on which it ends, where that is known. */
static const char *consent_to(const struct admin_message *row, char out[64])
{
	const time_t until_s = (time_t)row->number[ADMIN_UNTIL_S];
	struct tm day;

	if (until_s == 0 || row->number[ADMIN_STATE] != CONSENT_GIVEN ||
	    !gmtime_r(&until_s, &day) || strftime(out, 64, "given to %F", &day) == 0) {
		return consent_words(row);
	}
	return out;
}

static void print_short(const struct admin_message *row)
{
	char consent[64];

	printf("%-32.*s %-32.*s %-12s %-24s %" PRIu64 "\n",
	       (int)row->text[ADMIN_USER].len, row->text[ADMIN_USER].at,
	       (int)row->text[ADMIN_MAILBOX].len, row->text[ADMIN_MAILBOX].at,
	       kind_of(row), consent_to(row, consent), row->number[ADMIN_DEVICES]);
}

/* ---- the actions ---- */

static bool ask(struct enquiry *enquiry, const char *user, struct failure *failure)
{
	return enquiry_ask(enquiry,
			   &(struct admin_message){ .type = ADMIN_ASK_REGISTERED,
						    .text[ADMIN_USER] = bytes_of(user) },
			   failure);
}

int account_list(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct admin_message row;
	struct failure failure;
	const char *comma = "";

	if (!ask(enquiry, "", &failure)) {
		return output_failure(&failure);
	}
	if (arguments->json) {
		printf("[");
	} else {
		printf("%-32s %-32s %-12s %-24s %s\n", "USER", "MAILBOX", "SIGNS IN BY",
		       "CONSENT", "PASSWORDS");
	}
	while (enquiry_next(enquiry, &row, &failure)) {
		if (row.type == ADMIN_END) {
			printf("%s", arguments->json ? "]\n" : "");
			return 0;
		}
		if (arguments->json) {
			fputs(comma, stdout);
			json_account(stdout, &row, true);
			putchar('}');
			comma = ",\n ";
		} else {
			print_short(&row);
		}
	}
	return output_failure(&failure);
}

int account_show(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct admin_message row;
	struct failure failure;
	const char *comma = "";

	if (!ask(enquiry, arguments->user, &failure)) {
		return output_failure(&failure);
	}
	while (enquiry_next(enquiry, &row, &failure)) {
		if (row.type == ADMIN_END) {
			printf("%s", arguments->json ? "]}\n" : "");
			return 0;
		}
		if (row.type == ADMIN_REGISTERED && arguments->json) {
			json_account(stdout, &row, true);
			printf(",\"passwords\":[");
		} else if (row.type == ADMIN_REGISTERED) {
			print_account(&row);
		} else if (arguments->json) {
			fputs(comma, stdout);
			json_device(stdout, &row);
			comma = ",";
		} else {
			print_device(&row);
		}
	}
	return output_failure(&failure);
}

/* RFC 4180: in quotes, a quote twice; several aliases with blanks between them. */
static void csv_field(FILE *file, struct bytes text, const char *after)
{
	fputc('"', file);
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"') {
			fputc('"', file);
		}
		fputc(text.at[i] == '\n' ? ' ' : text.at[i], file);
	}
	fprintf(file, "\"%s", after);
}

static void csv_account(FILE *file, const struct admin_message *row)
{
	csv_field(file, row->text[ADMIN_USER], ",");
	csv_field(file, row->text[ADMIN_MAILBOX], ",");
	csv_field(file, bytes_of(kind_of(row)), ",");
	csv_field(file, row->text[ADMIN_PROVIDER], ",");
	csv_field(file, row->text[ADMIN_ROUTE], ",");
	csv_field(file, row->text[ADMIN_SIGNS_IN_AS], ",");
	csv_field(file, row->text[ADMIN_ALIASES], "\r\n");
}

static FILE *open_output(const char *path)
{
	const int fd = path && strcmp(path, "-") != 0
			       ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				      S_IRUSR | S_IWUSR)
			       : dup(STDOUT_FILENO);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!file) {
		fprintf(stderr, "popbridge: cannot write %s: %s\n", path,
			strerror(errno));
	}
	return file;
}

static bool write_rows(struct enquiry *enquiry, const struct account_arguments *arguments,
		       FILE *file, struct failure *failure)
{
	struct admin_message row;
	const char *comma = "[";

	if (arguments->csv) {
		fputs("user,mailbox,kind,provider,route,signs_in_as,aliases\r\n", file);
	}
	while (enquiry_next(enquiry, &row, failure)) {
		if (row.type == ADMIN_END) {
			fputs(arguments->csv ? "" : *comma == '[' ? "[]\n" : "]\n", file);
			return true;
		}
		if (arguments->csv) {
			csv_account(file, &row);
		} else {
			fputs(comma, file);
			json_account(file, &row, false);
			fputc('}', file);
			comma = ",\n ";
		}
	}
	return false;
}

int account_export(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct failure failure;
	FILE *file = open_output(arguments->user);
	bool done;

	if (!file) {
		return 1;
	}
	done = ask(enquiry, "", &failure) &&
	       write_rows(enquiry, arguments, file, &failure);
	if (fclose(file) != 0 && done) {
		fprintf(stderr, "popbridge: not all was written: %s\n", strerror(errno));
		return 1;
	}
	return done ? 0 : output_failure(&failure);
}
