#include "protocol/bytes.h"

#include <string.h>

struct bytes bytes_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Not toupper(): what a keyword is must not depend on the locale. */
static char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

bool bytes_has_prefix(struct bytes text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (text.len < len) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (ascii_upper(text.at[i]) != prefix[i]) {
			return false;
		}
	}
	return true;
}

bool bytes_is_keyword(struct bytes word, const char *keyword)
{
	return word.len == strlen(keyword) && bytes_has_prefix(word, keyword);
}

void bytes_skip(struct bytes *text, size_t n)
{
	if (n > text->len) {
		n = text->len;
	}
	if (n > 0) {
		text->at += n;
		text->len -= n;
	}
}

struct bytes bytes_take_word(struct bytes *rest)
{
	struct bytes word = *rest;
	const char *space = rest->len > 0 ? memchr(rest->at, ' ', rest->len) : NULL;

	if (space) {
		word.len = (size_t)(space - rest->at);
	}
	bytes_skip(rest, word.len + 1);
	return word;
}

static bool take_number(struct bytes *rest, uint64_t max, uint64_t *out)
{
	struct bytes after = *rest;
	struct bytes word = bytes_take_word(&after);
	uint64_t number = 0;

	if (word.len == 0 || (word.len > 1 && word.at[0] == '0')) {
		return false;
	}
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] < '0' || word.at[i] > '9') {
			return false;
		}
		uint64_t digit = (uint64_t)(word.at[i] - '0');
		if (number > (max - digit) / 10) {
			return false;
		}
		number = number * 10 + digit;
	}
	*rest = after;
	*out = number;
	return true;
}

bool bytes_take_u32(struct bytes *rest, uint32_t *out)
{
	uint64_t number;

	if (!take_number(rest, UINT32_MAX, &number)) {
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

bool bytes_take_u64(struct bytes *rest, uint64_t *out)
{
	return take_number(rest, UINT64_MAX, out);
}
