/*
 * `popbridge account`: registered accounts, through the service that runs.
 */
#include "proxy/cli/account.h"

#include "proxy/cli/cli.h"
#include "proxy/cli/output.h"
#include "proxy/cli/password.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX 4096
#define DAY_S ((uint64_t)24 * 3600)

const char *const account_kinds[ACCOUNT_KINDS] = {
	[ACCOUNT_PASS_THROUGH] = "pass-through",
	[ACCOUNT_PASSWORD] = "password",
	[ACCOUNT_OAUTH] = "oauth",
};

enum {
	OPTION_MAILBOX = 512,
	OPTION_ROUTE,
	OPTION_SIGNS_IN_AS,
	OPTION_ALSO,
	OPTION_KIND,
	OPTION_PROVIDER,
	OPTION_SECRET_FILE,
	OPTION_LABEL,
	OPTION_FOLDER,
	OPTION_FROM,
	OPTION_EXPIRES,
	OPTION_READ_ONLY,
	OPTION_NO_DELETE,
	OPTION_DIGITS,
	OPTION_APOP,
	OPTION_REMOVE,
	OPTION_CSV,
};

#define OPTION_JSON                                                                      \
	{                                                                                \
		"json", 'j', NULL, 0, "For programs", 0                                  \
	}

static const struct argp_option common_options[] = { OPTION_JSON, { 0 } };

static const struct argp_option account_options[] = {
	OPTION_JSON,
	{ "mailbox", OPTION_MAILBOX, "USER", 0,
	  "The user name upstream. Default: the account's own name", 0 },
	{ "kind", OPTION_KIND, "KIND", 0,
	  "How it signs in upstream: oauth, password (a stored one), or pass-through "
	  "(the client's own). Default: oauth with --provider, else password",
	  0 },
	{ "provider", OPTION_PROVIDER, "NAME", 0,
	  "Where its tokens come from: one of the configuration's providers", 0 },
	{ "signs-in-as", OPTION_SIGNS_IN_AS, "USER", 0,
	  "Who has to consent, where that is not the mailbox (a shared mailbox, another "
	  "user principal name)",
	  0 },
	{ "alias", OPTION_ALSO, "USER", 0, "Who may consent as well; may be repeated",
	  0 },
	{ "route", OPTION_ROUTE, "NAME", 0,
	  "Take the route that matches NAME, not the account's own name", 0 },
	{ "password-file", OPTION_SECRET_FILE, "FILE", 0,
	  "The first line of FILE is the upstream password (kind password) or a refresh "
	  "token (oauth); - is standard input",
	  0 },
	{ 0 },
};

static const struct argp_option password_options[] = {
	OPTION_JSON,
	{ "label", OPTION_LABEL, "TEXT", 0, "What it is for: \"scanner, 2nd floor\"", 0 },
	{ "digits", OPTION_DIGITS, NULL, 0, "Digits only, for keypads", 0 },
	{ "apop", OPTION_APOP, NULL, 0,
	  "For clients that say APOP: the password itself is stored, sealed", 0 },
	{ "password-file", OPTION_SECRET_FILE, "FILE", 0,
	  "The first line of FILE is the password; - is standard input. Without it one "
	  "is made and shown, once",
	  0 },
	{ "no-delete", OPTION_NO_DELETE, NULL, 0, "It may not delete mail", 0 },
	{ "read-only", OPTION_READ_ONLY, NULL, 0,
	  "It may not delete mail or mark it as read", 0 },
	{ "folder", OPTION_FOLDER, "FOLDER", 0, "It reads this folder", 0 },
	{ "from", OPTION_FROM, "NETWORK", 0,
	  "It works from there only (192.168.7.0/24); may be repeated", 0 },
	{ "expires", OPTION_EXPIRES, "DAYS", 0, "It works for so many days", 0 },
	{ "remove", OPTION_REMOVE, "NUMBER", 0,
	  "Remove the one with this number (popbridge account show)", 0 },
	{ 0 },
};

static const struct argp_option consent_options[] = {
	OPTION_JSON,
	{ "refresh-token-file", OPTION_SECRET_FILE, "FILE", 0,
	  "The first line of FILE is a refresh token that you have; - is standard input",
	  0 },
	{ 0 },
};

static const struct argp_option export_options[] = {
	OPTION_JSON,
	{ "csv", OPTION_CSV, NULL, 0, "CSV instead of JSON", 0 },
	{ 0 },
};

static const struct argp_option rekey_options[] = {
	OPTION_JSON,
	{ "master-key-file", OPTION_SECRET_FILE, "FILE", 0,
	  "A new master key: 32 octets in base64", 0 },
	{ 0 },
};

/* ---- what was said ---- */

static void add_line(struct argp_state *state, struct buffer *list, const char *value)
{
	if (strchr(value, '\n') ||
	    !buffer_printf(list, "%s%s", list->len > 0 ? "\n" : "", value)) {
		argp_error(state, "too many or too long: %s", value);
	}
}

static unsigned long take_number(struct argp_state *state, const char *value,
				 const char *what)
{
	char *end;
	const unsigned long number = strtoul(value, &end, 10);

	if (*end || end == value || number == 0 || number > 100000) {
		argp_error(state, "%s is a whole number, not %s", what, value);
	}
	return number;
}

static int take_kind(struct argp_state *state, const char *value)
{
	for (int kind = 0; kind < ACCOUNT_KINDS; kind++) {
		if (strcmp(account_kinds[kind], value) == 0) {
			return kind;
		}
	}
	argp_error(state, "--kind is oauth, password or pass-through, not %s", value);
	return -1;
}

static error_t take_account(int key, char *value, struct argp_state *state)
{
	struct account_arguments *arguments = state->input;

	switch (key) {
	case OPTION_MAILBOX:
		arguments->mailbox = value;
		return 0;
	case OPTION_ROUTE:
		arguments->route = value;
		return 0;
	case OPTION_SIGNS_IN_AS:
		arguments->signs_in_as = value;
		return 0;
	case OPTION_ALSO:
		add_line(state, &arguments->aliases, value);
		return 0;
	case OPTION_KIND:
		arguments->kind = take_kind(state, value);
		return 0;
	case OPTION_PROVIDER:
		arguments->provider = value;
		return 0;
	case OPTION_SECRET_FILE:
		arguments->secret_file = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t take_password(int key, char *value, struct argp_state *state)
{
	struct account_arguments *arguments = state->input;

	switch (key) {
	case OPTION_LABEL:
		arguments->label = value;
		return 0;
	case OPTION_FOLDER:
		arguments->folder = value;
		return 0;
	case OPTION_FROM:
		add_line(state, &arguments->networks, value);
		return 0;
	case OPTION_EXPIRES:
		arguments->until_s = (uint64_t)time(NULL) +
				     DAY_S * take_number(state, value, "--expires");
		return 0;
	case OPTION_READ_ONLY:
		arguments->rights |= ACCOUNT_READ_ONLY | ACCOUNT_NO_DELETE;
		return 0;
	case OPTION_NO_DELETE:
		arguments->rights |= ACCOUNT_NO_DELETE;
		return 0;
	case OPTION_DIGITS:
		arguments->digits = true;
		return 0;
	case OPTION_APOP:
		arguments->apop = true;
		return 0;
	case OPTION_REMOVE:
		arguments->remove_id = (uint32_t)take_number(state, value, "--remove");
		return 0;
	default:
		return take_account(key, value, state);
	}
}

static error_t take(int key, char *value, struct argp_state *state)
{
	struct account_arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->place;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case OPTION_CSV:
		arguments->csv = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->user) {
			argp_error(state, "one at a time");
		}
		arguments->user = value;
		return 0;
	default:
		return take_password(key, value, state);
	}
}

/* ---- the short actions ---- */

bool account_do(struct enquiry *enquiry, const struct admin_message *message,
		uint64_t *count)
{
	struct failure failure;

	if (enquiry_count(enquiry, message, count, &failure)) {
		return true;
	}
	output_failure(&failure);
	return false;
}

static struct bytes text(const char *value)
{
	return bytes_of(value ? value : "");
}

/* An empty secret where none was said. False: the file cannot be read; said. */
static bool read_secret(const struct account_arguments *arguments, struct secret *secret)
{
	return !arguments->secret_file || password_get(arguments->secret_file, secret);
}

static int register_one(struct enquiry *enquiry,
			const struct account_arguments *arguments, enum admin_mode mode)
{
	struct secret secret = { 0 };
	uint64_t count;
	bool done = false;

	if (read_secret(arguments, &secret)) {
		const bool is_new = mode == ADMIN_MODE_NEW;
		const int kind = arguments->kind >= 0  ? arguments->kind
				 : arguments->provider ? ACCOUNT_OAUTH
						       : ACCOUNT_PASSWORD;
		const char *mailbox = arguments->mailbox || !is_new ? arguments->mailbox
								    : arguments->user;

		done = account_do(
			enquiry,
			&(struct admin_message){
				.type = ADMIN_REGISTER,
				.number[ADMIN_MODE] = mode,
				.number[ADMIN_TYPE] = (uint64_t)kind,
				.text[ADMIN_USER] = bytes_of(arguments->user),
				.text[ADMIN_MAILBOX] = text(mailbox),
				.text[ADMIN_ROUTE] = text(arguments->route),
				.text[ADMIN_SIGNS_IN_AS] = text(arguments->signs_in_as),
				.text[ADMIN_ALIASES] = buffer_bytes(&arguments->aliases),
				.text[ADMIN_PROVIDER] = text(arguments->provider),
				.text[ADMIN_SECRET] = secret_bytes(&secret),
			},
			&count);
	}
	secret_release(&secret);
	return done ? 0 : 1;
}

static int add(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	const int result = register_one(enquiry, arguments, ADMIN_MODE_NEW);

	if (result == 0 && !arguments->json) {
		printf("account %s is there; popbridge account show %s says what is left "
		       "to do,\npopbridge account password %s makes a device password\n",
		       arguments->user, arguments->user, arguments->user);
	}
	return result;
}

/* What is not said stays: the account's kind too, so it is asked for first. */
static int change(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct account_arguments all = *arguments;
	struct admin_message row = { .type = ADMIN_ASK_REGISTERED };
	struct failure failure;
	bool found = false;

	row.text[ADMIN_USER] = bytes_of(arguments->user);
	if (!enquiry_ask(enquiry, &row, &failure)) {
		return output_failure(&failure);
	}
	do {
		if (!enquiry_next(enquiry, &row, &failure)) {
			return output_failure(&failure);
		}
		if (row.type == ADMIN_REGISTERED) {
			found = true;
			all.kind = all.kind >= 0  ? all.kind
				   : all.provider ? ACCOUNT_OAUTH
						  : (int)row.number[ADMIN_TYPE];
		}
	} while (row.type != ADMIN_END);
	return found ? register_one(enquiry, &all, ADMIN_MODE_CHANGE) : 1;
}

static int remove_account(struct enquiry *enquiry,
			  const struct account_arguments *arguments)
{
	uint64_t sessions;

	if (!account_do(enquiry,
			&(struct admin_message){
				.type = ADMIN_UNREGISTER,
				.text[ADMIN_USER] = bytes_of(arguments->user),
			},
			&sessions)) {
		return 1;
	}
	if (!arguments->json) {
		printf("account %s and its device passwords are gone; %" PRIu64
		       " session%s ended\n",
		       arguments->user, sessions, sessions == 1 ? "" : "s");
	}
	return 0;
}

static int rekey(struct enquiry *enquiry, const struct account_arguments *arguments)
{
	struct secret secret = { 0 };
	uint64_t count = 0;
	const bool done = read_secret(arguments, &secret) &&
			  account_do(enquiry,
				     &(struct admin_message){
					     .type = ADMIN_REKEY,
					     .text[ADMIN_SECRET] = secret_bytes(&secret),
				     },
				     &count);

	secret_release(&secret);
	if (done && !arguments->json) {
		printf("%" PRIu64 " account%s sealed anew%s\n", count,
		       count == 1 ? "" : "s",
		       arguments->secret_file
			       ? "; now configure master-key with the new file, before "
				 "the next start"
			       : "");
	}
	return done ? 0 : 1;
}

/* ---- which action ---- */

static const struct action {
	const char *name;
	const char *arguments; // NULL: none
	bool optional;         // the argument
	const struct argp_option *options;
	int (*run)(struct enquiry *, const struct account_arguments *);
	const char *doc;
} actions[] = {
	{ "add", "USER", false, account_options, add,
	  "Registers USER, the name that the POP3 client says." },
	{ "change", "USER", false, account_options, change,
	  "Changes what is said of USER's account. Another kind, provider or "
	  "--signs-in-as takes consent anew." },
	{ "list", NULL, false, common_options, account_list, "Lists all accounts." },
	{ "show", "USER", false, common_options, account_show,
	  "Shows an account, its consent and its device passwords." },
	{ "remove", "USER", false, common_options, remove_account,
	  "Removes an account with its device passwords and tokens, and ends its "
	  "sessions." },
	{ "password", "USER", false, password_options, account_password,
	  "Makes a device password, which is shown once, or removes one." },
	{ "consent", "USER", false, consent_options, account_consent,
	  "Shows what to type in at the provider (device flow), and waits until the "
	  "person has consented; or stores a refresh token." },
	{ "invite", "USER", false, common_options, account_invite,
	  "Makes a link for USER's owner to the consent page (consent in the "
	  "configuration): good once, and for a time. A new one ends the one before." },
	{ "export", "FILE", true, export_options, account_export,
	  "Writes all accounts, without secrets, as JSON or CSV." },
	{ "import", "FILE", true, common_options, account_import,
	  "Registers the accounts of a JSON or CSV file, all or none of them." },
	{ "rekey", NULL, false, rekey_options, rekey,
	  "Seals all stored secrets with a new data key, and that with a new master key "
	  "where one is given. Cut off, run it again." },
};

#define ACTIONS (sizeof(actions) / sizeof(*actions))

static int run(const struct action *action, int argc, char **argv)
{
	const struct argp argp = { .options = action->options,
				   .parser = take,
				   .children = enquiry_options,
				   .args_doc = action->arguments,
				   .doc = action->doc };
	struct account_arguments arguments = { .kind = -1,
					       .aliases = { .max = LIST_MAX },
					       .networks = { .max = LIST_MAX } };
	struct enquiry enquiry;
	struct failure failure;
	int result = 2;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) == 0) {
		if (action->arguments && !action->optional && !arguments.user) {
			fprintf(stderr, "%s: which %s?\n", argv[0], action->arguments);
		} else if (!enquiry_open(&enquiry, &arguments.place, &failure)) {
			result = output_failure(&failure);
		} else {
			result = action->run(&enquiry, &arguments);
			enquiry_close(&enquiry);
		}
	}
	buffer_release(&arguments.aliases);
	buffer_release(&arguments.networks);
	return result;
}

static void print_help(FILE *file)
{
	fputs("Usage: popbridge account ACTION [USER] [OPTION...]\n"
	      "Accounts whose mail is elsewhere: who signs in there with OAuth2 or a "
	      "stored\npassword, and with a device password here.\n\n",
	      file);
	for (size_t i = 0; i < ACTIONS; i++) {
		fprintf(file, "  %-9s %s\n", actions[i].name, actions[i].doc);
	}
	fputs("\nEvery action has --help.\n", file);
}

int cli_account(int argc, char **argv)
{
	char name[64];

	for (size_t i = 0; argc > 1 && i < ACTIONS; i++) {
		if (strcmp(argv[1], actions[i].name) == 0) {
			snprintf(name, sizeof(name), "popbridge account %s",
				 actions[i].name);
			argv[1] = name;
			return run(&actions[i], argc - 1, argv + 1);
		}
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return 0;
	}
	print_help(stderr);
	return 2;
}
