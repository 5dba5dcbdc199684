/*
 * What pop3_body must do, said as simply as possible: over the whole message at once,
 * octet by octet. The unit test and the fuzz target compare the two.
 */
#ifndef TESTS_UNIT_POP3_BODY_MODEL_H
#define TESTS_UNIT_POP3_BODY_MODEL_H

#include "protocol/buffer.h"
#include "protocol/pop3_body.h"

#include <stdlib.h>
#include <string.h>

static inline void model_repair(struct bytes message, bool replace_nul,
				struct buffer *out)
{
	for (size_t i = 0; i < message.len; i++) {
		char c = message.at[i];
		bool ends_cr_lf = c == '\n' && i > 0 && message.at[i - 1] == '\r';

		if (c == '\r' || c == '\n') {
			buffer_append(out, bytes_of(ends_cr_lf ? "" : "\r\n"));
		} else if (c == '\0' && replace_nul) {
			buffer_append(out, bytes_of("\x80"));
		} else {
			buffer_append(out, (struct bytes){ &c, 1 });
		}
	}
	if (out->len > 0 && out->data[out->len - 1] != '\n') {
		buffer_append(out, bytes_of("\r\n"));
	}
}

/* The next line of a repaired message, its CR LF included. */
static inline struct bytes model_take_line(struct bytes *rest)
{
	struct bytes line = *rest;

	line.len =
		(size_t)((const char *)memchr(rest->at, '\n', rest->len) - rest->at) + 1;
	bytes_skip(rest, line.len);
	return line;
}

/* Appends what the client gets to out; returns the octets before stuffing. */
static inline uint64_t model_convert(struct bytes message, uint32_t lines,
				     bool replace_nul, struct buffer *out)
{
	struct buffer repaired = { .max = SIZE_MAX / 2 };
	uint64_t octets = 0;
	bool in_header = true;
	uint32_t seen = 0;

	model_repair(message, replace_nul, &repaired);
	struct bytes rest = buffer_bytes(&repaired);
	while (rest.len > 0 && (in_header || lines == POP3_BODY_ALL || seen < lines)) {
		struct bytes line = model_take_line(&rest);
		buffer_append(out, bytes_of(line.at[0] == '.' ? "." : ""));
		buffer_append(out, line);
		octets += line.len;
		seen += in_header ? 0 : 1;
		in_header = in_header && line.len > 2;
	}
	buffer_append(out, bytes_of(".\r\n"));
	buffer_release(&repaired);
	return octets;
}

/* The same by the real thing, fed and drained in pieces of the given sizes. */
static inline uint64_t pieces_convert(struct bytes message, uint32_t lines,
				      bool replace_nul, size_t chunk, size_t room,
				      struct buffer *out)
{
	struct pop3_body body;
	char end[POP3_BODY_END_MAX];
	char *piece = malloc(room); // of its exact size, for the address sanitizer

	pop3_body_init(&body, lines, replace_nul);
	while (message.len > 0 && !pop3_body_is_full(&body)) {
		size_t given = message.len < chunk ? message.len : chunk;
		struct bytes input = { message.at, given };

		while (input.len > 0 && !pop3_body_is_full(&body)) {
			size_t n = pop3_body_convert(&body, &input, piece, room);
			buffer_append(out, (struct bytes){ piece, n });
		}
		bytes_skip(&message, given);
	}
	size_t n = pop3_body_end(&body, end);
	buffer_append(out, (struct bytes){ end, n });
	free(piece);
	return body.octets;
}

#endif
