/*
 * A real sign-in, step by step: what an operator runs when a device says "error".
 */
#include "proxy/cli/cli.h"

#include "proxy/mailbox/maildrop.h"
#include "proxy/session/service.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX (16 * 1024)

enum { OPTION_PASSWORD_FILE = 256, OPTION_URL };

struct probe {
	const char *path;
	const char *url;
	const char *password_file;
	const char *user;
	const struct config *config;
	struct secret password;
	bool good;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "url", OPTION_URL, "IMAP-URL", 0, "Instead of a configuration", 0 },
	{ "password-file", OPTION_PASSWORD_FILE, "FILE", 0,
	  "The first line of FILE is the password; - is standard input. Without it the "
	  "terminal is asked.",
	  0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct probe *probe = state->input;

	switch (key) {
	case 'c':
		probe->path = value;
		return 0;
	case OPTION_URL:
		probe->url = value;
		return 0;
	case OPTION_PASSWORD_FILE:
		probe->password_file = value;
		return 0;
	case ARGP_KEY_ARG:
		if (probe->user) {
			argp_error(state, "one user at a time");
		}
		probe->user = value;
		return 0;
	case ARGP_KEY_END:
		if (!probe->user) {
			argp_error(state, "which user?");
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.args_doc = "USER",
	.doc = "Signs USER in upstream as a POP3 client would be, and prints each step "
	       "with "
	       "its time, what the server can do, and what popbridge would do there. "
	       "Nothing "
	       "is changed in the mailbox.",
};

static bool read_password(FILE *file, struct secret *out)
{
	char *line = memory_new(PASSWORD_MAX);
	const bool read = fgets(line, PASSWORD_MAX, file) != NULL;

	if (read) {
		line[strcspn(line, "\r\n")] = '\0';
		secret_set(out, bytes_of(line));
	}
	memory_wipe(line, PASSWORD_MAX);
	free(line);
	return read;
}

static bool ask_terminal(struct secret *out)
{
	struct termios before;
	struct termios quiet;
	const bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	bool read;

	fprintf(stderr, "Password: ");
	if (terminal) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	read = read_password(stdin, out);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	}
	fprintf(stderr, "\n");
	return read;
}

static bool get_password(const struct probe *probe, struct secret *out)
{
	FILE *file;
	bool read;

	if (!probe->password_file) {
		return ask_terminal(out);
	}
	if (strcmp(probe->password_file, "-") == 0) {
		return read_password(stdin, out);
	}
	file = fopen(probe->password_file, "r");
	if (!file) {
		perror(probe->password_file);
		return false;
	}
	read = read_password(file, out);
	fclose(file);
	if (!read) {
		fprintf(stderr, "%s: no password in it\n", probe->password_file);
	}
	return read;
}

static const char *const stage_names[IMAP_STAGES] = {
	[IMAP_STAGE_CONNECT] = "connect",   [IMAP_STAGE_TLS] = "TLS",
	[IMAP_STAGE_GREETING] = "greeting", [IMAP_STAGE_ID] = "capabilities, ID",
	[IMAP_STAGE_SIGN_IN] = "sign-in",   [IMAP_STAGE_SELECT] = "SELECT and list",
};

static void print_timing(const struct imap_timing *timing)
{
	for (int i = 0; i < IMAP_STAGES; i++) {
		printf("%-18s %6" PRIu64 " ms\n", stage_names[i], timing->ms[i]);
	}
}

static const char *deletion_policy(const struct maildrop *maildrop)
{
	static const char *const names[] = {
		[CONFIG_LEAVE] =
			"flags \\Deleted and leaves them where others have marked any "
			"(no UIDPLUS; leave)",
		[CONFIG_CAREFUL] =
			"expunges around messages others have marked (no UIDPLUS; "
			"careful)",
		[CONFIG_NEVER] = "DELE is refused (no UIDPLUS; never)",
	};

	if (maildrop->mailbox.read_only || !maildrop->mailbox.deletable) {
		return "DELE is refused: the folder does not allow it";
	}
	if (maildrop->capabilities & IMAP_UIDPLUS) {
		return "removes exactly the messages of DELE at QUIT (UIDPLUS)";
	}
	return names[maildrop->upstream->route->without_uidplus];
}

static void print_maildrop(const struct maildrop *maildrop)
{
	const struct snapshot *snapshot = &maildrop->snapshot;
	char id[POP3_UNIQUE_ID_MAX];
	struct buffer words;

	buffer_init(&words, 1024);
	imap_capability_text(maildrop->capabilities, &words);
	printf("capabilities       %.*s\n", (int)words.len, words.data);
	printf("folder             %s, UIDVALIDITY %" PRIu32 "\n", maildrop->folder,
	       snapshot->uidvalidity);
	printf("messages           %" PRIu32 " (%" PRIu64 " octets)\n", snapshot->count,
	       snapshot->octets);
	if (snapshot->count > 0) {
		const size_t len =
			snapshot_unique_id(snapshot, &snapshot->messages[0], id);

		printf("first unique-id    %.*s\n", (int)len, id);
	}
	printf("DELE and QUIT      %s\n", deletion_policy(maildrop));
	printf("RETR               %s\n", maildrop->upstream->route->mark_read
						  ? "marks the message as read"
						  : "leaves the message unread");
	buffer_release(&words);
}

SUSPENDS static bool sign_in(struct probe *probe, struct service *service,
			     struct upstream *upstream, struct bytes user)
{
	static const struct address nowhere;
	struct imap_timing timing = { 0 };
	struct failure failure;
	struct maildrop maildrop;
	const struct maildrop_request request = {
		.upstream = upstream,
		.locks = service->locks,
		.mechanism = SASL_PLAIN,
		.user = user,
		.secret = secret_bytes(&probe->password),
		.folder = upstream->route->folder,
		.client = { &nowhere, "probe" },
	};
	const uint64_t limit_ms = probe->config->limits.upstream_sign_in_ms;

	if (!maildrop_open(&maildrop, &request, loop_deadline_ms(limit_ms), &timing,
			   &failure)) {
		print_timing(&timing);
		fprintf(stderr, "failed (%s): %s\n", failure_kind_name(failure.kind),
			failure.text);
		if (failure.advice) {
			fprintf(stderr, "advice: %s\n", failure.advice);
		}
		return false;
	}
	print_timing(&timing);
	print_maildrop(&maildrop);
	maildrop_close(&maildrop);
	return true;
}

SUSPENDS static void run(void *argument)
{
	struct probe *probe = argument;
	struct service service;
	struct failure failure;
	struct buffer user;

	if (!service_init(&service, probe->config, &failure)) {
		fprintf(stderr, "%s\n", failure.text);
		return;
	}
	struct upstream *upstream = service_route(&service, bytes_of(probe->user));

	buffer_init(&user, 1024);
	if (!upstream) {
		fprintf(stderr, "no route matches %s: add one\n", probe->user);
	} else if (!config_upstream_user(upstream->route, bytes_of(probe->user), &user)) {
		fprintf(stderr, "the route makes no upstream user of %s\n", probe->user);
	} else {
		printf("server             %s\nuser               %.*s\n",
		       upstream->route->server, (int)user.len, user.data);
		probe->good = sign_in(probe, &service, upstream, buffer_bytes(&user));
	}
	buffer_release(&user);
	service_release(&service);
}

int cli_probe(int argc, char **argv)
{
	struct probe probe = { 0 };
	struct config *config;

	if (argp_parse(&argp, argc, argv, 0, NULL, &probe) != 0) {
		return 2;
	}
	config = cli_load(probe.path, probe.url);
	if (!config) {
		return 1;
	}
	if (get_password(&probe, &probe.password)) {
		probe.config = config;
		log_setup(LOG_ERROR, config->log_format);
		loop_open();
		task_start(run, &probe);
		loop_run();
		loop_close();
	}
	secret_release(&probe.password);
	config_free(config);
	return probe.good ? 0 : 1;
}
