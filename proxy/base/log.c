#include "proxy/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Room kept for what log_end() adds: ,"truncated":true}\n */
#define LOG_TAIL 24
#define PATIENCE_MS 100

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static enum log_level wanted = LOG_INFO;
static enum log_format form = LOG_LOGFMT;

void log_setup(enum log_level level, enum log_format format)
{
	wanted = level;
	form = format;
}

static void put(struct log_line *line, const char *text, size_t len)
{
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void put_string(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* The octet as it stands inside quotes (in logfmt too): at most six characters. */
static size_t escape(unsigned char octet, char out[8])
{
	static const char hex[] = "0123456789abcdef";
	if (octet == '"' || octet == '\\') {
		out[0] = '\\';
		out[1] = (char)octet;
		return 2;
	}
	if (octet >= 0x20 && octet <= 0x7e) {
		out[0] = (char)octet;
		return 1;
	}
	memcpy(out, "\\u00", 4);
	out[4] = hex[octet >> 4];
	out[5] = hex[octet & 15];
	return 6;
}

/* The escaped value in out, bounded. The length; no NUL. */
static size_t escape_value(struct bytes value, char out[LOG_VALUE_MAX])
{
	size_t len = 0;
	size_t cut = 0; // as much as leaves room for the dots
	for (size_t i = 0; i < value.len; i++) {
		char octet[8];
		size_t more = escape((unsigned char)value.at[i], octet);
		if (len + more > LOG_VALUE_MAX) {
			memcpy(out + cut, "...", 3);
			return cut + 3;
		}
		memcpy(out + len, octet, more);
		len += more;
		if (len <= LOG_VALUE_MAX - 3) {
			cut = len;
		}
	}
	return len;
}

/* Does a value have to be quoted? Numbers and plain words need not be in logfmt. */
static bool needs_quotes(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char octet = (unsigned char)value.at[i];
		if (octet <= 0x20 || octet > 0x7e || strchr("\"\\=", octet)) {
			return true;
		}
	}
	return value.len == 0;
}

static void put_field(struct log_line *line, const char *key, struct bytes escaped,
		      bool quoted)
{
	size_t key_len = strlen(key);
	if (line->len + key_len + escaped.len + 6 > LOG_LINE_MAX - LOG_TAIL) {
		line->truncated = true;
		return;
	}
	if (form == LOG_JSON) {
		put_string(line, line->len == 0 ? "{\"" : ",\"");
	} else if (line->len > 0) {
		put_string(line, " ");
	}
	put(line, key, key_len);
	put_string(line, form == LOG_JSON ? "\":" : "=");
	put_string(line, quoted ? "\"" : "");
	put(line, escaped.at, escaped.len);
	put_string(line, quoted ? "\"" : "");
}

void log_text(struct log_line *line, const char *key, struct bytes value)
{
	char escaped[LOG_VALUE_MAX];
	size_t len = escape_value(value, escaped);
	put_field(line, key, (struct bytes){ escaped, len },
		  form == LOG_JSON || needs_quotes(value));
}

void log_string(struct log_line *line, const char *key, const char *value)
{
	const char *text = value ? value : "";
	log_text(line, key, (struct bytes){ text, strlen(text) });
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRIu64, value);
	put_field(line, key, (struct bytes){ text, (size_t)len }, false);
}

void log_seconds(struct log_line *line, const char *key, uint64_t ms)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" PRIu64 ".%03u", ms / 1000,
			   (unsigned)(ms % 1000));
	put_field(line, key, (struct bytes){ text, (size_t)len }, false);
}

static void put_time(struct log_line *line)
{
	struct timespec now;
	struct tm utc;
	char text[80] = "";
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &utc)) {
		snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
			 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
			 utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
	}
	log_string(line, "time", text);
}

bool log_wants(enum log_level level)
{
	return level <= wanted;
}

bool log_begin(struct log_line *line, enum log_level level, const char *event)
{
	if (!log_wants(level)) {
		return false;
	}
	line->len = 0;
	line->truncated = false;
	put_time(line);
	log_string(line, "level", level_names[level]);
	log_string(line, "event", event);
	return true;
}

/*
 * A log that takes nothing must not stop mail: after a moment of patience the line is
 * lost, and so are those after it until the reader goes on.
 */
static bool is_taken(void)
{
	static bool stalled;
	struct pollfd log = { .fd = STDERR_FILENO, .events = POLLOUT };

	stalled = poll(&log, 1, stalled ? 0 : PATIENCE_MS) == 0;
	return !stalled;
}

void log_end(struct log_line *line)
{
	if (line->truncated) {
		put_string(line,
			   form == LOG_JSON ? ",\"truncated\":true" : " truncated=true");
	}
	put_string(line, form == LOG_JSON ? "}\n" : "\n");
	/* One write, so that lines of several processes do not mix. */
	while (is_taken() && write(STDERR_FILENO, line->text, line->len) < 0 &&
	       errno == EINTR) {
	}
}

void log_say(enum log_level level, const char *event, const char *format, ...)
{
	struct log_line line;
	if (!log_begin(&line, level, event)) {
		return;
	}
	char message[LOG_VALUE_MAX + 8]; // what is cut off here is cut off again below
	va_list arguments;
	va_start(arguments, format);
	int len = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	log_string(&line, "message", len < 0 ? format : message);
	log_end(&line);
}
