#include "protocol/imap_token.h"

bool imap_token_number(struct bytes *rest, uint64_t *out)
{
	uint64_t number = 0;
	size_t i = 0;

	while (i < rest->len && imap_token_is_digit(rest->at[i])) {
		unsigned digit = (unsigned)(rest->at[i] - '0');

		if (number > (UINT64_MAX - digit) / 10) {
			return false;
		}
		number = number * 10 + digit;
		i++;
	}
	if (i == 0 || (i > 1 && rest->at[0] == '0')) {
		return false;
	}
	bytes_skip(rest, i);
	*out = number;
	return true;
}

bool imap_token_literal(struct bytes *rest, uint64_t *octets)
{
	struct bytes inner = *rest;
	uint64_t number;

	if (inner.len == 0 || inner.at[0] != '{') {
		return false;
	}
	bytes_skip(&inner, 1);
	if (!imap_token_number(&inner, &number)) {
		return false;
	}
	if (inner.len != 1 || inner.at[0] != '}') {
		return false;
	}
	bytes_skip(rest, rest->len);
	*octets = number;
	return true;
}

bool imap_token_quoted(struct bytes rest, struct imap_quoted *quoted)
{
	size_t escapes = 0;

	for (size_t i = 0; i < rest.len; i++) {
		if (rest.at[i] == '"') {
			*quoted = (struct imap_quoted){ i, i - escapes };
			return true;
		}
		if (rest.at[i] == '\\') {
			escapes++;
			i++;
		}
	}
	return false;
}

bool imap_token_spaces(struct bytes *rest)
{
	size_t n = 0;

	while (n < rest->len && rest->at[n] == ' ') {
		n++;
	}
	bytes_skip(rest, n);
	return n > 0;
}
