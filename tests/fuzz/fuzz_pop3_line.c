/* Lines cut at any chunking are the lines cut octet by octet, and hold no control octet.
 */
#include "protocol/buffer.h"
#include "protocol/pop3_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void check_text(struct bytes text, size_t longest)
{
	if (text.len > longest) {
		abort();
	}
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7F) {
			abort();
		}
	}
}

/* One result after another as text, to be compared. */
static void cut(struct bytes rest, size_t chunk, size_t longest, struct buffer *out)
{
	struct pop3_line line;
	char *storage = malloc(longest + 1); // never malloc(0)

	pop3_line_init(&line, storage, longest);
	while (rest.len > 0) {
		struct bytes piece = { rest.at, rest.len < chunk ? rest.len : chunk };
		size_t before = piece.len;
		struct bytes text = { 0 };
		enum pop3_line_result result = pop3_line_next(&line, &piece, &text);

		check_text(text, longest);
		if (result != POP3_LINE_NEED_INPUT) {
			buffer_printf(out, "%d:", result);
			buffer_append(out, text);
			buffer_append(out, bytes_of("\n"));
		} else if (piece.len > 0) {
			abort();
		}
		bytes_skip(&rest, before - piece.len);
	}
	free(storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct buffer by_octet = { .max = SIZE_MAX / 2 },
		      by_chunk = { .max = SIZE_MAX / 2 };

	if (size < 2) {
		return 0;
	}
	struct bytes rest = { (const char *)input + 2, size - 2 };
	cut(rest, 1, input[1], &by_octet);
	cut(rest, 1U + input[0], input[1], &by_chunk);
	if (!bytes_equal(buffer_bytes(&by_octet), buffer_bytes(&by_chunk))) {
		abort();
	}
	buffer_release(&by_octet);
	buffer_release(&by_chunk);
	return 0;
}
