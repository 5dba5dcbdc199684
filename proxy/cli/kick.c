/*
 * `popbridge kick` and `popbridge forget`: what an operator does about one user.
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/enquiry.h"
#include "proxy/cli/output.h"

#include <argp.h>
#include <inttypes.h>

struct arguments {
	struct enquiry_place place;
	const char *user;
	bool json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "For programs", 0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->place;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->user) {
			argp_error(state, "one user at a time");
		}
		arguments->user = value;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->user) {
			argp_error(state, "which user?");
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp kick_argp = {
	.options = options,
	.parser = take,
	.children = enquiry_options,
	.args_doc = "USER",
	.doc = "Ends the sessions of USER, spelt as the client spells it, without "
	       "deleting "
	       "anything; a QUIT that is being carried out is left to end. Says how "
	       "many. "
	       "Connections to the IMAP server that were kept for the next session are "
	       "closed. "
	       "The user may sign in again at once.",
};

static const struct argp forget_argp = {
	.options = options,
	.parser = take,
	.children = enquiry_options,
	.args_doc = "USER",
	.doc = "Erases everything that is stored about USER, in any case of letters: how "
	       "sign-ins fared, addresses, failures, uses of old TLS; and closes "
	       "connections to the IMAP server that were kept for the next session. Says "
	       "what. It "
	       "stays in "
	       "logs, in copies of the state directory, and in those that a new version "
	       "makes of the store before it changes it (popbridge.db.version-N): remove "
	       "them when the new version has proven itself.",
};

static void print_kicked(const struct arguments *arguments, uint64_t count)
{
	if (arguments->json) {
		printf("{\"kicked\":%" PRIu64 "}\n", count);
	} else {
		printf("%" PRIu64 " session%s ended\n", count, count == 1 ? "" : "s");
	}
}

int cli_kick(int argc, char **argv)
{
	struct arguments arguments = { .json = false };
	struct enquiry enquiry;
	struct failure failure;
	uint64_t count = 0;
	bool done;

	if (argp_parse(&kick_argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (!enquiry_open(&enquiry, &arguments.place, &failure)) {
		return output_failure(&failure);
	}
	done = enquiry_count(
		&enquiry,
		&(struct admin_message){ .type = ADMIN_KICK,
					 .text[ADMIN_USER] = bytes_of(arguments.user) },
		&count, &failure);
	enquiry_close(&enquiry);
	if (!done) {
		return output_failure(&failure);
	}
	print_kicked(&arguments, count);
	return 0;
}

static void print_forgotten(const struct arguments *arguments,
			    const struct admin_message *row, const char *comma)
{
	if (arguments->json) {
		printf("%s", comma);
		output_json(stdout, row->text[ADMIN_WHAT]);
		printf(":%" PRIu64, row->number[ADMIN_COUNT]);
	} else {
		printf("%6" PRIu64 " ", row->number[ADMIN_COUNT]);
		output_text(stdout, row->text[ADMIN_WHAT]);
		putchar('\n');
	}
}

static bool forget(struct enquiry *enquiry, const struct arguments *arguments,
		   struct failure *failure)
{
	struct admin_message row = { .type = ADMIN_FORGET };
	const char *comma = arguments->json ? "{" : "";

	row.text[ADMIN_USER] = bytes_of(arguments->user);
	if (!enquiry_ask(enquiry, &row, failure)) {
		return false;
	}
	while (enquiry_next(enquiry, &row, failure)) {
		if (row.type == ADMIN_END) {
			printf("%s", arguments->json ? "}\n" : "");
			return true;
		}
		print_forgotten(arguments, &row, comma);
		comma = ",";
	}
	return false;
}

int cli_forget(int argc, char **argv)
{
	struct arguments arguments = { .json = false };
	struct enquiry enquiry;
	struct failure failure;
	bool done;

	if (argp_parse(&forget_argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (!enquiry_open(&enquiry, &arguments.place, &failure)) {
		return output_failure(&failure);
	}
	done = forget(&enquiry, &arguments, &failure);
	enquiry_close(&enquiry);
	return done ? 0 : output_failure(&failure);
}
