#include "protocol/pop3_line.h"

void pop3_line_init(struct pop3_line *line, char *storage, size_t size)
{
	*line = (struct pop3_line){ .storage = storage, .size = size };
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7F;
}

/* An octet that belongs to the line. */
static void keep(struct pop3_line *line, char c)
{
	if (is_control(c)) {
		line->bad_octet = true;
	} else if (line->len == line->size) {
		line->too_long = true;
	} else {
		line->storage[line->len++] = c;
	}
}

/* A CR waits for what follows: before LF it is half a line end, else a bad octet. */
static bool take_octet(struct pop3_line *line, char c)
{
	if (c == '\n') {
		return true;
	}
	if (line->after_cr) {
		keep(line, '\r');
	}
	line->after_cr = c == '\r';
	if (!line->after_cr) {
		keep(line, c);
	}
	return false;
}

static enum pop3_line_result finish(struct pop3_line *line, struct bytes *text)
{
	struct pop3_line done = *line;

	pop3_line_init(line, done.storage, done.size);
	if (done.too_long) {
		return POP3_LINE_TOO_LONG;
	}
	if (done.bad_octet) {
		return POP3_LINE_BAD_OCTET;
	}
	*text = (struct bytes){ done.storage, done.len };
	return POP3_LINE_READY;
}

enum pop3_line_result pop3_line_next(struct pop3_line *line, struct bytes *input,
				     struct bytes *text)
{
	for (size_t i = 0; i < input->len; i++) {
		if (take_octet(line, input->at[i])) {
			bytes_skip(input, i + 1);
			return finish(line, text);
		}
	}
	bytes_skip(input, input->len);
	return POP3_LINE_NEED_INPUT;
}
