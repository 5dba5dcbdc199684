#include "proxy/ipc/admin_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_asked(enum admin_type type)
{
	return type < ADMIN_END || type == ADMIN_ASK_UNIQUE_IDS ||
	       type == ADMIN_ACCEPT_UNIQUE_IDS || type == ADMIN_INVITE;
}

/* Every field is set; what the type does not carry is not written. */
static struct admin_message sample(enum admin_type type)
{
	struct admin_message message = { .type = type };

	for (unsigned i = 0; i < ADMIN_NUMBERS; i++) {
		message.number[i] = 0x0102030405060708u + i;
	}
	for (unsigned i = 0; i < ADMIN_TEXTS; i++) {
		message.text[i] = bytes_of(&"joe@example.com\nand more"[i]);
	}
	return message;
}

/* A copy of exactly this length, so that a sanitizer sees any octet read beyond it. */
static bool decodes(const char *at, size_t len, bool asked)
{
	struct admin_message out;
	char *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, at, len);
	bool decoded = admin_message_decode((struct bytes){ copy, len }, asked, &out);
	free(copy);
	return decoded;
}

static struct buffer encoded(const struct admin_message *message)
{
	struct buffer out;

	buffer_init(&out, ADMIN_PACKET_MAX);
	assert_true(admin_message_encode(message, &out));
	return out;
}

static void test_every_type_comes_out_as_it_went_in(void **state)
{
	(void)state;
	for (int type = 0; type < ADMIN_TYPES; type++) {
		struct admin_message in = sample((enum admin_type)type);
		struct admin_message out;
		struct buffer packet = encoded(&in);
		size_t len = 4;

		assert_true(admin_message_decode(buffer_bytes(&packet), is_asked(in.type),
						 &out));
		assert_int_equal(out.type, in.type);
		for (unsigned i = 0; i < ADMIN_NUMBERS; i++) {
			assert_true(out.number[i] == in.number[i] || out.number[i] == 0);
			len += out.number[i] ? 8 : 0;
		}
		for (unsigned i = 0; i < ADMIN_TEXTS; i++) {
			assert_true(out.text[i].len == 0 ||
				    bytes_equal(out.text[i], in.text[i]));
			len += out.text[i].len > 0 ? 2 + out.text[i].len : 0;
		}
		assert_int_equal(len, packet.len); // and nothing else was in it
		buffer_release(&packet);
	}
}

static void test_the_other_side_may_not_say_it(void **state)
{
	(void)state;
	for (int type = 0; type < ADMIN_TYPES; type++) {
		struct admin_message in = sample((enum admin_type)type);
		struct buffer packet = encoded(&in);

		assert_true(decodes(packet.data, packet.len, is_asked(in.type)));
		assert_false(decodes(packet.data, packet.len, !is_asked(in.type)));
		buffer_release(&packet);
	}
}

static void test_no_message_cut_short_or_with_more_behind_it_is_taken(void **state)
{
	(void)state;
	for (int type = 0; type < ADMIN_TYPES; type++) {
		struct admin_message in = sample((enum admin_type)type);
		struct buffer packet = encoded(&in);

		for (size_t len = 0; len < packet.len; len++) {
			assert_false(decodes(packet.data, len, is_asked(in.type)));
		}
		assert_true(buffer_append(&packet, bytes_of("x")));
		assert_false(decodes(packet.data, packet.len, is_asked(in.type)));
		buffer_release(&packet);
	}
}

static void test_a_header_that_is_not_ours_is_refused(void **state)
{
	static const struct {
		unsigned char octets[4];
		bool good;
	} headers[] = {
		{ { 1, ADMIN_ASK_SERVICE, 0, 0 }, true },
		{ { 0, ADMIN_ASK_SERVICE, 0, 0 }, false },
		{ { 2, ADMIN_ASK_SERVICE, 0, 0 }, false },
		{ { 1, ADMIN_TYPES, 0, 0 }, false },
		{ { 1, 255, 0, 0 }, false },
		{ { 1, ADMIN_ASK_SERVICE, 1, 0 }, false },
		{ { 1, ADMIN_ASK_SERVICE, 0, 1 }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		assert_int_equal(decodes((const char *)headers[i].octets, 4, true),
				 headers[i].good);
	}
}

static void test_texts_end_at_their_maximum(void **state)
{
	(void)state;
	char *text = malloc(ADMIN_TEXT_MAX + 1);
	struct admin_message message = { .type = ADMIN_KICK };
	struct buffer out;

	memset(text, 'x', ADMIN_TEXT_MAX + 1);
	buffer_init(&out, ADMIN_PACKET_MAX);
	message.text[ADMIN_USER] = (struct bytes){ text, ADMIN_TEXT_MAX };
	assert_true(admin_message_encode(&message, &out));
	assert_true(decodes(out.data, out.len, true));
	out.len = 0;
	message.text[ADMIN_USER].len++;
	assert_false(admin_message_encode(&message, &out));
	assert_int_equal(out.len, 0); // nothing half
	buffer_release(&out);
	free(text);
}

static void test_a_length_that_lies_is_refused(void **state)
{
	(void)state;
	struct admin_message in = sample(ADMIN_KICK);
	struct buffer packet = encoded(&in);

	packet.data[4]++;
	assert_false(decodes(packet.data, packet.len, true));
	packet.data[5] = (char)0xff;
	assert_false(decodes(packet.data, packet.len, true));
	buffer_release(&packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_comes_out_as_it_went_in),
		cmocka_unit_test(test_the_other_side_may_not_say_it),
		cmocka_unit_test(
			test_no_message_cut_short_or_with_more_behind_it_is_taken),
		cmocka_unit_test(test_a_header_that_is_not_ours_is_refused),
		cmocka_unit_test(test_texts_end_at_their_maximum),
		cmocka_unit_test(test_a_length_that_lies_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
