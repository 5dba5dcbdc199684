#include "tests/unit/imap_wire_fixture.h"

static void test_limits_are_kept_to_the_octet(void **state)
{
	static const struct imap_wire_limits limits = {
		.line = 40,
		.list_line = 60,
		.search = 20,
		.quoted = 5,
		.nesting = 3,
		.literal = 8,
		.unsolicited = 1000,
		.octets = 100000,
	};
	static const char *const inputs[][2] = {
		{ "a line", "P1 OK 789012345678901234567890123456789x\r\n" },
		{ "a line", "P1 OK 78901234567890123456789012345678901" },
		{ "a line",
		  "* FLAGS (34567890123456789012345678901234567890123456789012345)\r\n" },
		{ "a line",
		  "* 1 FETCH (X {1}\r\nx Y {1}\r\nx Z {1}\r\nx Z2 {1}\r\nx W 5)\r\n" },
		{ "SEARCH", "* SEARCH 1 2 3 4 5 6 7 8 999\r\n" },
		{ "quoted", "* LIST \"123456\"\r\n" },
		{ "quoted", "* 1 FETCH (BODY[] \"123456\")\r\n" },
		{ "nested", "* LIST ((((x))))\r\n" },
		{ "nested", "* 1 FETCH (BODYSTRUCTURE (((x))))\r\n" },
		{ "nested", "* 1 FETCH (BODY[[[[x]]]] x)\r\n" },
		{ "literal", "* LIST {9}\r\n" },
	};

	(void)state;
	/* 40 octets with the CR. */
	check_bytes(bytes_of("P1 OK 789012345678901234567890123456789\r\n"),
		    "P1 OK 789012345678901234567890123456789\n", &limits, EXPECT_ALL);
	check_bytes(
		bytes_of("* FLAGS (34567890123456789012345678901234567890123456789)\r\n"
			 "* SEARCH 1 2 3 4 5 6 7 8 99\r\n* LIST {8}\r\n12345678\r\n"
			 "* LIST (((\"12345\")))\r\n* 1 FETCH (X ((x)))\r\n"),
		"search \nfound 1:1\nfound 2:2\nfound 3:3\nfound 4:4\nfound 5:5\n"
		"found 6:6\nfound 7:7\nfound 8:8\nfound 99:99\nsearch ends\nfetch "
		"1\nfetch "
		"ends\n",
		&limits, EXPECT_ALL);
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		for (size_t chunk = 0; chunk <= 17; chunk++) {
			struct transcript transcript;
			const char *why;

			transcript_of(&transcript, bytes_of(inputs[i][1]), &limits,
				      EXPECT_ALL, same_chunk, &chunk);
			why = strstr(transcript.out.data, "violation: ");
			if (!why || !strstr(why, inputs[i][0])) {
				fail_msg("%s\ngave %s", inputs[i][1],
					 transcript.out.data);
			}
			assert_true(transcript.most <= 60);
			buffer_release(&transcript.out);
		}
	}
}

static void test_what_nobody_asked_for_is_counted(void **state)
{
	static const struct imap_wire_limits few = { .unsolicited = 2 };
	static const struct imap_wire_limits little = { .octets = 40 };
	static const char *const many =
		"violation: more unsolicited responses than the limit\n";
	static const char *const much =
		"violation: a command got more octets than its limit\n";
	char wanted[200];

	(void)state;
	snprintf(wanted, sizeof(wanted), "exists 1\nexists 2\n%s", many);
	check_bytes(bytes_of("* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EXISTS\r\n"), wanted, &few,
		    EXPECT_ALL);
	snprintf(wanted, sizeof(wanted), "fetch 1\nfetch ends\nexpunge 1\n%s", many);
	check_bytes(bytes_of("* 1 FETCH ()\r\n* 1 EXPUNGE\r\n* SEARCH 1\r\n"), wanted,
		    &few, IMAP_WIRE_EXPECT_NOTHING);
	check_bytes(bytes_of("* 1 FETCH ()\r\n* 1 EXPUNGE\r\n* SEARCH 1\r\n"),
		    "fetch 1\nfetch ends\nexpunge 1\nsearch \nfound 1:1\nsearch ends\n",
		    &few, EXPECT_ALL);
	check_bytes(bytes_of("* FOO\r\n* FOO 2345678901234567890123456789\r\n"), much,
		    &little, EXPECT_ALL);
	check_bytes(bytes_of("* FOO {30}\r\n"), much, &little, EXPECT_ALL);
	check_bytes(bytes_of("* FOO {0}\r\n 234567890123456789012345678901\r\n"), much,
		    &little, EXPECT_ALL);
	check_bytes(
		bytes_of("* SEARCH 1 2 3 4 5 6\r\n* SEARCH 1 2 3 4 5 6\r\n"),
		"search \nfound 1:1\nfound 2:2\nfound 3:3\nfound 4:4\nfound 5:5\n"
		"found 6:6\nsearch ends\nsearch \nfound 1:1\nfound 2:2\nfound 3:3\n"
		"found 4:4\nfound 5:5\nviolation: a SEARCH answer is above its limit\n",
		&little, IMAP_WIRE_EXPECT_NOTHING);
	snprintf(wanted, sizeof(wanted), "fetch 1\n%s", much);
	check_bytes(bytes_of("* 1 FETCH (BODY[] {30}\r\n"), wanted, &little,
		    IMAP_WIRE_EXPECT_NOTHING);
	check_bytes(bytes_of("* 1 FETCH (BODY[] {30}\r\n"),
		    "fetch 1\nbody 30\n(within)\n", &little, EXPECT_ALL);
}

static void test_a_new_command_counts_anew(void **state)
{
	static const struct imap_wire_limits limits = { .unsolicited = 1 };
	struct imap_wire_event event;
	struct imap_wire wire;

	(void)state;
	imap_wire_init(&wire, &limits);
	for (int i = 0; i < 5; i++) {
		struct bytes input = bytes_of("* 1 EXISTS\r\n");

		imap_wire_begin_command(&wire, IMAP_WIRE_EXPECT_NOTHING);
		imap_wire_next(&wire, &input, &event);
		assert_int_equal(event.kind, IMAP_WIRE_EXISTS);
		imap_wire_next(&wire, &input, &event);
		assert_int_equal(event.kind, IMAP_WIRE_NEED_INPUT);
	}
	imap_wire_release(&wire);
}

/* Hostile lines of a size that only a program writes. */
static void check_repeated(const char *head, const char *unit, size_t times,
			   const char *tail, const char *events)
{
	struct transcript transcript;
	struct buffer input;
	size_t chunk = 4096;

	buffer_init(&input, SIZE_MAX / 4);
	buffer_append(&input, bytes_of(head));
	for (size_t i = 0; i < times; i++) {
		buffer_append(&input, bytes_of(unit));
	}
	buffer_append(&input, bytes_of(tail));
	transcript_of(&transcript, buffer_bytes(&input), NULL, IMAP_WIRE_EXPECT_NOTHING,
		      same_chunk, &chunk);
	assert_non_null(strstr(transcript.out.data, events));
	assert_true(transcript.most <= 1024 * 1024);
	buffer_release(&transcript.out);
	buffer_release(&input);
}

static void test_the_defaults_hold_against_the_catalogue(void **state)
{
	(void)state;
	check_repeated("* LIST ", "(", 1000, "\r\n", "violation: parentheses");
	check_repeated("* 1 FETCH (BODYSTRUCTURE ", "(", 50000, "\r\n", "parentheses");
	check_repeated("* LIST ", "(", 1000000, "\r\n", "a line is above its limit");
	check_repeated("", "x", 70000, "", "a line is above its limit");
	check_repeated("* FLAGS (", "flag ", 100000, ")\r\n* 1 EXISTS\r\n", "exists 1\n");
	check_repeated("* FLAGS (", "flag ", 300000, ")\r\n",
		       "a line is above its limit");
	check_repeated("* OK [PERMANENTFLAGS (\\Deleted", " flag", 100000, ")] x\r\n",
		       "[PERMANENTFLAGS/1/");
	check_repeated("", "* 1 FETCH (UID 1)\r\n", 10001, "", "more unsolicited");
	check_repeated("", "* 1 EXISTS\r\n", 10001, "", "more unsolicited");
	check_repeated("", "* LIST () \"/\" {65536}\r\n", 1, "", "(within)\n");
	check_repeated("* SEARCH", " 1234567", 200000, "\r\n", "search ends\n");
	check_repeated("* SEARCH", " 1234567", 300000, "\r\n", "above its limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_are_kept_to_the_octet),
		cmocka_unit_test(test_what_nobody_asked_for_is_counted),
		cmocka_unit_test(test_a_new_command_counts_anew),
		cmocka_unit_test(test_the_defaults_hold_against_the_catalogue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
