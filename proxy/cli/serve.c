/*
 * The service: what the master runs on.
 */
#include "proxy/cli/cli.h"

#include "proxy/cli/environment.h"
#include "proxy/ops/master.h"

#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct serve_arguments {
	const char *path;
	const char *url;
	bool accept_new_unique_ids;
};

#define ACCEPT 1000 // has no letter

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "accept-new-unique-ids", ACCEPT, NULL, 0,
	  "Known accounts may get other unique-ids by this configuration, so that their "
	  "clients download everything again",
	  0 },
	{ 0 },
};

/* A mistyped subcommand, or a file where -c was meant. */
static void check_url(const char *value, struct argp_state *state)
{
	if (strstr(value, "://")) {
		return;
	}
	if (access(value, F_OK) == 0) {
		argp_error(state, "%s is a file: popbridge serve -c %s", value, value);
	}
	argp_error(
		state,
		"\"%s\" is neither a subcommand (popbridge --help) nor a server, as in "
		"imaps://imap.example.com",
		value);
}

static error_t take(int key, char *value, struct argp_state *state)
{
	struct serve_arguments *arguments = state->input;

	if (key == 'c') {
		arguments->path = value;
		return 0;
	}
	if (key == ACCEPT) {
		arguments->accept_new_unique_ids = true;
		return 0;
	}
	if (key == ARGP_KEY_ARG) {
		if (arguments->url) {
			argp_error(state, "one server at a time");
		}
		check_url(value, state);
		arguments->url = value;
		return 0;
	}
	if (key == ARGP_KEY_END && arguments->path && arguments->url) {
		argp_error(state, "either a configuration or a server");
	}
	return key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.args_doc = "[IMAP-URL]",
	.doc = "Speaks POP3 to clients and IMAP to servers. With IMAP-URL and no "
	       "configuration: POP3 on 127.0.0.1:1110, every user to that server, "
	       "nothing kept.",
};

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int cli_serve(int argc, char **argv)
{
	struct serve_arguments arguments = { 0 };
	struct source source;
	struct config *config;
	int text_fd = -1;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	source = (struct source){ .path = arguments.path, .url = arguments.url };
	config = cli_load(&source, &text_fd);
	if (!config) {
		return 1;
	}
	cli_protect_memory();
	raise_descriptor_limit();
	return master_run(&source, config, text_fd, arguments.accept_new_unique_ids);
}

/* What environment_yaml() gave the program before, back from the configuration's text. */
static bool take_text(const struct handover *handover, struct buffer *text,
		      struct source *source)
{
	if (!handover->is_text) {
		return true;
	}
	buffer_init(text, ENVIRONMENT_MAX);
	source->text = source_text(handover->text_fd, text);
	return source->text != NULL;
}

int cli_resume(int handover_fd)
{
	struct config_errors errors = { 0 };
	struct handover handover;
	struct failure failure = { .text = "a descriptor is not open" };
	struct buffer text = { 0 };
	struct source source;
	struct config *config;

	cli_protect_memory();
	if (!handover_read(handover_fd, &handover, &failure) ||
	    !handover_keep(&handover, false)) {
		fprintf(stderr, "popbridge: the hand-over is not usable: %s\n",
			failure.text);
		return 1;
	}
	close(handover_fd);
	source = (struct source){ .path = handover.path, .url = handover.url };
	config = source_from_descriptor(fcntl(handover.text_fd, F_DUPFD_CLOEXEC, 0),
					&errors);
	if (!config || !take_text(&handover, &text, &source)) {
		fprintf(stderr, "popbridge: the configuration handed over: %.*s\n",
			(int)errors.text.len, errors.text.data);
		return 1;
	}
	const int result = master_resume(&source, &handover, config);

	config_errors_release(&errors);
	handover_release(&handover);
	buffer_release(&text);
	return result;
}
