#include "protocol/pop3_body.h"

#include <string.h>

/*
 * How far to look for a line end at once. Without it, a message of many bare CRs and
 * no LF would have the rest of the input searched again for each of them.
 */
#define LOOK_AHEAD 512

/* Where the output goes, and how much of it is left. */
struct room {
	char *at;
	size_t left;
};

void pop3_body_init(struct pop3_body *body, uint32_t lines, bool replace_nul)
{
	*body = (struct pop3_body){
		.lines = lines,
		.replace_nul = replace_nul,
		.in_header = true,
		.at_line_start = true,
	};
}

static void put(struct room *room, const char *octets, size_t len)
{
	memcpy(room->at, octets, len);
	room->at += len;
	room->left -= len;
}

/* A line was written: decide whether TOP has enough of them. */
static void count_line(struct pop3_body *body)
{
	bool blank = body->at_line_start;

	body->at_line_start = true;
	if (body->lines == POP3_BODY_ALL) {
		return;
	}
	if (!body->in_header) {
		body->lines_seen++;
	} else if (blank) {
		body->in_header = false;
	}
	body->full = !body->in_header && body->lines_seen == body->lines;
}

static bool put_line_end(struct pop3_body *body, struct bytes *input, struct room *room)
{
	if (room->left < 2) {
		return false;
	}
	body->after_cr = input->at[0] == '\r';
	bytes_skip(input, 1);
	put(room, "\r\n", 2);
	body->octets += 2;
	count_line(body);
	return true;
}

/* The octets before the first c, at most len. */
static size_t run_before(const char *at, size_t len, char c)
{
	const char *found = memchr(at, c, len);

	return found ? (size_t)(found - at) : len;
}

/* How much of the input can be copied as it is. LF first: most lines have one soon. */
static size_t plain_run(const struct pop3_body *body, struct bytes input)
{
	size_t run = input.len < LOOK_AHEAD ? input.len : LOOK_AHEAD;

	run = run_before(input.at, run, '\n');
	run = run_before(input.at, run, '\r');
	if (body->replace_nul) {
		run = run_before(input.at, run, '\0');
	}
	return run;
}

/* Part of a line, up to the room there is. */
static bool put_text(struct pop3_body *body, struct bytes *input, struct room *room)
{
	bool stuff = body->at_line_start && input->at[0] == '.';

	/* The dot and its double go out together, so that no state lies between them. */
	if (room->left < (stuff ? 2 : 1)) {
		return false;
	}
	if (stuff) {
		put(room, ".", 1);
	}
	size_t run = plain_run(body, *input);
	if (run == 0) { // a NUL that is to be replaced
		run = 1;
		put(room, "\x80", 1);
	} else {
		run = run < room->left ? run : room->left;
		put(room, input->at, run);
	}
	bytes_skip(input, run);
	body->octets += run;
	body->at_line_start = false;
	return true;
}

/* Length of a line that is to be copied as it is, its CR LF included; 0: it is none. */
static size_t plain_line(const char *at, size_t len)
{
	const char *lf;

	if (*at == '.') {
		return 0;
	}
	lf = memchr(at, '\n', len < LOOK_AHEAD ? len : LOOK_AHEAD);
	if (!lf || lf == at || memchr(at, '\r', (size_t)(lf - at)) != lf - 1) {
		return 0;
	}
	return (size_t)(lf - at) + 1;
}

/* Most of most messages: many whole lines at once. Nothing of them has to be looked at.
 */
static void put_plain_lines(struct pop3_body *body, struct bytes *input,
			    struct room *room)
{
	const size_t size = input->len < room->left ? input->len : room->left;
	size_t run = 0;
	size_t line;

	while (run < size && (line = plain_line(input->at + run, size - run)) > 0) {
		run += line;
	}
	put(room, input->at, run);
	bytes_skip(input, run);
	body->octets += run;
}

/* One step; false where it needs more room. */
static bool convert_some(struct pop3_body *body, struct bytes *input, struct room *room)
{
	char c = input->at[0];

	if (body->after_cr && c == '\n') {
		body->after_cr = false;
		bytes_skip(input, 1);
		return true;
	}
	if (c == '\r' || c == '\n') {
		return put_line_end(body, input, room);
	}
	body->after_cr = false;
	return put_text(body, input, room);
}

size_t pop3_body_convert(struct pop3_body *body, struct bytes *input, char *out,
			 size_t size)
{
	const bool plain = body->lines == POP3_BODY_ALL && !body->replace_nul;
	struct room room = { out, size };

	while (input->len > 0 && !body->full) {
		if (plain && body->at_line_start && !body->after_cr) {
			put_plain_lines(body, input, &room);
		}
		if (input->len == 0 || !convert_some(body, input, &room)) {
			break;
		}
	}
	return size - room.left;
}

bool pop3_body_is_full(const struct pop3_body *body)
{
	return body->full;
}

size_t pop3_body_end(struct pop3_body *body, char out[POP3_BODY_END_MAX])
{
	struct room room = { out, POP3_BODY_END_MAX };

	if (!body->at_line_start) {
		put(&room, "\r\n", 2);
		body->octets += 2;
		body->at_line_start = true;
	}
	put(&room, ".\r\n", 3);
	return POP3_BODY_END_MAX - room.left;
}
