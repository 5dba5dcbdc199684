/*
 * IMAP answers parsed the slow, obvious way: a whole, well-formed stream in memory,
 * recursive descent, no limits. Writes the transcript that imap_wire should give.
 */
#ifndef TESTS_UNIT_IMAP_REFERENCE_H
#define TESTS_UNIT_IMAP_REFERENCE_H

#include "tests/unit/imap_transcript.h"

#include <ctype.h>
#include <strings.h>

struct reference {
	const char *at; // ends with a NUL that is not part of the stream
	struct buffer out;
};

static inline bool reference_takes(struct reference *reference, const char *text)
{
	if (strncasecmp(reference->at, text, strlen(text)) != 0) {
		return false;
	}
	reference->at += strlen(text);
	return true;
}

static inline void reference_expect(struct reference *reference, const char *text)
{
	if (!reference_takes(reference, text)) {
		fprintf(stderr, "reference: wanted %s at %.40s\n", text, reference->at);
		abort();
	}
}

static inline uint64_t reference_number(struct reference *reference)
{
	char *end;
	uint64_t number = strtoull(reference->at, &end, 10);

	assert(end > reference->at);
	reference->at = end;
	return number;
}

/* The run up to one of these, which stays. */
static inline struct bytes reference_until(struct reference *reference, const char *stops)
{
	struct bytes run = { reference->at, strcspn(reference->at, stops) };

	reference->at += run.len;
	return run;
}

/* A string of any form into value; false: none is here. */
static inline bool reference_string(struct reference *reference, struct buffer *value)
{
	const char *start = reference->at;

	if (reference_takes(reference, "\"")) {
		for (; *reference->at != '"'; reference->at++) {
			if (*reference->at == '\\') {
				reference->at++;
			}
			buffer_append(value, (struct bytes){ reference->at, 1 });
		}
		reference->at++;
		return true;
	}
	reference_takes(reference, "~");
	if (reference_takes(reference, "{")) {
		size_t octets = (size_t)reference_number(reference);

		reference_expect(reference, "}\r\n");
		buffer_append(value, (struct bytes){ reference->at, octets });
		reference->at += octets;
		return true;
	}
	reference->at = start;
	return false;
}

static inline void reference_skip_value(struct reference *reference)
{
	struct buffer ignored = { .max = SIZE_MAX / 4 };

	if (reference_takes(reference, "(")) {
		while (!reference_takes(reference, ")")) {
			reference_skip_value(reference);
			reference_takes(reference, " ");
		}
	} else if (!reference_string(reference, &ignored)) {
		reference_until(reference, " ()\r");
	}
	buffer_release(&ignored);
}

static inline void reference_body(struct reference *reference)
{
	struct buffer value = { .max = SIZE_MAX / 4 };
	uint64_t origin = 0;
	bool partial = reference_takes(reference, "<");

	if (partial) {
		origin = reference_number(reference);
		if (reference_takes(reference, ".")) {
			reference_number(reference);
		}
		reference_expect(reference, ">");
	}
	reference_expect(reference, " ");
	bool nil = !reference_string(reference, &value);
	if (nil) {
		reference_expect(reference, "NIL");
	}
	buffer_printf(&reference->out, "body %zu", value.len);
	if (partial) {
		buffer_printf(&reference->out, " from %" PRIu64, origin);
	}
	buffer_printf(&reference->out, nil ? " nil\n" : "\n");
	if (value.len > 0) {
		buffer_printf(&reference->out, "= ");
		transcript_text(&reference->out, buffer_bytes(&value));
		buffer_printf(&reference->out, "\n");
	}
	buffer_printf(&reference->out, "body ends\n");
	buffer_release(&value);
}

static inline void reference_item(struct reference *reference)
{
	struct buffer *out = &reference->out;

	if (reference_takes(reference, "UID ")) {
		buffer_printf(out, "uid %" PRIu64 "\n", reference_number(reference));
	} else if (reference_takes(reference, "RFC822.SIZE ")) {
		buffer_printf(out, "size %" PRIu64 "\n", reference_number(reference));
	} else if (reference_takes(reference, "X-GM-MSGID ")) {
		buffer_printf(out, "gm-msgid %" PRIu64 "\n", reference_number(reference));
	} else if (reference_takes(reference, "MODSEQ (")) {
		buffer_printf(out, "modseq %" PRIu64 "\n", reference_number(reference));
		reference_expect(reference, ")");
	} else if (reference_takes(reference, "EMAILID (")) {
		transcript_named(out, "emailid", reference_until(reference, ")"));
		buffer_printf(out, "\n");
		reference_expect(reference, ")");
	} else if (reference_takes(reference, "BODY[]")) {
		reference_body(reference);
	} else {
		reference_until(reference, " [");
		if (reference_takes(reference, "[")) {
			reference_until(reference, "]");
			reference_expect(reference, "]");
			reference_until(reference, " ");
		}
		reference_expect(reference, " ");
		reference_skip_value(reference);
	}
}

static inline void reference_fetch(struct reference *reference, uint64_t number)
{
	buffer_printf(&reference->out, "fetch %" PRIu64 "\n", number);
	while (!reference_takes(reference, ")")) {
		reference_item(reference);
		reference_takes(reference, " ");
	}
	reference_expect(reference, "\r\n");
	buffer_printf(&reference->out, "fetch ends\n");
}

/* A set up to a space or the line's end: one line a range. */
static inline void reference_set(struct reference *reference, const char *name)
{
	do {
		uint64_t first = reference_number(reference);
		uint64_t last = first;

		if (reference_takes(reference, ":")) {
			last = reference_number(reference);
		}
		buffer_printf(&reference->out, "%s %" PRIu64 ":%" PRIu64 "\n", name,
			      first < last ? first : last, first < last ? last : first);
	} while (reference_takes(reference, ","));
}

static inline void reference_search(struct reference *reference)
{
	buffer_printf(&reference->out, "search \n");
	while (reference_takes(reference, " ")) {
		if (*reference->at == '(') {
			reference_skip_value(reference);
		} else {
			reference_set(reference, "found");
		}
	}
	reference_expect(reference, "\r\n");
	buffer_printf(&reference->out, "search ends\n");
}

static inline void reference_esearch(struct reference *reference)
{
	buffer_printf(&reference->out, "search ");
	if (reference_takes(reference, " (TAG \"")) {
		transcript_text(&reference->out, reference_until(reference, "\""));
		reference_expect(reference, "\")");
	}
	buffer_printf(&reference->out, "\n");
	while (reference_takes(reference, " ")) {
		if (reference_takes(reference, "ALL ")) {
			reference_set(reference, "found");
		} else if (!reference_takes(reference, "UID")) {
			reference_until(reference, " ");
			reference_expect(reference, " ");
			reference_skip_value(reference);
		}
	}
	reference_expect(reference, "\r\n");
	buffer_printf(&reference->out, "search ends\n");
}

static inline void reference_line(struct reference *reference, const char *name)
{
	transcript_named(&reference->out, name, reference_until(reference, "\r"));
	reference_expect(reference, "\r\n");
}

static inline void reference_status(struct reference *reference, struct bytes tag)
{
	bool relayed = tag.at[0] == '*' || isdigit((unsigned char)tag.at[0]);
	char condition[16];
	struct bytes word = reference_until(reference, " ");

	snprintf(condition, sizeof(condition), "%.*s", (int)word.len, word.at);
	reference_expect(reference, " ");
	buffer_printf(&reference->out, "%.*s %s", (int)tag.len, tag.at, condition);
	if (reference_takes(reference, "[")) {
		struct bytes code = reference_until(reference, " ]");
		bool numbered = reference_takes(reference, " ");
		struct bytes number = reference_until(reference, "]");

		/* The sessions have codes that carry a number, and ALERT. */
		buffer_printf(&reference->out, " [%.*s/%.*s/%.*s]", (int)code.len,
			      code.at, numbered ? (int)number.len : 1,
			      numbered ? number.at : "0", (int)number.len, number.at);
		reference_expect(reference, "] ");
	}
	reference_line(reference, "");
	if (relayed) {
		buffer_printf(&reference->out, " > %.*s %s .\\0d\\0a", (int)tag.len,
			      tag.at, condition);
	}
	buffer_printf(&reference->out, "\n");
}

static inline void reference_numbered(struct reference *reference)
{
	uint64_t number = reference_number(reference);

	if (reference_takes(reference, " FETCH (")) {
		reference_fetch(reference, number);
	} else if (reference_takes(reference, " EXISTS\r\n")) {
		buffer_printf(&reference->out, "exists %" PRIu64 "\n", number);
	} else if (reference_takes(reference, " EXPUNGE\r\n")) {
		buffer_printf(&reference->out, "expunge %" PRIu64 "\n", number);
	} else {
		reference_expect(reference, " RECENT\r\n");
	}
}

static inline void reference_untagged(struct reference *reference)
{
	static const char *const conditions[] = { "OK ", "NO ", "BAD ", "BYE " };

	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (strncmp(reference->at, conditions[i], strlen(conditions[i])) == 0) {
			reference_status(reference, bytes_of("*"));
			return;
		}
	}
	if (isdigit((unsigned char)*reference->at)) {
		reference_numbered(reference);
	} else if (reference_takes(reference, "SEARCH")) {
		reference_search(reference);
	} else if (reference_takes(reference, "ESEARCH")) {
		reference_esearch(reference);
	} else if (reference_takes(reference, "VANISHED (EARLIER) ")) {
		reference_set(reference, "vanished earlier");
		reference_expect(reference, "\r\n");
	} else if (reference_takes(reference, "VANISHED ")) {
		reference_set(reference, "vanished");
		reference_expect(reference, "\r\n");
	} else if (reference_takes(reference, "CAPABILITY ")) {
		reference_line(reference, "capability");
		buffer_printf(&reference->out, "\n");
	} else {
		reference_until(reference, " \r");
		while (reference_takes(reference, " ")) {
			reference_skip_value(reference);
		}
		reference_expect(reference, "\r\n");
	}
}

static inline void reference_parse(struct reference *reference, const char *end)
{
	while (reference->at < end) {
		if (reference_takes(reference, "* ")) {
			reference_untagged(reference);
		} else if (reference_takes(reference, "+ ")) {
			reference_line(reference, "+");
			buffer_printf(&reference->out, " > + .\\0d\\0a\n");
		} else {
			struct bytes tag = reference_until(reference, " ");

			reference_expect(reference, " ");
			reference_status(reference, tag);
		}
	}
}

#endif
