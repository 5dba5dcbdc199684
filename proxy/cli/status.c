/*
 * `popbridge status`: what the service that runs says of itself.
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/fetch.h"
#include "proxy/cli/output.h"
#include "proxy/cli/problems.h"
#include "proxy/config/config_values.h"

#include <argp.h>
#include <time.h>
#include <unistd.h>

#define WATCH_S 2

enum { OPTION_PROBLEMS = 512, OPTION_SILENT, OPTION_LEGACY };

struct arguments {
	struct enquiry_place place;
	bool json;
	bool watch;
	bool problems;
	bool legacy;
	uint64_t silent_s;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "For programs", 0 },
	{ "watch", 'w', NULL, 0, "Again every 2 seconds, until interrupted", 0 },
	{ "problems", OPTION_PROBLEMS, NULL, 0,
	  "Only the accounts that cannot sign in any more, or whose sessions end with "
	  "DELEs and no QUIT; exits 2 where there are any",
	  0 },
	{ "silent", OPTION_SILENT, "DURATION", 0,
	  "With --problems: accounts, too, that did not sign in for so long (6h, 30m)",
	  0 },
	{ "legacy", OPTION_LEGACY, NULL, 0,
	  "Only the users and addresses that signed in without TLS, or with 1.0 or 1.1",
	  0 },
	{ 0 },
};

static void take_silent(struct arguments *arguments, const char *value,
			struct argp_state *state)
{
	const char *why;
	uint64_t ms;

	if (!config_duration_parse(bytes_of(value), &ms, &why)) {
		argp_error(state, "--silent: %s", why);
	} else if (ms < 1000) {
		argp_error(state, "--silent: at least 1s");
	} else {
		arguments->silent_s = ms / 1000;
	}
}

static void check(const struct arguments *arguments, struct argp_state *state)
{
	if (arguments->silent_s > 0 && !arguments->problems) {
		argp_error(state, "--silent goes with --problems");
	}
	if (arguments->problems && arguments->legacy) {
		argp_error(state, "--problems or --legacy, one at a time");
	}
	if (arguments->watch && (arguments->problems || arguments->legacy)) {
		argp_error(state, "--watch is for the status as a whole");
	}
}

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
	case 'w':
		arguments->watch = true;
		return 0;
	case OPTION_PROBLEMS:
		arguments->problems = true;
		return 0;
	case OPTION_LEGACY:
		arguments->legacy = true;
		return 0;
	case OPTION_SILENT:
		take_silent(arguments, value, state);
		return 0;
	case ARGP_KEY_END:
		check(arguments, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.children = enquiry_options,
	.doc = "Says what a popbridge that runs with this configuration is doing: "
	       "health, sessions, mail, IMAP servers, failures; needs web.address. "
	       "--problems and --legacy name users; they need control or state.",
};

static int watch(const struct config_web *web, const char *page)
{
	const struct timespec pause = { .tv_sec = WATCH_S };
	const bool clear = isatty(STDOUT_FILENO);

	for (;;) {
		const int result = fetch_print(web, page, clear);

		if (!clear && result != 0) {
			return result;
		}
		nanosleep(&pause, NULL);
	}
}

int cli_status(int argc, char **argv)
{
	struct arguments arguments = { .json = false };
	struct config_web web;
	struct failure failure;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (arguments.problems) {
		return problems_print(&arguments.place, arguments.silent_s,
				      arguments.json);
	}
	if (arguments.legacy) {
		return legacy_print(&arguments.place, arguments.json);
	}
	if (!fetch_find(&arguments.place, &web, &failure)) {
		return output_failure(&failure);
	}
	const char *page = arguments.json ? "/status.json" : "/status.txt";

	return arguments.watch ? watch(&web, page) : fetch_print(&web, page, false);
}
