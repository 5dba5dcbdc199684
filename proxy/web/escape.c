#include "proxy/web/escape.h"

#include <string.h>

/* What stands for c; NULL: c itself. */
typedef const char *(*substitute_fn)(char c);

/* Octets of the UTF-8 sequence that begins here; 0: none does. */
static size_t sequence(const unsigned char *at)
{
	const size_t len = at[0] < 0x80                    ? 1
			   : at[0] >= 0xC2 && at[0] < 0xE0 ? 2
			   : at[0] >= 0xE0 && at[0] < 0xF0 ? 3
			   : at[0] >= 0xF0 && at[0] < 0xF5 ? 4
							   : 0;

	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xC0) != 0x80) {
			return 0; // also at the NUL
		}
	}
	if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
	    (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F)) {
		return 0; // overlong, a surrogate, or beyond Unicode
	}
	return len;
}

static void escape(struct buffer *out, const char *text, substitute_fn substitute)
{
	while (*text) {
		const size_t len = sequence((const unsigned char *)text);
		const char *instead = len == 1 ? substitute(*text) : NULL;

		if (len == 0 || (len == 1 && !instead &&
				 ((unsigned char)*text < 0x20 || *text == 0x7f))) {
			instead = "?";
		}
		buffer_append(out,
			      instead ? bytes_of(instead) : (struct bytes){ text, len });
		text += len > 0 ? len : 1;
	}
}

static const char *html(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static const char *quoted(char c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	default:
		return NULL;
	}
}

void escape_html(struct buffer *out, const char *text)
{
	escape(out, text, html);
}

static void escape_quoted(struct buffer *out, const char *text)
{
	buffer_append(out, bytes_of("\""));
	escape(out, text, quoted);
	buffer_append(out, bytes_of("\""));
}

void escape_json(struct buffer *out, const char *text)
{
	escape_quoted(out, text);
}

void escape_label(struct buffer *out, const char *text)
{
	escape_quoted(out, text);
}
