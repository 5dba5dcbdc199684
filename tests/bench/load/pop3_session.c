#include "tests/bench/load/pop3_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool session_answered(struct session *session)
{
	return connection_line(&session->connection, session->line, LINE_OCTETS) &&
	       strncmp(session->line, "+OK", 3) == 0;
}

bool session_command(struct session *session, const char *format, ...)
{
	char text[LINE_OCTETS];
	va_list arguments;

	va_start(arguments, format);
	const int len = vsnprintf(text, sizeof(text) - 2, format, arguments);
	va_end(arguments);
	if (len < 0 || len >= (int)sizeof(text) - 2) {
		return false;
	}
	text[len] = '\r';
	text[len + 1] = '\n';
	return connection_send(&session->connection, text, (size_t)len + 2) &&
	       session_answered(session);
}

bool session_sign_in(struct session *session, const struct options *options, long number)
{
	char user[128];

	memset(session, 0, sizeof(*session));
	options_user(options, number, user, sizeof(user));
	session->start_s = now_s();
	if (!connection_open(&session->connection, options->port, options->tls,
			     options_source(options, number)) ||
	    !session_answered(session)) {
		return false;
	}
	session->greeted_s = now_s();
	if (options->tls == TLS_BY_COMMAND &&
	    (!session_command(session, "STLS") ||
	     !connection_start_tls(&session->connection))) {
		return false;
	}
	if (!session_command(session, "USER %s", user) ||
	    !session_command(session, "PASS %s", options->password)) {
		return false;
	}
	session->signed_in_s = now_s();
	return true;
}

bool session_stat(struct session *session)
{
	if (!session_command(session, "STAT")) {
		return false;
	}
	session->messages = strtol(session->line + 3, NULL, 10);
	session->stat_s = now_s();
	return true;
}

bool session_listing(struct session *session, const char *verb, uint64_t *octets)
{
	long count = 0;

	if (!session_command(session, "%s", verb)) {
		return false;
	}
	while (connection_line(&session->connection, session->line, LINE_OCTETS)) {
		char *end;
		const long msgno = strtol(session->line, &end, 10);

		if (strcmp(session->line, ".") == 0) {
			return count == session->messages;
		}
		if (octets && msgno > 0 && msgno <= session->messages) {
			octets[msgno] = strtoull(end, NULL, 10);
		}
		count++;
	}
	return false;
}
