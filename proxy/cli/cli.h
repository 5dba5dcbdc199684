/*
 * The command line: one function a subcommand, each with its own --help. Exit codes: 0
 * it worked, 1 it did not, 2 the call was wrong. Errors go to standard error.
 */
#ifndef PROXY_CLI_CLI_H
#define PROXY_CLI_CLI_H

#include "proxy/config/config.h"

#define CLI_DEFAULT_CONFIG "/etc/popbridge/popbridge.yaml"

/* popbridge [serve] [-c FILE] [IMAP-URL] */
int cli_serve(int argc, char **argv);
/* popbridge check [-c FILE] */
int cli_check(int argc, char **argv);
/* popbridge probe [-c FILE] [--url IMAP-URL] [--password-file FILE] USER */
int cli_probe(int argc, char **argv);

/*
 * The configuration of `path`, or of `url` where that is given, or of the default file.
 * NULL: every mistake was printed.
 */
struct config *cli_load(const char *path, const char *url);

/* Passwords are in our memory: no core files, no ptrace by others. */
void cli_protect_memory(void);

#endif
