#include "proxy/ipc/page_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct buffer encoded(const struct page_message *message)
{
	struct buffer packet;

	buffer_init(&packet, PAGE_PACKET_MAX);
	assert_true(page_message_encode(message, &packet));
	return packet;
}

static struct page_message callback(void)
{
	return (struct page_message){ .type = PAGE_CALLBACK,
				      .id = 0xFEDCBA98,
				      .text[PAGE_SESSION] = { "session", 7 },
				      .text[PAGE_STATE] = { "state", 5 },
				      .text[PAGE_CODE] = { "code", 4 } };
}

static void test_a_question_comes_back_whole(void **state)
{
	const struct page_message message = callback();
	struct buffer packet = encoded(&message);
	struct page_message read;

	(void)state;
	assert_true(page_message_decode(buffer_bytes(&packet), true, &read));
	assert_int_equal(read.type, PAGE_CALLBACK);
	assert_int_equal(read.id, 0xFEDCBA98);
	assert_true(bytes_equal(read.text[PAGE_SESSION], bytes_of("session")));
	assert_true(bytes_equal(read.text[PAGE_STATE], bytes_of("state")));
	assert_true(bytes_equal(read.text[PAGE_CODE], bytes_of("code")));
	assert_int_equal(read.text[PAGE_ISSUER].len, 0);
	buffer_release(&packet);
}

static void test_neither_side_takes_what_only_the_other_may_say(void **state)
{
	const struct page_message question = callback();
	const struct page_message answer = { .type = PAGE_REFUSED,
					     .number[PAGE_WHY] = PAGE_LATER };
	struct buffer asked = encoded(&question);
	struct buffer answered = encoded(&answer);
	struct page_message read;

	(void)state;
	assert_false(page_message_decode(buffer_bytes(&asked), false, &read));
	assert_false(page_message_decode(buffer_bytes(&answered), true, &read));
	assert_true(page_message_decode(buffer_bytes(&answered), false, &read));
	assert_int_equal(read.number[PAGE_WHY], PAGE_LATER);
	buffer_release(&asked);
	buffer_release(&answered);
}

static void test_no_beginning_and_nothing_longer_is_a_message(void **state)
{
	const struct page_message message = callback();
	struct buffer packet = encoded(&message);
	struct page_message read;

	(void)state;
	for (size_t len = 0; len < packet.len; len++) {
		assert_false(page_message_decode((struct bytes){ packet.data, len }, true,
						 &read));
	}
	assert_true(buffer_append(&packet, bytes_of("x")));
	assert_false(page_message_decode(buffer_bytes(&packet), true, &read));
	buffer_release(&packet);
}

static void test_an_unknown_version_type_or_reason_is_refused(void **state)
{
	static const size_t places[] = { 0, 1, 2, 3 };
	const struct page_message message = { .type = PAGE_REFUSED };
	struct buffer packet = encoded(&message);
	struct page_message read;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		const char was = packet.data[places[i]];

		packet.data[places[i]] = 99;
		assert_false(page_message_decode(buffer_bytes(&packet), false, &read));
		packet.data[places[i]] = was;
	}
	packet.data[8] = PAGE_WHYS; // the first number's first octet
	assert_false(page_message_decode(buffer_bytes(&packet), false, &read));
	buffer_release(&packet);
}

static void test_what_is_too_long_is_not_encoded(void **state)
{
	static char text[PAGE_TEXT_MAX + 1];
	struct page_message message = callback();
	struct buffer packet;

	(void)state;
	memset(text, 'x', sizeof(text));
	message.text[PAGE_CODE] = (struct bytes){ text, sizeof(text) };
	buffer_init(&packet, PAGE_PACKET_MAX);
	assert_false(page_message_encode(&message, &packet));
	assert_int_equal(packet.len, 0);
	message.text[PAGE_CODE].len = PAGE_TEXT_MAX;
	assert_true(page_message_encode(&message, &packet));
	buffer_release(&packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_comes_back_whole),
		cmocka_unit_test(test_neither_side_takes_what_only_the_other_may_say),
		cmocka_unit_test(test_no_beginning_and_nothing_longer_is_a_message),
		cmocka_unit_test(test_an_unknown_version_type_or_reason_is_refused),
		cmocka_unit_test(test_what_is_too_long_is_not_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
