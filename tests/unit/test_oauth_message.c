#include "proxy/ipc/oauth_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct oauth_request request = {
	.what = OAUTH_CODE,
	.id = 0xFEDCBA98,
	.tag = { "joe", 3 },
	.provider = { "microsoft", 9 },
	.secret = { "code", 4 },
	.redirect = { "https://gw.example/consent/done", 31 },
	.verifier = { "verifier", 8 },
	.nonce = { "nonce", 5 },
};

static const struct oauth_reply reply = {
	.id = 7,
	.verdict = 3,
	.expires_s = 3599,
	.refresh_expires_s = 86400,
	.interval_s = 5,
	.tag = { "joe", 3 },
	.access_token = { "access", 6 },
	.refresh_token = { "refresh", 7 },
	.identity = { "joe@example.com", 15 },
	.text = { "why", 3 },
};

static struct buffer packet_of_request(void)
{
	struct buffer packet;

	buffer_init(&packet, 64 * 1024);
	assert_true(oauth_request_encode(&request, &packet));
	return packet;
}

static void test_a_request_comes_back_whole(void **state)
{
	struct buffer packet = packet_of_request();
	struct oauth_request read;

	(void)state;
	assert_true(oauth_request_decode(buffer_bytes(&packet), &read));
	assert_int_equal(read.what, OAUTH_CODE);
	assert_int_equal(read.id, 0xFEDCBA98);
	assert_true(bytes_equal(read.tag, request.tag));
	assert_true(bytes_equal(read.provider, request.provider));
	assert_true(bytes_equal(read.secret, request.secret));
	assert_true(bytes_equal(read.redirect, request.redirect));
	assert_true(bytes_equal(read.verifier, request.verifier));
	assert_true(bytes_equal(read.nonce, request.nonce));
	assert_int_equal(read.subject.len, 0);
	buffer_release(&packet);
}

static void test_a_reply_comes_back_whole(void **state)
{
	struct buffer packet;
	struct oauth_reply read;

	(void)state;
	buffer_init(&packet, 64 * 1024);
	assert_true(oauth_reply_encode(&reply, &packet));
	assert_true(oauth_reply_decode(buffer_bytes(&packet), &read));
	assert_int_equal(read.id, 7);
	assert_int_equal(read.verdict, 3);
	assert_int_equal(read.expires_s, 3599);
	assert_int_equal(read.refresh_expires_s, 86400);
	assert_int_equal(read.interval_s, 5);
	assert_true(bytes_equal(read.access_token, reply.access_token));
	assert_true(bytes_equal(read.refresh_token, reply.refresh_token));
	assert_true(bytes_equal(read.identity, reply.identity));
	assert_true(bytes_equal(read.text, reply.text));
	buffer_release(&packet);
}

static void test_a_shortened_packet_is_none(void **state)
{
	struct buffer packet = packet_of_request();
	struct oauth_request read;

	(void)state;
	for (size_t len = 0; len < packet.len; len++) {
		assert_false(
			oauth_request_decode((struct bytes){ packet.data, len }, &read));
	}
	buffer_release(&packet);
}

static void test_octets_behind_the_last_field_are_refused(void **state)
{
	struct buffer packet = packet_of_request();
	struct oauth_request read;

	(void)state;
	assert_true(buffer_append(&packet, bytes_of("x")));
	assert_false(oauth_request_decode(buffer_bytes(&packet), &read));
	buffer_release(&packet);
}

static void test_a_request_is_no_reply(void **state)
{
	struct buffer packet = packet_of_request();
	struct oauth_reply read;

	(void)state;
	assert_false(oauth_reply_decode(buffer_bytes(&packet), &read));
	buffer_release(&packet);
}

static void test_another_version_is_refused(void **state)
{
	struct buffer packet = packet_of_request();
	struct oauth_request read;

	(void)state;
	packet.data[0]++;
	assert_false(oauth_request_decode(buffer_bytes(&packet), &read));
	buffer_release(&packet);
}

static void test_a_text_beyond_the_maximum_is_not_spelt(void **state)
{
	static char text[OAUTH_TEXT_MAX + 1];
	struct oauth_request long_one = { .secret = { text, sizeof(text) } };
	struct buffer packet;

	(void)state;
	memset(text, 'x', sizeof(text));
	buffer_init(&packet, 64 * 1024);
	assert_false(oauth_request_encode(&long_one, &packet));
	assert_int_equal(packet.len, 0);
	buffer_release(&packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_comes_back_whole),
		cmocka_unit_test(test_a_reply_comes_back_whole),
		cmocka_unit_test(test_a_shortened_packet_is_none),
		cmocka_unit_test(test_octets_behind_the_last_field_are_refused),
		cmocka_unit_test(test_a_request_is_no_reply),
		cmocka_unit_test(test_another_version_is_refused),
		cmocka_unit_test(test_a_text_beyond_the_maximum_is_not_spelt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
