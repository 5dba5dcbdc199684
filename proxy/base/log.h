/*
 * One event, one line, on standard error: logfmt or JSON. Octets outside 0x20-0x7E are
 * escaped, values are bounded, so no user name makes a second line or field.
 *
 *	struct log_line line;
 *	if (log_begin(&line, LOG_INFO, "session ended")) {
 *		log_text(&line, "user", user);
 *		log_number(&line, "retrieved", n);
 *		log_end(&line);
 *	}
 *
 * Every line begins with time (UTC, milliseconds), level and event. Never a secret:
 * passwords and tokens have no business in a value.
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include "protocol/bytes.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

#define LOG_LINE_MAX 2048
#define LOG_VALUE_MAX 512 // octets of one value after escaping; longer ends in "..."

struct log_line {
	size_t len;
	bool truncated;
	char text[LOG_LINE_MAX]; // a field that does not fit is left out: truncated=true
};

void log_setup(enum log_level level, enum log_format format);

bool log_wants(enum log_level level);

/* False where the level is not wanted: then write no fields and do not end. */
bool log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *key, struct bytes value);
void log_string(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, uint64_t value);
/* Seconds with three decimals. */
void log_seconds(struct log_line *line, const char *key, uint64_t ms);
void log_end(struct log_line *line);

/* A line with no fields but a message by printf rules. */
void log_say(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
