#include "proxy/config/config_raw.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEAR_MAX 40 // octets of a word that may be near another

void config_errors_add(struct config_errors *errors, const char *format, ...)
{
	va_list arguments;
	struct buffer *text = &errors->text;
	errors->count++;
	va_start(arguments, format);
	int len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	// Room for the line, its end and the NUL that vsnprintf() writes.
	if (len < 0 || !buffer_reserve(text, (size_t)len + 2)) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text->data + text->len, (size_t)len + 1, format, arguments);
	va_end(arguments);
	text->len += (size_t)len;
	text->data[text->len++] = '\n';
}

void config_errors_release(struct config_errors *errors)
{
	buffer_release(&errors->text);
	errors->count = 0;
}

struct config_quoted config_quote(struct bytes text)
{
	static const char digit[] = "0123456789abcdef";
	struct config_quoted quoted;
	size_t len = 0;
	quoted.text[len++] = '"';
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (len > sizeof quoted.text - 10) {
			memcpy(quoted.text + len, "...", 3);
			len += 3;
			break;
		}
		if (c < 0x20 || c == 0x7F) {
			memcpy(quoted.text + len, "\\x", 2);
			quoted.text[len + 2] = digit[c >> 4];
			quoted.text[len + 3] = digit[c & 15];
			len += 4;
		} else {
			quoted.text[len++] = (char)c;
		}
	}
	quoted.text[len++] = '"';
	quoted.text[len] = '\0';
	return quoted;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein's distance; both at most NEAR_MAX long. */
static size_t distance(struct bytes a, struct bytes b)
{
	size_t row[NEAR_MAX + 1];
	for (size_t j = 0; j <= b.len; j++) {
		row[j] = j;
	}
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1,
				       diagonal + (a.at[i - 1] != b.at[j - 1]));
			diagonal = above;
		}
	}
	return row[b.len];
}

/* Case and "_" for "-" are no slips worth counting. */
static struct bytes normalised(struct bytes text, char out[NEAR_MAX])
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a')
			 : c == '_'           ? '-'
					      : c;
	}
	return (struct bytes){ out, text.len };
}

const char *config_nearest(const char *text, const char *const *words, size_t count)
{
	char storage[NEAR_MAX];
	struct bytes written = bytes_of(text);
	const char *nearest = NULL;
	if (written.len > NEAR_MAX) {
		return NULL;
	}
	written = normalised(written, storage);
	size_t best = written.len <= 3 ? 2 : 3; // the first distance that is too far
	for (size_t i = 0; i < count; i++) {
		struct bytes word = bytes_of(words[i]);
		if (word.len > NEAR_MAX) {
			continue;
		}
		size_t far = distance(written, word);
		if (far < best && far < word.len) {
			best = far;
			nearest = words[i];
		}
	}
	return nearest;
}
