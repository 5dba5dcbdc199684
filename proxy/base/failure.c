#include "proxy/base/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAILURE_TEXT = sizeof((struct failure *)0)->text };

/*
 * Formats into out; what does not fit ends in "...". By way of a copy, since an argument
 * may be the old text itself.
 */
static void format_text(char out[FAILURE_TEXT], const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void format_text(char out[FAILURE_TEXT], const char *format, va_list arguments)
{
	char text[FAILURE_TEXT];
	int len = vsnprintf(text, sizeof(text), format, arguments);
	if (len < 0) {
		text[0] = '\0';
	} else if ((size_t)len >= sizeof(text)) {
		memcpy(text + sizeof(text) - 4, "...", 4);
	}
	memcpy(out, text, strlen(text) + 1);
}

bool failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
{
	if (failure) {
		va_list arguments;
		va_start(arguments, format);
		format_text(failure->text, format, arguments);
		va_end(arguments);
		failure->kind = kind;
		failure->advice = NULL;
	}
	return false;
}

bool failure_prefix(struct failure *failure, const char *format, ...)
{
	if (!failure) {
		return false;
	}
	char prefix[FAILURE_TEXT];
	va_list arguments;
	va_start(arguments, format);
	format_text(prefix, format, arguments);
	va_end(arguments);
	const char *advice = failure->advice;
	failure_set(failure, failure->kind, "%s: %s", prefix, failure->text);
	return failure_advise(failure, advice);
}

bool failure_advise(struct failure *failure, const char *advice)
{
	if (failure) {
		failure->advice = advice;
	}
	return false;
}

const char *failure_kind_name(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_AUTH:
		return "auth";
	case FAILURE_TEMPORARY:
		return "temporary";
	case FAILURE_PERMANENT:
		return "permanent";
	case FAILURE_IN_USE:
		return "in-use";
	case FAILURE_TIMEOUT:
		return "timeout";
	case FAILURE_CANCELLED:
		return "cancelled";
	case FAILURE_PEER_GONE:
		return "peer-gone";
	case FAILURE_PROTOCOL:
		return "protocol";
	case FAILURE_TOO_SOON:
		return "too-soon";
	}
	return "unknown";
}
