/*
 * What a browser sends: the query of an address, and the form of a POST, both
 * application/x-www-form-urlencoded (URL Standard 5.1). Pure; the text is untrusted.
 *
 * Strict where it matters: a field that is looked for stands there once at most (RFC 6749
 * 3.1), a percent sign is followed by two digits, and nothing decodes to NUL.
 */
#ifndef PROXY_WEB_FORM_H
#define PROXY_WEB_FORM_H

#include "protocol/buffer.h"

#define FORM_MAX ((size_t)8 * 1024)

enum form_field {
	FORM_TOKEN, // an invitation
	FORM_WORD,  // that the form is ours
	FORM_LABEL,
	FORM_ID,
	FORM_STATE, // these of a provider's answer
	FORM_CODE,
	FORM_ISS,
	FORM_ERROR,
	FORM_ERROR_DESCRIPTION,
	FORM_FIELDS
};

/* What the fields are called in a form. */
extern const char *const form_names[FORM_FIELDS];

struct form {
	struct buffer text; // owned, wiped: what the values point into
	struct bytes value[FORM_FIELDS];
};

/* False: not such a text, or longer than FORM_MAX. Release it either way. */
bool form_read(struct bytes text, struct form *out);
void form_release(struct form *form);

/* One cookie's value of the header (RFC 6265 4.2.1); empty: it is not there. */
struct bytes form_cookie(const char *header, const char *name);

#endif
