#include "proxy/web/form.h"

#include "proxy/base/memory.h"

#include <string.h>

const char *const form_names[FORM_FIELDS] = {
	[FORM_TOKEN] = "token",
	[FORM_WORD] = "form",
	[FORM_LABEL] = "label",
	[FORM_ID] = "id",
	[FORM_STATE] = "state",
	[FORM_CODE] = "code",
	[FORM_ISS] = "iss",
	[FORM_ERROR] = "error",
	[FORM_ERROR_DESCRIPTION] = "error_description",
};

/* The run up to this octet, which is taken, too. */
static struct bytes take_until(struct bytes *rest, char end)
{
	const char *found = rest->len > 0 ? memchr(rest->at, end, rest->len) : NULL;
	const size_t len = found ? (size_t)(found - rest->at) : rest->len;
	const struct bytes run = { rest->at, len };

	bytes_skip(rest, len + 1);
	return run;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Appended to out, which has the room. False: badly spelt. */
static bool decode(struct bytes text, struct buffer *out, struct bytes *value)
{
	const size_t from = out->len;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i] == '+' ? ' ' : text.at[i];

		if (c == '%') {
			const int high = i + 2 < text.len ? digit(text.at[i + 1]) : -1;
			const int low = high >= 0 ? digit(text.at[i + 2]) : -1;

			if (low < 0) {
				return false;
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0') {
			return false;
		}
		out->data[out->len++] = c;
	}
	*value = (struct bytes){ out->data + from, out->len - from };
	return true;
}

static int field_of(struct bytes name)
{
	for (int i = 0; i < FORM_FIELDS; i++) {
		if (bytes_equal(name, bytes_of(form_names[i]))) {
			return i;
		}
	}
	return -1;
}

bool form_read(struct bytes text, struct form *out)
{
	bool seen[FORM_FIELDS] = { false };

	memset(out, 0, sizeof(*out));
	buffer_init(&out->text, FORM_MAX + 1);
	if (text.len > FORM_MAX || !buffer_reserve(&out->text, text.len + 1)) {
		return false;
	}
	while (text.len > 0) {
		struct bytes value = take_until(&text, '&');
		const struct bytes spelt = take_until(&value, '=');
		struct bytes name, decoded;
		int field;

		if (!decode(spelt, &out->text, &name) ||
		    !decode(value, &out->text, &decoded)) {
			return false;
		}
		field = field_of(name);
		if (field >= 0 && seen[field]) {
			return false;
		}
		if (field >= 0) {
			seen[field] = true;
			out->value[field] = decoded;
		}
	}
	return true;
}

void form_release(struct form *form)
{
	if (form->text.data) {
		memory_wipe(form->text.data, form->text.size);
	}
	buffer_release(&form->text);
	memset(form->value, 0, sizeof(form->value));
}

struct bytes form_cookie(const char *header, const char *name)
{
	struct bytes rest = bytes_of(header ? header : "");

	while (rest.len > 0) {
		struct bytes value = take_until(&rest, ';');

		while (value.len > 0 && *value.at == ' ') {
			bytes_skip(&value, 1);
		}
		if (bytes_equal(take_until(&value, '='), bytes_of(name))) {
			return value;
		}
	}
	return (struct bytes){ 0 };
}
