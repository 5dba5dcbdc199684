/*
 * The command line: one function a subcommand, each with its own --help. Exit codes: 0
 * it worked, 1 it did not, 2 the call was wrong. Errors go to standard error.
 */
#ifndef PROXY_CLI_CLI_H
#define PROXY_CLI_CLI_H

#include "proxy/ops/source.h"

#define CLI_DEFAULT_CONFIG "/etc/popbridge/popbridge.yaml"

/* popbridge [serve] [-c FILE] [IMAP-URL] */
int cli_serve(int argc, char **argv);
/* popbridge check [-c FILE] */
int cli_check(int argc, char **argv);
/* popbridge probe [-c FILE] [--url IMAP-URL] [--password-file FILE] USER */
int cli_probe(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_health(int argc, char **argv);
/* popbridge upgrade [-c FILE] [--pid PID] */
int cli_upgrade(int argc, char **argv);

/* Not for people: what another program that ran in this process handed over goes on. */
int cli_resume(int handover_fd);

/* popbridge account ACTION ... */
int cli_account(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_kick(int argc, char **argv);
int cli_forget(int argc, char **argv);

/*
 * The configuration of source, of the default file where it names nothing (source is
 * filled in then). NULL: every mistake was printed. text_fd as source_load(); NULL: not
 * wanted.
 */
struct config *cli_load(struct source *source, int *text_fd);

/* Passwords are in our memory: no core files, no ptrace by others. */
void cli_protect_memory(void);

#endif
