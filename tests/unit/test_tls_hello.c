#include "protocol/tls_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A ClientHello, put together piece by piece. */
static struct buffer message;

static void put(const char *octets, size_t len)
{
	assert_true(buffer_append(&message, (struct bytes){ octets, len }));
}

#define PUT(text) put(text, sizeof(text) - 1)

/* Type and length, version, random, an empty session id. */
static void begin(const char version[2])
{
	static const char random[32] = "r";

	buffer_init(&message, 4096);
	PUT("\x01\x00\x01\x00"); // its length is nobody's business here
	put(version, 2);
	put(random, sizeof(random));
	PUT("\x00");
}

static struct tls_hello parsed(bool old_form)
{
	struct tls_hello hello;

	assert_true(tls_hello_parse(buffer_bytes(&message), old_form, &hello));
	return hello;
}

static void expect_versions(const struct tls_hello *hello, const char *wanted)
{
	struct buffer text;

	buffer_init(&text, 128);
	tls_hello_write_versions(hello, &text);
	assert_int_equal(text.len, strlen(wanted));
	assert_memory_equal(text.data, wanted, text.len);
	buffer_release(&text);
}

static void test_an_old_client_shows_its_version_and_ciphers(void **state)
{
	static const uint32_t wanted[] = { 0x0004, 0x0005, 0x000a, 0x00ff };
	struct tls_hello hello;
	uint32_t cipher;

	(void)state;
	begin("\x03\x01");
	PUT("\x00\x08\x00\x04\x00\x05\x00\x0a\x00\xff\x01\x00");
	hello = parsed(false);
	assert_int_equal(hello.newest, TLS_HELLO_1_0);
	expect_versions(&hello, "up to TLS 1.0");
	struct bytes rest = hello.ciphers;
	for (size_t i = 0; i < 4; i++) {
		assert_true(tls_hello_next_cipher(&hello, &rest, &cipher));
		assert_int_equal(cipher, wanted[i]);
	}
	assert_false(tls_hello_next_cipher(&hello, &rest, &cipher));
	assert_true(tls_hello_is_hopeless(&hello));
	assert_int_equal(hello.name.len, 0);
	buffer_release(&message);
}

static void test_a_new_client_shows_versions_name_and_protocols(void **state)
{
	struct tls_hello hello;
	struct buffer text;

	(void)state;
	begin("\x03\x03");
	PUT("\x00\x04\x1a\x1a\x13\x01\x01\x00"); // a cipher to ignore and a real one
	PUT("\x00\x35");                         // extensions
	PUT("\x2a\x2a\x00\x00");                 // one to ignore
	PUT("\x00\x00\x00\x10\x00\x0e\x00\x00\x0bpop.example");
	PUT("\x00\x10\x00\x0a\x00\x08\x04pop3\x02h2");
	PUT("\x00\x2b\x00\x07\x06\x5a\x5a\x03\x04\x03\x03");
	hello = parsed(false);
	assert_int_equal(hello.newest, TLS_HELLO_1_3);
	expect_versions(&hello, "TLS 1.3, TLS 1.2");
	assert_true(bytes_equal(hello.name, bytes_of("pop.example")));
	assert_false(tls_hello_is_hopeless(&hello));
	buffer_init(&text, 64);
	tls_hello_write_protocols(&hello, &text);
	assert_true(bytes_equal(buffer_bytes(&text), bytes_of("pop3, h2")));
	buffer_release(&text);
	buffer_release(&message);
}

static void test_the_form_of_ssl_2_0_is_understood(void **state)
{
	struct tls_hello hello;
	struct bytes rest;
	uint32_t cipher;

	(void)state;
	buffer_init(&message, 256);
	PUT("\x01\x03\x00\x00\x09\x00\x00\x00\x10");
	PUT("\x01\x00\x80\x00\x00\x04\x00\x00\x0a");
	PUT("0123456789abcdef");
	hello = parsed(true);
	assert_int_equal(hello.newest, TLS_HELLO_SSL_3_0);
	rest = hello.ciphers;
	assert_true(tls_hello_next_cipher(&hello, &rest, &cipher));
	assert_int_equal(cipher, 0x010080);
	assert_true(tls_hello_next_cipher(&hello, &rest, &cipher));
	assert_int_equal(cipher, 0x000004);
	assert_true(tls_hello_is_hopeless(&hello));
	buffer_release(&message);
}

/* A hello of 515 octets begins as one of SSL 2.0 would: the record's form decides. */
static void test_a_length_is_not_taken_for_a_version(void **state)
{
	struct tls_hello hello;

	(void)state;
	begin("\x03\x03");
	message.data[2] = 2;
	PUT("\x00\x02\x00\x2f\x01\x00");
	hello = parsed(false);
	assert_int_equal(hello.newest, TLS_HELLO_1_2);
	assert_false(tls_hello_is_hopeless(&hello));
	buffer_release(&message);
}

static void test_what_is_cut_off_is_empty_and_nothing_is_read_beyond(void **state)
{
	struct tls_hello hello;

	(void)state;
	begin("\x03\x03");
	PUT("\x00\x04\x00\x2f\x00\x35\x01\x00\x00\x14\x00\x00\x00\x10\x00\x0e\x00\x00\x0b"
	    "pop");
	for (size_t len = 0; len <= message.len; len++) {
		char *copy = malloc(len + (len == 0)); // so that tools see a read beyond
		memcpy(copy, message.data, len);
		if (tls_hello_parse((struct bytes){ copy, len }, false, &hello)) {
			assert_true(hello.ciphers.len <= 4 && hello.name.len <= 3);
			tls_hello_is_hopeless(&hello);
		} else {
			assert_true(len < 6);
		}
		free(copy);
	}
	assert_int_equal(hello.name.len, 3);
	buffer_release(&message);
}

static void test_other_messages_are_none(void **state)
{
	struct tls_hello hello;

	(void)state;
	assert_false(tls_hello_parse(bytes_of(""), false, &hello));
	assert_false(tls_hello_parse(bytes_of("USER alice"), false, &hello));
	assert_false(
		tls_hello_parse((struct bytes){ "\x02\0\0\x02\3\3", 6 }, false, &hello));
}

static void test_versions_have_names(void **state)
{
	char unknown[8];

	(void)state;
	assert_string_equal(tls_hello_version_name(0x0002, unknown), "SSL 2.0");
	assert_string_equal(tls_hello_version_name(0x0300, unknown), "SSL 3.0");
	assert_string_equal(tls_hello_version_name(0x0302, unknown), "TLS 1.1");
	assert_string_equal(tls_hello_version_name(0x7f1c, unknown), "0x7f1c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_old_client_shows_its_version_and_ciphers),
		cmocka_unit_test(test_a_new_client_shows_versions_name_and_protocols),
		cmocka_unit_test(test_the_form_of_ssl_2_0_is_understood),
		cmocka_unit_test(test_a_length_is_not_taken_for_a_version),
		cmocka_unit_test(
			test_what_is_cut_off_is_empty_and_nothing_is_read_beyond),
		cmocka_unit_test(test_other_messages_are_none),
		cmocka_unit_test(test_versions_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
