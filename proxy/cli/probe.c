/*
 * A real sign-in, step by step: what an operator runs when a device says "error".
 */
#include "proxy/cli/cli.h"
#include "proxy/cli/enquiry.h"
#include "proxy/cli/output.h"
#include "proxy/cli/password.h"

#include "proxy/mailbox/maildrop.h"
#include "proxy/session/destination.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_PASSWORD_FILE = 256, OPTION_TOKEN, OPTION_URL };

struct probe {
	const char *path;
	const char *url;
	const char *password_file;
	const char *user;
	bool token;
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
	{ "token", OPTION_TOKEN, NULL, 0,
	  "What is asked for is an OAuth2 access token (XOAUTH2, OAUTHBEARER)", 0 },
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
	case OPTION_TOKEN:
		probe->token = true;
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
	       "with its time, what the server can do, and what popbridge would do "
	       "there. Nothing is changed in the mailbox.",
};

static const char *const stage_names[IMAP_STAGES] = {
	[IMAP_STAGE_CONNECT] = "connect",   [IMAP_STAGE_TLS] = "TLS",
	[IMAP_STAGE_GREETING] = "greeting", [IMAP_STAGE_ID] = "capabilities, ID",
	[IMAP_STAGE_SIGN_IN] = "sign-in",   [IMAP_STAGE_SELECT] = "SELECT and list",
};

/* The steps that were taken; the last of them is the one that failed. */
static void print_timing(const struct imap_timing *timing, bool failed)
{
	for (int i = 0; i <= (int)timing->stage; i++) {
		const bool here = failed && i == (int)timing->stage;

		printf("%-18s %6" PRIu64 " ms%s\n", stage_names[i], timing->ms[i],
		       here ? "  FAILED" : "");
	}
	fflush(stdout);
}

/* Texts may quote the server: nothing but printable ASCII reaches the terminal. */
static void print_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		const unsigned char octet = (unsigned char)*text;

		if (octet < 0x20 || octet > 0x7e) {
			fprintf(file, "\\x%02x", octet);
		} else {
			fputc(octet, file);
		}
	}
	fputc('\n', file);
}

static void print_failure(const struct failure *failure)
{
	fprintf(stderr, "failed (%s): ", failure_kind_name(failure->kind));
	print_escaped(stderr, failure->text);
	if (failure->advice) {
		fprintf(stderr, "advice: %s\n", failure->advice);
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

SUSPENDS static bool sign_in(struct probe *probe, const struct destination *destination,
			     struct failure *failure)
{
	struct imap_timing timing = { 0 };
	struct address here = { 0 };
	struct maildrop maildrop;
	const struct maildrop_request request = {
		.upstream = destination->upstream,
		.keeper = NULL,
		.account = bytes_of(probe->user),
		.mechanism = probe->token ? SASL_XOAUTH2 : SASL_PLAIN,
		.user = buffer_bytes(&destination->user),
		.secret = secret_bytes(&probe->password),
		.folder = destination_folder(destination),
		.client = { &here, "probe", false },
	};
	const uint64_t limit_ms = probe->config->limits.upstream_sign_in_ms;
	bool opened;

	address_parse(bytes_of("127.0.0.1"), 0, &here);
	opened = maildrop_open(&maildrop, &request, loop_deadline_ms(limit_ms), &timing,
			       failure);
	print_timing(&timing, !opened);
	if (opened) {
		print_maildrop(&maildrop);
		maildrop_close(&maildrop);
	}
	return opened;
}

SUSPENDS static bool probe_user(struct probe *probe, struct service *service,
				struct failure *failure)
{
	struct destination destination;
	bool good =
		destination_find(service, bytes_of(probe->user), &destination, failure);

	if (good) {
		printf("server             %s\nuser               %.*s\n",
		       destination.upstream->route->server, (int)destination.user.len,
		       destination.user.data);
		good = sign_in(probe, &destination, failure);
	}
	destination_release(&destination);
	return good;
}

SUSPENDS static void run(void *argument)
{
	struct probe *probe = argument;
	struct service service;
	struct failure failure;

	if (service_init(&service, probe->config, &failure)) {
		probe->good = probe_user(probe, &service, &failure);
		service_release(&service);
	}
	if (!probe->good) {
		print_failure(&failure);
	}
}

/*
 * What a registered account signs in upstream with is the keeper's alone. True where the
 * service that runs knows the user as one; the operator is told what to do instead.
 */
static bool is_registered(const struct probe *probe)
{
	struct admin_message row = { .type = ADMIN_ASK_REGISTERED };
	struct enquiry enquiry;
	struct failure ignored;
	bool found = false;

	if (!probe->config->control ||
	    !enquiry_open_at(&enquiry, probe->config->control, &ignored)) {
		return false;
	}
	row.text[ADMIN_USER] = bytes_of(probe->user);
	found = enquiry_ask(&enquiry, &row, &ignored) &&
		enquiry_next(&enquiry, &row, &ignored) && row.type == ADMIN_REGISTERED;
	if (found) {
		fprintf(stderr, "popbridge: %s is a registered account, of the mailbox ",
			probe->user);
		output_text(stderr, row.text[ADMIN_MAILBOX]);
		fprintf(stderr,
			"; its clients say a device password, and what it signs in "
			"with upstream only the service knows. Run:\n"
			"  popbridge account show %s              how it stands\n"
			"  popbridge health --sign-in %s          a real sign-in, with a "
			"device password\n"
			"To try the mailbox without the account, probe it by --url.\n",
			probe->user, probe->user);
	}
	enquiry_close(&enquiry);
	return found;
}

int cli_probe(int argc, char **argv)
{
	struct probe probe = { 0 };
	struct source source;
	struct config *config;

	if (argp_parse(&argp, argc, argv, 0, NULL, &probe) != 0) {
		return 2;
	}
	source = (struct source){ .path = probe.path, .url = probe.url };
	config = cli_load(&source, NULL);
	if (!config) {
		return 1;
	}
	cli_protect_memory();
	probe.config = config;
	if (!is_registered(&probe) &&
	    password_get(probe.password_file, &probe.password)) {
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
