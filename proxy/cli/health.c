/*
 * `popbridge health`: can the service that runs serve?
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/fetch.h"
#include "proxy/cli/health_sign_in.h"
#include "proxy/cli/output.h"
#include "proxy/cli/password.h"
#include "proxy/config/config_values.h"

#include <argp.h>

#define LIMIT_MS 30000

enum { OPTION_SIGN_IN = 512, OPTION_PASSWORD_FILE, OPTION_LIMIT };

struct arguments {
	struct enquiry_place place;
	const char *user; // NULL: nobody is signed in
	const char *password_file;
	uint64_t limit_ms;
};

static const struct argp_option options[] = {
	{ "sign-in", OPTION_SIGN_IN, "USER", 0,
	  "Sign USER in over POP3 as a client would, STAT, QUIT; needs control or state",
	  0 },
	{ "password-file", OPTION_PASSWORD_FILE, "FILE", 0,
	  "The first line of FILE is the password; - is standard input. Without it the "
	  "terminal is asked.",
	  0 },
	{ "limit", OPTION_LIMIT, "DURATION", 0, "How long the sign-in may take (30s)",
	  0 },
	{ 0 },
};

static void take_limit(struct arguments *arguments, const char *value,
		       struct argp_state *state)
{
	const char *why;

	if (!config_duration_parse(bytes_of(value), &arguments->limit_ms, &why)) {
		argp_error(state, "--limit: %s", why);
	}
}

static error_t take(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->place;
		return 0;
	case OPTION_SIGN_IN:
		arguments->user = value;
		return 0;
	case OPTION_PASSWORD_FILE:
		arguments->password_file = value;
		return 0;
	case OPTION_LIMIT:
		take_limit(arguments, value, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.children = enquiry_options,
	.doc = "Exits 0 where a popbridge that runs with this configuration can serve, "
	       "else 1, and says what is wrong; needs web.address. With --sign-in: where "
	       "USER can sign in.",
};

static int sign_in(const struct arguments *arguments)
{
	struct secret password = { 0 };
	int result = 1;

	cli_protect_memory();
	if (password_get(arguments->password_file, &password)) {
		result = health_sign_in(&arguments->place, arguments->user, &password,
					arguments->limit_ms);
	}
	secret_release(&password);
	return result;
}

int cli_health(int argc, char **argv)
{
	struct arguments arguments = { .limit_ms = LIMIT_MS };
	struct config_web web;
	struct failure failure;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (arguments.user) {
		return sign_in(&arguments);
	}
	return fetch_find(&arguments.place, &web, &failure)
		       ? fetch_print(&web, "/ready", false)
		       : output_failure(&failure);
}
