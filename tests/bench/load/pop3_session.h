/* One POP3 session of a load generator, its steps and how long they took. */
#ifndef BENCH_POP3_SESSION_H
#define BENCH_POP3_SESSION_H

#include "tests/bench/load/body.h"
#include "tests/bench/load/options.h"

#define LINE_OCTETS 512

struct session {
	struct connection connection;
	char line[LINE_OCTETS]; // the last answer
	long messages;
	double start_s, greeted_s, signed_in_s, stat_s, uidl_s, list_s;
};

/* All are false where the server does not say +OK, or says something impossible. */
bool session_answered(struct session *session);
bool session_command(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* From connect on, as the user with this number. */
bool session_sign_in(struct session *session, const struct options *options, long number);
bool session_stat(struct session *session);

/* UIDL or LIST, which must be as long as STAT said. octets: NULL, or [messages + 1]. */
bool session_listing(struct session *session, const char *verb, uint64_t *octets);

#endif
