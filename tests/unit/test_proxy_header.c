#include "protocol/proxy_header.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BLOCK "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x00\xde"
#define TEXT(literal) ((struct bytes){ literal, sizeof(literal) - 1 })

static char large[PROXY_HEADER_FIXED + 65535];

/* A header of version 2 with so long a block of zeros. */
static struct bytes binary_of(char version_command, char family, size_t block)
{
	memset(large, 0, sizeof(large));
	memcpy(large, SIGNATURE, 12);
	large[12] = version_command;
	large[13] = family;
	large[14] = (char)(block >> 8);
	large[15] = (char)(block & 0xFF);
	return (struct bytes){ large, PROXY_HEADER_FIXED + block };
}

/* Every beginning of a good header wants more, and never more than there is. */
static void check_beginnings(struct bytes header)
{
	struct proxy_header out;
	size_t consumed = 77;

	for (size_t len = 0; len < header.len; len++) {
		struct bytes beginning = { header.at, len };

		assert_int_equal(proxy_header_parse(beginning, &consumed, &out),
				 PROXY_HEADER_NEED_MORE);
		assert_in_range(proxy_header_wanted(beginning), 1, header.len - len);
	}
	assert_int_equal(consumed, 77);
}

static struct proxy_header parsed(struct bytes header)
{
	struct proxy_header out, again;
	static char more[PROXY_HEADER_FIXED + PROXY_HEADER_BLOCK_MAX + 6];
	size_t consumed;

	check_beginnings(header);
	assert_int_equal(proxy_header_parse(header, &consumed, &out), PROXY_HEADER_READY);
	assert_int_equal(consumed, header.len);
	memcpy(more, header.at, header.len);
	memcpy(more + header.len, "\r\nUSER", 6);
	assert_int_equal(proxy_header_parse((struct bytes){ more, header.len + 6 },
					    &consumed, &again),
			 PROXY_HEADER_READY);
	assert_int_equal(consumed, header.len);
	return out;
}

/* Refused as a whole, and whatever beginning is refused stays so. */
static void refused(struct bytes header)
{
	struct proxy_header out;
	enum proxy_header_result before = PROXY_HEADER_NEED_MORE;
	size_t consumed;

	if (header.len > 200) {
		header.len = 200; // a verdict comes early
	}
	for (size_t len = 0; len <= header.len; len++) {
		enum proxy_header_result result = proxy_header_parse(
			(struct bytes){ header.at, len }, &consumed, &out);

		assert_int_not_equal(result, PROXY_HEADER_READY);
		assert_true(before == PROXY_HEADER_NEED_MORE || result == before);
		before = result;
	}
	if (before != PROXY_HEADER_MALFORMED) {
		fail_msg("not refused: %.*s", (int)header.len, header.at);
	}
}

static void line_refused(const char *line)
{
	refused(bytes_of(line));
}

static void test_version_1_names_both_ends(void **state)
{
	struct proxy_header out =
		parsed(bytes_of("PROXY TCP4 1.2.3.4 255.0.10.8 111 65535\r\n"));

	(void)state;
	assert_true(out.has_address && !out.is_local);
	assert_int_equal(out.family, PROXY_HEADER_IPV4);
	assert_memory_equal(out.source.address, "\x01\x02\x03\x04", 4);
	assert_memory_equal(out.destination.address, "\xff\x00\x0a\x08", 4);
	assert_int_equal(out.source.port, 111);
	assert_int_equal(out.destination.port, 65535);
}

static void test_version_1_knows_ipv6(void **state)
{
	struct proxy_header out = parsed(bytes_of("PROXY TCP6 2001:DB8::a ::1 0 1\r\n"));

	(void)state;
	assert_true(out.has_address);
	assert_int_equal(out.family, PROXY_HEADER_IPV6);
	assert_memory_equal(out.source.address,
			    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x0a", 16);
	assert_memory_equal(out.destination.address, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
			    16);
	assert_int_equal(out.source.port, 0);
}

static void test_unknown_has_no_address_whatever_follows(void **state)
{
	(void)state;
	assert_false(parsed(bytes_of("PROXY UNKNOWN\r\n")).has_address);
	assert_false(parsed(bytes_of("PROXY UNKNOWN 1.2.3.4 x  y\r\n")).has_address);
	assert_false(parsed(bytes_of("PROXY UNKNOWN\r\n")).is_local);
}

/* The specification's own longest line has 107 octets. */
static void test_the_longest_line_is_taken_and_no_longer_one(void **state)
{
#define SIX "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	(void)state;
	assert_false(parsed(bytes_of("PROXY UNKNOWN " SIX " " SIX " 65535 65535\r\n"))
			     .has_address);
	line_refused("PROXY UNKNOWN " SIX " " SIX " 65535 655355\r\n");
	parsed(bytes_of("PROXY TCP6 " SIX " " SIX " 65535 65535\r\n"));
#undef SIX
}

static void test_lines_that_are_not_spelt_exactly_so_are_refused(void **state)
{
	static const char *const lines[] = {
		"\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
		"PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r \n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 4294967297\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2x\r\n",
		"PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
		"PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
		"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY UNKNOWN \x80\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"USER alice\r\n",
		"\x16\x03\x01",
		"QUIT\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		line_refused(lines[i]);
	}
	refused(TEXT("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"));
	refused(TEXT("\0"));
}

/* The C library is the reference, both ways. */
static void check_address(const char *protocol, int family, const char *address)
{
	const char *other = family == AF_INET ? "1.2.3.4" : "::";
	char line[128];
	unsigned char wanted[16] = { 0 };
	bool good = inet_pton(family, address, wanted) == 1;

	snprintf(line, sizeof(line), "PROXY %s %s %s 1 2\r\n", protocol, address, other);
	if (!good) {
		line_refused(line);
		return;
	}
	struct proxy_header out = parsed(bytes_of(line));
	assert_memory_equal(out.source.address, wanted, sizeof(wanted));
}

static void test_addresses_are_what_the_c_library_takes_them_for(void **state)
{
	static const char *const four[] = {
		"0.0.0.0",          "255.255.255.255", "1.2.3",     "1.2.3.4.5",
		"1.2.3.256",        "01.2.3.4",        "1.2.3.04",  "1..2.3",
		".1.2.3",           "1.2.3.",          "0x1.2.3.4", "1",
		"1.2.3.4294967297", "00.0.0.0",        "a.b.c.d",
	};
	static const char *const six[] = {
		"::",
		"::1",
		"1::",
		"1::2",
		"1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7::",
		"::2:3:4:5:6:7:8",
		"1::3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8",
		":::",
		":1::2",
		"1::2::3",
		"1:",
		":",
		"12345::",
		"g::",
		"::FFFF:1.2.3.4",
		"::1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1.2.3.4::",
		"::1.2.3.4:5",
		"::1.2.3",
		"::01.2.3.4",
		"0001::",
		"::ffff:1.2.3.4.5",
		"fe80::1%lo",
		"[::1]",
		"1:2:3:4:5::1.2.3.4",
		"1:2:3:4:5:6::1.2.3.4",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(four) / sizeof(*four); i++) {
		check_address("TCP4", AF_INET, four[i]);
	}
	for (size_t i = 0; i < sizeof(six) / sizeof(*six); i++) {
		check_address("TCP6", AF_INET6, six[i]);
	}
}

static void test_version_2_names_both_ends(void **state)
{
	struct proxy_header out = parsed(TEXT(SIGNATURE "\x21\x11\x00\x0c" V4_BLOCK));

	(void)state;
	assert_true(out.has_address && !out.is_local);
	assert_int_equal(out.family, PROXY_HEADER_IPV4);
	assert_memory_equal(out.source.address, "\x01\x02\x03\x04", 4);
	assert_memory_equal(out.destination.address, "\x05\x06\x07\x08", 4);
	assert_int_equal(out.source.port, 111);
	assert_int_equal(out.destination.port, 222);
}

static void test_version_2_knows_ipv6(void **state)
{
	struct bytes header = binary_of(0x21, 0x21, 36);
	struct proxy_header out;

	(void)state;
	large[16] = (char)0xfd;
	large[47] = 9;
	large[48] = (char)0xff;
	large[49] = (char)0xfe;
	out = parsed(header);
	assert_true(out.has_address);
	assert_int_equal(out.family, PROXY_HEADER_IPV6);
	assert_int_equal(out.source.address[0], 0xfd);
	assert_int_equal(out.destination.address[15], 9);
	assert_int_equal(out.source.port, 0xfffe);
}

static void test_version_2_skips_what_else_it_carries(void **state)
{
	(void)state;
	assert_true(parsed(TEXT(SIGNATURE "\x21\x11\x00\x10" V4_BLOCK "\x04\x00\x01x"))
			    .has_address);
	assert_true(parsed(binary_of(0x21, 0x11, PROXY_HEADER_BLOCK_MAX)).has_address);
}

static void test_a_block_of_more_than_4_kib_is_refused(void **state)
{
	(void)state;
	refused(binary_of(0x21, 0x11, PROXY_HEADER_BLOCK_MAX + 1));
	refused(binary_of(0x20, 0x00, 10240));
	refused(binary_of(0x21, 0x11, 65535));
}

static void test_local_is_taken_with_any_block(void **state)
{
	struct proxy_header out = parsed(binary_of(0x20, 0x00, 0));

	(void)state;
	assert_true(out.is_local && !out.has_address);
	out = parsed(binary_of(0x20, 0x11, 12));
	assert_true(out.is_local && !out.has_address);
	assert_true(parsed(binary_of(0x20, (char)0xff, 3)).is_local);
}

static void test_other_families_have_no_address(void **state)
{
	static const char families[] = { 0x00, 0x01, 0x02, 0x10, 0x12,
					 0x20, 0x22, 0x30, 0x31, 0x32 };

	(void)state;
	for (size_t i = 0; i < sizeof(families); i++) {
		struct proxy_header out = parsed(binary_of(0x21, families[i], 40));

		assert_false(out.has_address);
		assert_false(out.is_local);
	}
	assert_false(parsed(binary_of(0x21, 0, 0)).has_address);
}

static void test_what_version_2_does_not_define_is_refused(void **state)
{
	(void)state;
	refused(binary_of(0x11, 0x11, 12));    // version
	refused(binary_of(0x31, 0x11, 12));    // version
	refused(binary_of(0x22, 0x11, 12));    // command
	refused(binary_of(0x2f, 0x11, 12));    // command
	refused(binary_of(0x21, 0x41, 12));    // family
	refused(binary_of(0x21, 0x13, 12));    // transport
	refused(binary_of(0x21, 0x11, 11));    // no room for the addresses
	refused(binary_of(0x21, 0x21, 35));    // no room for the addresses
	refused(TEXT("\r\n\r\n\0\r\nQUIX\n")); // signature
	refused(TEXT("\r\n\r\n\r\nQUIT\n"));   // signature
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_1_names_both_ends),
		cmocka_unit_test(test_version_1_knows_ipv6),
		cmocka_unit_test(test_unknown_has_no_address_whatever_follows),
		cmocka_unit_test(test_the_longest_line_is_taken_and_no_longer_one),
		cmocka_unit_test(test_lines_that_are_not_spelt_exactly_so_are_refused),
		cmocka_unit_test(test_addresses_are_what_the_c_library_takes_them_for),
		cmocka_unit_test(test_version_2_names_both_ends),
		cmocka_unit_test(test_version_2_knows_ipv6),
		cmocka_unit_test(test_version_2_skips_what_else_it_carries),
		cmocka_unit_test(test_a_block_of_more_than_4_kib_is_refused),
		cmocka_unit_test(test_local_is_taken_with_any_block),
		cmocka_unit_test(test_other_families_have_no_address),
		cmocka_unit_test(test_what_version_2_does_not_define_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
