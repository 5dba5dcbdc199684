/*
 * `popbridge explain`: what was behind a -ERR, in plain words, and what to do.
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/output.h"
#include "proxy/cli/subject.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_DIGITS 6

static const struct argp argp = {
	.options = subject_options,
	.parser = subject_take,
	.children = enquiry_options,
	.args_doc = "REF|USER",
	.doc = "Says what was behind the -ERR with a reference, \"(ref 7F3A9C)\", or "
	       "behind the last ones of a user: what happened, whose part it was, what "
	       "to do. Up to 20 of a user are kept, for 90 days.",
};

/* Six hexadecimal digits are a reference, unless a user has that name. */
static bool is_reference(const char *text, uint64_t *reference)
{
	char *end;

	if (strlen(text) != REFERENCE_DIGITS || !isxdigit((unsigned char)text[0])) {
		return false;
	}
	*reference = strtoull(text, &end, 16);
	return *end == '\0';
}

/* The kind says who has to do something about it. */
static const char *whose(uint64_t kind)
{
	switch ((enum failure_kind)kind) {
	case FAILURE_AUTH:
		return "the client's: its user name or password is not taken, or "
		       "somebody else guesses";
	case FAILURE_TEMPORARY:
		return "the mail server's or the network's, and it may be over by now";
	case FAILURE_PERMANENT:
		return "a setting's: it stays until somebody changes something here or "
		       "at the mail server";
	case FAILURE_IN_USE:
		return "nobody's: another session of this user was in the mailbox";
	case FAILURE_TOO_SOON:
		return "the client's: it signs in more often than login-delay allows";
	case FAILURE_TIMEOUT:
		return "the mail server's or the network's: it took too long";
	case FAILURE_CANCELLED:
		return "this service's: it was stopped, or an operator ended the session";
	case FAILURE_PEER_GONE:
		return "the mail server's or the network's: the connection was lost";
	case FAILURE_PROTOCOL:
		return "the mail server's: it said what IMAP does not allow";
	}
	return "unknown";
}

static void print_line(const char *label, struct bytes text)
{
	printf("%-10s ", label);
	output_text(stdout, text);
	putchar('\n');
}

static void print_failure(const struct admin_message *row)
{
	const struct bytes advice = row->text[ADMIN_ADVICE];
	char time[OUTPUT_TIME_MAX];
	char age[OUTPUT_TIME_MAX];

	printf("%-10s %06" PRIX64 "\n", "reference", row->number[ADMIN_REFERENCE]);
	printf("%-10s %s (%s)\n", "when", output_time(row->number[ADMIN_AT_S], time),
	       output_age(row->number[ADMIN_AT_S], age));
	print_line("user", row->text[ADMIN_USER].len > 0 ? row->text[ADMIN_USER]
							 : bytes_of("not known yet"));
	print_line("from", row->text[ADMIN_ADDRESS]);
	print_line("told", row->text[ADMIN_ANSWER]);
	print_line("cause", row->text[ADMIN_CAUSE]);
	printf("%-10s %s\n", "part", whose(row->number[ADMIN_KIND]));
	if (advice.len > 0) {
		print_line("to do", advice);
	}
}

static void print_json(const struct admin_message *row)
{
	static const struct {
		const char *name;
		enum admin_text text;
	} texts[] = { { "user", ADMIN_USER },
		      { "address", ADMIN_ADDRESS },
		      { "answer", ADMIN_ANSWER },
		      { "cause", ADMIN_CAUSE },
		      { "advice", ADMIN_ADVICE } };

	printf("{\"reference\":\"%06" PRIX64 "\",\"kind\":\"%s\",\"time\":",
	       row->number[ADMIN_REFERENCE],
	       failure_kind_name((enum failure_kind)row->number[ADMIN_KIND]));
	output_json_time(stdout, row->number[ADMIN_AT_S]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		printf(",\"%s\":", texts[i].name);
		output_json(stdout, row->text[texts[i].text]);
	}
	putchar('}');
}

/* Prints every row; how many there were. */
static bool print_all(struct enquiry *enquiry, const struct admin_message *asked,
		      bool json, uint64_t *count, struct failure *failure)
{
	struct admin_message row;

	if (!enquiry_ask(enquiry, asked, failure)) {
		return false;
	}
	while (enquiry_next(enquiry, &row, failure)) {
		if (row.type == ADMIN_END) {
			return true;
		}
		if (json) {
			printf("%s", *count > 0 ? "," : "");
			print_json(&row);
		} else {
			printf("%s", *count > 0 ? "\n" : "");
			print_failure(&row);
		}
		++*count;
	}
	return false;
}

static bool explain(struct enquiry *enquiry, const struct subject *subject,
		    uint64_t *count, struct failure *failure)
{
	struct admin_message asked = { .type = ADMIN_ASK_FAILURES };
	uint64_t *reference = &asked.number[ADMIN_REFERENCE];

	asked.text[ADMIN_USER] = bytes_of(subject->name);
	if (!print_all(enquiry, &asked, subject->json, count, failure)) {
		return false;
	}
	asked.type = ADMIN_ASK_REFERENCE;
	return *count > 0 || !is_reference(subject->name, reference) ||
	       print_all(enquiry, &asked, subject->json, count, failure);
}

int cli_explain(int argc, char **argv)
{
	struct subject subject = { .json = false };
	struct enquiry enquiry;
	struct failure failure;
	uint64_t count = 0;
	bool done;

	if (argp_parse(&argp, argc, argv, 0, NULL, &subject) != 0) {
		return 2;
	}
	if (!enquiry_open(&enquiry, &subject.place, &failure)) {
		return output_failure(&failure);
	}
	printf("%s", subject.json ? "[" : "");
	done = explain(&enquiry, &subject, &count, &failure);
	printf("%s", subject.json ? "]\n" : "");
	enquiry_close(&enquiry);
	if (done && count == 0) {
		failure_set(
			&failure, FAILURE_PERMANENT,
			"no failure of %s is known: older than 90 days, forgotten, or "
			"mistyped? The log may still have it",
			subject.name);
		done = false;
	}
	return done ? 0 : output_failure(&failure);
}
