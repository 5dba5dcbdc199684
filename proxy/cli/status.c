/*
 * `popbridge status` and `popbridge health`: what the service that runs says of itself.
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/fetch.h"

#include <argp.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WATCH_S 2
#define HTTP_OK 200

struct status_arguments {
	const char *path;
	bool json;
	bool watch;
};

static const struct argp_option status_options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "json", 'j', NULL, 0, "For programs", 0 },
	{ "watch", 'w', NULL, 0, "Again every 2 seconds, until interrupted", 0 },
	{ 0 },
};

static const struct argp_option health_options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct status_arguments *arguments = state->input;

	if (key == 'c') {
		arguments->path = value;
	} else if (key == 'j') {
		arguments->json = true;
	} else if (key == 'w') {
		arguments->watch = true;
	} else {
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp status_argp = {
	.options = status_options,
	.parser = take,
	.doc = "Says what a popbridge that runs with this configuration is doing: "
	       "health, "
	       "sessions, mail, IMAP servers, failures. Needs web.address.",
};

static const struct argp health_argp = {
	.options = health_options,
	.parser = take,
	.doc = "Exits 0 where a popbridge that runs with this configuration can serve, "
	       "else 1, and says what is wrong. Needs web.address.",
};

static void print_failure(const struct failure *failure)
{
	fprintf(stderr, "popbridge: %s\n", failure->text);
	if (failure->advice) {
		fprintf(stderr, "popbridge: %s\n", failure->advice);
	}
}

/* Names in it come from a file, and this may be a terminal. */
static void print_text(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char c = (unsigned char)text.at[i];

		putchar((c < 0x20 && c != '\n') || c == 0x7f ? '?' : c);
	}
	fflush(stdout);
}

/* Prints what the page says. The exit code. */
static int ask(const struct config *config, const char *page, bool clear)
{
	struct failure failure;
	struct buffer body;
	unsigned status = 0;
	bool good;

	buffer_init(&body, FETCH_MAX);
	good = fetch(&config->web, page, &status, &body, &failure);
	if (clear) {
		fputs("\033[H\033[2J", stdout);
	}
	if (good) {
		print_text(buffer_bytes(&body));
	} else {
		print_failure(&failure);
	}
	buffer_release(&body);
	return good && status == HTTP_OK ? 0 : 1;
}

static int watch(const struct config *config, const char *page)
{
	const struct timespec pause = { .tv_sec = WATCH_S };
	const bool clear = isatty(STDOUT_FILENO);

	for (;;) {
		const int result = ask(config, page, clear);

		if (!clear && result != 0) {
			return result;
		}
		nanosleep(&pause, NULL);
	}
}

static struct config *load(const char *path)
{
	struct source source = { .path = path };

	return cli_load(&source, NULL);
}

int cli_status(int argc, char **argv)
{
	struct status_arguments arguments = { 0 };
	struct config *config;
	const char *page;
	int result;

	if (argp_parse(&status_argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	config = load(arguments.path);
	if (!config) {
		return 1;
	}
	page = arguments.json ? "/status.json" : "/status.txt";
	result = arguments.watch ? watch(config, page) : ask(config, page, false);
	config_free(config);
	return result;
}

int cli_health(int argc, char **argv)
{
	struct status_arguments arguments = { 0 };
	struct config *config;
	int result;

	if (argp_parse(&health_argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	config = load(arguments.path);
	if (!config) {
		return 1;
	}
	result = ask(config, "/ready", false);
	config_free(config);
	return result;
}
