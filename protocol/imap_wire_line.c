#include "protocol/imap_wire_line.h"
#include "protocol/imap_wire_guard.h"

#include <assert.h>
#include <string.h>

/* Octet i of the current line, whichever of the two places it is in; -1: not here yet. */
int imap_wire_line_octet(const struct imap_wire *wire, const struct bytes *input,
			 size_t i)
{
	size_t held = wire->source == IMAP_WIRE_LINE_PARTIAL ? wire->line.len : 0;

	if (i < held) {
		return (unsigned char)wire->line.data[i];
	}
	return i - held < input->len ? (unsigned char)input->at[i - held] : -1;
}

/* Lists may be long. Judged by what even an ordinary line could hold. */
static bool is_list_line(const struct imap_wire *wire, const struct bytes *input)
{
	static const char *const lists[] = { "* FLAGS ", "* OK [PERMANENTFLAGS ",
					     "* ESEARCH ", "* VANISHED " };
	char head[24];
	size_t n = 0;

	while (n < sizeof(head) && n < wire->limits.line) {
		int c = imap_wire_line_octet(wire, input, n);

		if (c < 0) {
			break;
		}
		head[n++] = (char)c;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (bytes_has_prefix((struct bytes){ head, n }, lists[i])) {
			return true;
		}
	}
	return false;
}

/* Would n octets more, the line end not counted, be too much of this response? */
static bool is_too_long(const struct imap_wire *wire, const struct bytes *input, size_t n)
{
	size_t held = wire->source == IMAP_WIRE_LINE_PARTIAL ? wire->line.len : 0;
	size_t total = wire->used + held + n;

	if (total <= wire->limits.line) {
		return false;
	}
	return wire->used > 0 || total > wire->limits.list_line ||
	       !is_list_line(wire, input);
}

struct bytes imap_wire_line_rest(const struct imap_wire *wire, const struct bytes *input)
{
	if (wire->source == IMAP_WIRE_LINE_IN_BUFFER) {
		return (struct bytes){ wire->line.data + wire->at, wire->left };
	}
	/* The caller keeps what was not taken: events point into it. */
	assert(input->len >= wire->left + wire->ending);
	return (struct bytes){ input->at, wire->left };
}

/* Take the line up to rest; with nothing left, its end too. */
void imap_wire_take_line(struct imap_wire *wire, struct bytes *input, struct bytes rest)
{
	size_t n = wire->left - rest.len;

	wire->left = rest.len;
	if (wire->source == IMAP_WIRE_LINE_IN_INPUT) {
		bytes_skip(input, rest.len == 0 ? n + wire->ending : n);
	} else {
		wire->at += n;
	}
	if (rest.len == 0) {
		wire->source = IMAP_WIRE_LINE_NONE;
	}
}

/* The line is whole: len octets up to its LF. */
static bool begin_line(struct imap_wire *wire, struct bytes *input, size_t len,
		       struct imap_wire_event *event)
{
	struct bytes text;

	wire->at = 0;
	wire->left = len;
	wire->ending = 1;
	wire->used += len;
	text = imap_wire_line_rest(wire, input);
	if (len > 0 && text.at[len - 1] == '\r') {
		wire->left--;
		wire->ending++;
	}
	if (wire->charged && !imap_wire_charge(wire, len, event)) {
		return false;
	}
	if (wire->left > 0 && memchr(text.at, '\0', wire->left)) {
		return !imap_wire_violate(wire, event, "a NUL outside a body");
	}
	return true;
}

/* Have a whole line. False: the event says why there is none. */
bool imap_wire_read_line(struct imap_wire *wire, struct bytes *input,
			 struct imap_wire_event *event)
{
	const char *lf;
	size_t len;

	if (wire->source >= IMAP_WIRE_LINE_IN_INPUT) {
		return true;
	}
	if (input->len == 0) {
		return !imap_wire_need_input(event);
	}
	lf = memchr(input->at, '\n', input->len);
	len = lf ? (size_t)(lf - input->at) : input->len;
	if (is_too_long(wire, input, len)) {
		return !imap_wire_violate(wire, event, "a line is above its limit");
	}
	if (lf && wire->source == IMAP_WIRE_LINE_NONE) {
		wire->source = IMAP_WIRE_LINE_IN_INPUT;
		return begin_line(wire, input, len, event);
	}
	if (wire->source == IMAP_WIRE_LINE_NONE) {
		buffer_clear(&wire->line);
	}
	buffer_append(&wire->line, (struct bytes){ input->at, len });
	bytes_skip(input, lf ? len + 1 : len);
	if (!lf) {
		wire->source = IMAP_WIRE_LINE_PARTIAL;
		return !imap_wire_need_input(event);
	}
	wire->source = IMAP_WIRE_LINE_IN_BUFFER;
	return begin_line(wire, input, wire->line.len, event);
}
