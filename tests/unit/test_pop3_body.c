#include "tests/unit/pop3_body_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(struct bytes message, uint32_t lines, bool replace_nul,
		   const char *wanted, size_t wanted_len, uint64_t octets)
{
	for (size_t chunk = 1; chunk <= message.len + 1; chunk++) {
		struct buffer got = { .max = 1 << 20 };

		assert_int_equal(
			pieces_convert(message, lines, replace_nul, chunk, 8, &got),
			octets);
		assert_int_equal(got.len, wanted_len);
		assert_memory_equal(got.data, wanted, wanted_len);
		buffer_release(&got);
	}
}

#define RETR(message, wanted, octets)                                                    \
	expect((struct bytes){ message, sizeof(message) - 1 }, POP3_BODY_ALL, false,     \
	       wanted, sizeof(wanted) - 1, octets)
#define TOP(message, lines, wanted, octets)                                              \
	expect((struct bytes){ message, sizeof(message) - 1 }, lines, false, wanted,     \
	       sizeof(wanted) - 1, octets)

static void test_every_line_end_becomes_cr_lf(void **state)
{
	(void)state;
	RETR("a\r\nb\nc\rd\r\n", "a\r\nb\r\nc\r\nd\r\n.\r\n", 12);
}

static void test_cr_cr_lf_is_two_line_ends(void **state)
{
	(void)state;
	RETR("a\r\r\n", "a\r\n\r\n.\r\n", 5);
	RETR("a\n\r\n", "a\r\n\r\n.\r\n", 5);
	RETR("a\r\n\n", "a\r\n\r\n.\r\n", 5);
}

static void test_dots_are_stuffed_after_every_kind_of_line_end(void **state)
{
	(void)state;
	RETR(".a\r\n.\n..\r.b.\r\n", "..a\r\n..\r\n...\r\n..b.\r\n.\r\n", 16);
}

static void test_a_missing_last_line_end_is_added_and_counted(void **state)
{
	(void)state;
	RETR("a\r\nb", "a\r\nb\r\n.\r\n", 6);
	RETR(".", "..\r\n.\r\n", 3);
}

static void test_a_message_of_no_octets_stays_empty(void **state)
{
	(void)state;
	RETR("", ".\r\n", 0);
	TOP("", 3, ".\r\n", 0);
}

static void test_nul_is_kept_unless_told_otherwise(void **state)
{
	(void)state;
	RETR("a\0b\r\n", "a\0b\r\n.\r\n", 5);
	expect((struct bytes){ "\0a\0\r\n", 5 }, POP3_BODY_ALL, true,
	       "\x80"
	       "a\x80\r\n.\r\n",
	       8, 5);
}

static void test_8_bit_octets_pass_untouched(void **state)
{
	(void)state;
	RETR("\x80\xff\xc3\xa4\r\n", "\x80\xff\xc3\xa4\r\n.\r\n", 6);
}

static void test_top_gives_header_blank_line_and_that_many_lines(void **state)
{
	(void)state;
	TOP("h: 1\r\n\r\na\r\n.b\r\nc\r\n", 0, "h: 1\r\n\r\n.\r\n", 8);
	TOP("h: 1\r\n\r\na\r\n.b\r\nc\r\n", 1, "h: 1\r\n\r\na\r\n.\r\n", 11);
	TOP("h: 1\r\n\r\na\r\n.b\r\nc\r\n", 2, "h: 1\r\n\r\na\r\n..b\r\n.\r\n", 15);
	TOP("h: 1\r\n\r\na\r\n", 9, "h: 1\r\n\r\na\r\n.\r\n", 11);
}

static void test_top_counts_blank_body_lines(void **state)
{
	(void)state;
	TOP("h\n\n\n\na\n", 2, "h\r\n\r\n\r\n\r\n.\r\n", 9);
}

static void test_top_of_a_message_without_blank_line_gives_its_whole_header(void **state)
{
	(void)state;
	TOP("h: 1\r\ni: 2", 0, "h: 1\r\ni: 2\r\n.\r\n", 12);
}

static void test_top_stops_taking_input_once_it_is_full(void **state)
{
	struct bytes input = bytes_of("h\n\na\nb\n");
	struct pop3_body body;
	char out[64];

	(void)state;
	pop3_body_init(&body, 1, false);
	assert_int_equal(pop3_body_convert(&body, &input, out, sizeof(out)), 8);
	assert_true(pop3_body_is_full(&body));
	assert_int_equal(input.len, 2);
	assert_int_equal(pop3_body_convert(&body, &input, out, sizeof(out)), 0);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void compare(struct bytes message, uint32_t lines, bool replace_nul, size_t chunk,
		    size_t room)
{
	struct buffer wanted = { .max = 1 << 20 }, got = { .max = 1 << 20 };
	uint64_t octets = model_convert(message, lines, replace_nul, &wanted);

	assert_int_equal(pieces_convert(message, lines, replace_nul, chunk, room, &got),
			 octets);
	assert_int_equal(got.len, wanted.len);
	assert_memory_equal(got.data, wanted.data, wanted.len);
	buffer_release(&wanted);
	buffer_release(&got);
}

/* Every chunk size from 1 to 17, several output sizes. */
static void compare_in_pieces(struct bytes message, uint32_t lines, bool replace_nul)
{
	static const size_t rooms[] = { 8, 9, 15, 64, 4096 };

	for (size_t chunk = 1; chunk <= 17; chunk++) {
		for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
			compare(message, lines, replace_nul, chunk, rooms[i]);
		}
	}
}

static void test_random_messages_come_out_as_the_model_says(void **state)
{
	static const char alphabet[] = "\r\r\n\n\n..\0ab";
	uint32_t seed = 20240229;
	char text[48];

	(void)state;
	for (int round = 0; round < 600; round++) {
		size_t len = next_random(&seed) % (sizeof(text) + 1);
		uint32_t lines = next_random(&seed) % 6;

		for (size_t i = 0; i < len; i++) {
			text[i] = alphabet[next_random(&seed) % (sizeof(alphabet) - 1)];
		}
		compare_in_pieces((struct bytes){ text, len },
				  lines == 5 ? POP3_BODY_ALL : lines, round % 2);
	}
}

static void test_lines_longer_than_any_window_stay_whole(void **state)
{
	static char text[100 * 1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[0] = '.';
	text[60 * 1000] = '\r';
	text[60 * 1000 + 1] = '.';
	for (size_t chunk = 1000; chunk < sizeof(text); chunk += 20011) {
		compare((struct bytes){ text, sizeof(text) }, POP3_BODY_ALL, true, chunk,
			4099);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_line_end_becomes_cr_lf),
		cmocka_unit_test(test_cr_cr_lf_is_two_line_ends),
		cmocka_unit_test(test_dots_are_stuffed_after_every_kind_of_line_end),
		cmocka_unit_test(test_a_missing_last_line_end_is_added_and_counted),
		cmocka_unit_test(test_a_message_of_no_octets_stays_empty),
		cmocka_unit_test(test_nul_is_kept_unless_told_otherwise),
		cmocka_unit_test(test_8_bit_octets_pass_untouched),
		cmocka_unit_test(test_top_gives_header_blank_line_and_that_many_lines),
		cmocka_unit_test(test_top_counts_blank_body_lines),
		cmocka_unit_test(
			test_top_of_a_message_without_blank_line_gives_its_whole_header),
		cmocka_unit_test(test_top_stops_taking_input_once_it_is_full),
		cmocka_unit_test(test_random_messages_come_out_as_the_model_says),
		cmocka_unit_test(test_lines_longer_than_any_window_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
