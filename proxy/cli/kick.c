/*
 * `popbridge kick` and `popbridge forget`: what an operator does about one user.
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/output.h"
#include "proxy/cli/subject.h"

#include <inttypes.h>

static const struct argp kick_argp = {
	.options = subject_options,
	.parser = subject_take,
	.children = enquiry_options,
	.args_doc = "USER",
	.doc = "Ends the sessions of USER, as the client says it, in any case of "
	       "letters, without deleting anything; a QUIT that is being carried out is "
	       "left to end. Says how many. Connections to the IMAP server that were "
	       "kept for the next session are closed. The user may sign in again at "
	       "once.",
};

static const struct argp forget_argp = {
	.options = subject_options,
	.parser = subject_take,
	.children = enquiry_options,
	.args_doc = "USER",
	.doc = "Erases everything that is stored about USER, in any case of letters: how "
	       "sign-ins fared, addresses, failures, uses of old TLS; and closes "
	       "connections to the IMAP server that were kept for the next session. Says "
	       "what. It stays in logs, in copies of the state directory, and in those "
	       "that a new version makes of the store before it changes it "
	       "(popbridge.db.version-N): remove them when the new version has proven "
	       "itself.",
};

static void print_kicked(const struct subject *subject, uint64_t count)
{
	if (subject->json) {
		printf("{\"kicked\":%" PRIu64 "}\n", count);
	} else {
		printf("%" PRIu64 " session%s ended\n", count, count == 1 ? "" : "s");
		if (count == 0) {
			fprintf(stderr,
				"nobody is signed in as %s, in any case of letters; that "
				"is the name the client says, not the mailbox's\n",
				subject->name);
		}
	}
}

int cli_kick(int argc, char **argv)
{
	struct subject subject = { .json = false };
	struct enquiry enquiry;
	struct failure failure;
	uint64_t count = 0;
	bool done;

	if (argp_parse(&kick_argp, argc, argv, 0, NULL, &subject) != 0) {
		return 2;
	}
	if (!enquiry_open(&enquiry, &subject.place, &failure)) {
		return output_failure(&failure);
	}
	done = enquiry_count(
		&enquiry,
		&(struct admin_message){ .type = ADMIN_KICK,
					 .text[ADMIN_USER] = bytes_of(subject.name) },
		&count, &failure);
	enquiry_close(&enquiry);
	if (!done) {
		return output_failure(&failure);
	}
	print_kicked(&subject, count);
	return 0;
}

static void print_forgotten(const struct subject *subject,
			    const struct admin_message *row, const char *comma)
{
	if (subject->json) {
		printf("%s", comma);
		output_json(stdout, row->text[ADMIN_WHAT]);
		printf(":%" PRIu64, row->number[ADMIN_COUNT]);
	} else {
		printf("%6" PRIu64 " ", row->number[ADMIN_COUNT]);
		output_text(stdout, row->text[ADMIN_WHAT]);
		putchar('\n');
	}
}

static bool forget(struct enquiry *enquiry, const struct subject *subject,
		   struct failure *failure)
{
	struct admin_message row = { .type = ADMIN_FORGET };
	const char *comma = subject->json ? "{" : "";

	row.text[ADMIN_USER] = bytes_of(subject->name);
	if (!enquiry_ask(enquiry, &row, failure)) {
		return false;
	}
	while (enquiry_next(enquiry, &row, failure)) {
		if (row.type == ADMIN_END) {
			printf("%s", subject->json ? "}\n" : "");
			return true;
		}
		print_forgotten(subject, &row, comma);
		comma = ",";
	}
	return false;
}

int cli_forget(int argc, char **argv)
{
	struct subject subject = { .json = false };
	struct enquiry enquiry;
	struct failure failure;
	bool done;

	if (argp_parse(&forget_argp, argc, argv, 0, NULL, &subject) != 0) {
		return 2;
	}
	if (!enquiry_open(&enquiry, &subject.place, &failure)) {
		return output_failure(&failure);
	}
	done = forget(&enquiry, &subject, &failure);
	enquiry_close(&enquiry);
	return done ? 0 : output_failure(&failure);
}
