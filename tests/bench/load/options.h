/* The command line that both load generators share: PROGRAM MODE [--name value]... */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "tests/bench/load/connection.h"

struct options {
	const char *mode;
	const char *user; // with --users: a text and %, which stands for the number
	const char *password;
	const char *ca_file;
	uint16_t port;
	enum tls_mode tls;
	long first;    // message number
	long count;    // messages; 0: all
	long window;   // commands on the way
	long conc;     // sessions at a time
	long sessions; // 0: as many as the seconds allow
	long users;
	long base;     // of the sessions' numbers, where several programs share the users
	long sources;  // addresses to come from; 0: the usual one
	long progress; // sessions after which a line says how many are done; 0: none
	double rate;   // sessions begun in a second; 0: one after the other
	const char *ledger; // file for what became of messages
	double seconds;
	bool hash;
	bool burst; // IMAP: all in one write
};

/* Ends the program where the command line is wrong. */
void options_parse(struct options *options, int argc, char **argv);

/* The user of the session with this number. */
void options_user(const struct options *options, long number, char *out, size_t size);

/* The address from which it comes; 0: any. */
uint32_t options_source(const struct options *options, long number);

#endif
