#include "protocol/imap_backoff.h"

#include <string.h>
#include <strings.h>

static const char phrase[] = "suggested backoff time:";
#define PHRASE_LEN (sizeof(phrase) - 1)

static bool skip_phrase(struct bytes *rest)
{
	while (rest->len >= PHRASE_LEN) {
		if (strncasecmp(rest->at, phrase, PHRASE_LEN) == 0) {
			bytes_skip(rest, PHRASE_LEN);
			return true;
		}
		bytes_skip(rest, 1);
	}
	return false;
}

static void skip_spaces(struct bytes *rest)
{
	while (rest->len > 0 && rest->at[0] == ' ') {
		bytes_skip(rest, 1);
	}
}

bool imap_backoff_parse(struct bytes text, uint64_t *ms)
{
	uint64_t number;

	if (!skip_phrase(&text)) {
		return false;
	}
	skip_spaces(&text);
	if (!bytes_take_u64(&text, &number)) {
		return false;
	}
	skip_spaces(&text);
	if (text.len < 11 || strncasecmp(text.at, "millisecond", 11) != 0) {
		return false;
	}
	*ms = number;
	return true;
}
