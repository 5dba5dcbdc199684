#include "proxy/rt/stream_deflate.h"

#include "protocol/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stream_deflate *near, *far;

static int open_both(void **state)
{
	(void)state;
	near = stream_deflate_new();
	far = stream_deflate_new();
	return 0;
}

static int close_both(void **state)
{
	(void)state;
	stream_deflate_free(near);
	stream_deflate_free(far);
	stream_deflate_free(NULL);
	return 0;
}

/* What near sends goes to far, in pieces of so many octets. */
static bool carry(size_t piece, size_t room, struct buffer *out, struct failure *failure)
{
	char to[256];

	while (stream_deflate_pending(near).len > 0 || stream_deflate_waits(far)) {
		const struct bytes pending = stream_deflate_pending(near);
		size_t moved;
		char *raw;

		if (!stream_deflate_waits(far)) {
			const size_t size = stream_deflate_room(far, &raw);
			size_t len = pending.len < piece ? pending.len : piece;

			len = len < size ? len : size;
			memcpy(raw, pending.at, len);
			stream_deflate_came(far, len);
			stream_deflate_sent(near, len);
		}
		if (!stream_deflate_inflate(far, to, room, &moved, failure)) {
			return false;
		}
		buffer_append(out, (struct bytes){ to, moved });
	}
	return true;
}

static void test_what_is_sent_comes_whole_in_any_pieces(void **state)
{
	static char text[16384];
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = (char)(i * i >> 7);
	}
	for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
		struct buffer out;

		buffer_init(&out, sizeof(text));
		stream_deflate_take(near, (struct bytes){ text, sizeof(text) });
		assert_true(carry(piece, 1 + piece % 256, &out, &failure));
		assert_int_equal(out.len, sizeof(text));
		assert_memory_equal(out.data, text, sizeof(text));
		buffer_release(&out);
	}
}

static void test_what_cannot_be_squeezed_has_room(void **state)
{
	static char text[16384];
	struct failure failure;
	struct buffer out;
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		random = random * 1664525 + 1013904223;
		text[i] = (char)(random >> 24);
	}
	buffer_init(&out, sizeof(text));
	stream_deflate_take(near, (struct bytes){ text, sizeof(text) });
	assert_true(carry(4096, 256, &out, &failure));
	assert_int_equal(out.len, sizeof(text));
	assert_memory_equal(out.data, text, sizeof(text));
	buffer_release(&out);
}

static void test_broken_data_is_a_failure(void **state)
{
	struct failure failure;
	char *raw;
	char to[64];
	size_t moved;

	(void)state;
	stream_deflate_room(far, &raw);
	memset(raw, 0xff, 16);
	stream_deflate_came(far, 16);
	assert_false(stream_deflate_inflate(far, to, sizeof(to), &moved, &failure));
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
	assert_int_equal(moved, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_sent_comes_whole_in_any_pieces),
		TEST(test_what_cannot_be_squeezed_has_room),
		TEST(test_broken_data_is_a_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
