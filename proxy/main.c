/*
 * popbridge: which subcommand. The only file that knows all of them.
 */
#include "proxy/cli/cli.h"
#include "proxy/ops/role.h"
#include "proxy/ops/upgrade.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const char help[] =
	"Usage: popbridge [serve] [-c FILE] [IMAP-URL]\n"
	"  or:  popbridge check [FILE]\n"
	"  or:  popbridge probe [-c FILE] USER\n"
	"  or:  popbridge status|health|upgrade [-c FILE]\n"
	"  or:  popbridge explain [-c FILE] REF|USER\n"
	"  or:  popbridge kick|forget [-c FILE] USER\n"
	"POP3 in front of IMAP: a bridging proxy.\n"
	"\n"
	"  serve    speak POP3 to clients and IMAP to servers (the default)\n"
	"  check    read a configuration, say every mistake, then what it would do\n"
	"  probe    sign a user in upstream, step by step\n"
	"  status   what the service that runs is doing\n"
	"  health   can it serve? The exit code says\n"
	"  explain  what was behind a -ERR, or the last ones of a user\n"
	"  kick     end a user's sessions\n"
	"  forget   erase what is stored about a user\n"
	"  account  accounts of OAuth2 and stored passwords, device passwords\n"
	"  upgrade  let the service that runs become the program that is installed now\n"
	"\n"
	"popbridge imaps://imap.example.com needs no configuration: POP3 on "
	"127.0.0.1:1110.\n"
	"Every subcommand has --help.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} subcommands[] = {
	{ "serve", cli_serve },     { "check", cli_check },   { "probe", cli_probe },
	{ "status", cli_status },   { "health", cli_health }, { "upgrade", cli_upgrade },
	{ "explain", cli_explain }, { "kick", cli_kick },     { "forget", cli_forget },
	{ "account", cli_account },
};

/* argp names the program in its messages by argv[0]. */
static int run(size_t index, int argc, char **argv)
{
	char name[64];

	snprintf(name, sizeof(name), "popbridge %s", subcommands[index].name);
	argv[0] = name;
	return subcommands[index].run(argc, argv);
}

int main(int argc, char **argv)
{
	argp_program_version = "popbridge " POPBRIDGE_VERSION;
	argp_err_exit_status = 2;
	prctl(PR_SET_NAME, "popbridge"); // an exec by descriptor leaves its number
	const int handover = upgrade_inherited();

	if (handover >= 0) {
		return cli_resume(handover);
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
		fputs(help, stdout);
		return 0;
	}
	if (argc > 1 &&
	    (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		puts("popbridge " POPBRIDGE_VERSION);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--role") == 0) {
		cli_protect_memory();
		return role_run(argv[2]); // started by the master
	}
	for (size_t i = 0; argc > 1 && i < sizeof(subcommands) / sizeof(subcommands[0]);
	     i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0) {
			return run(i, argc - 1, argv + 1);
		}
	}
	return cli_serve(argc, argv);
}
