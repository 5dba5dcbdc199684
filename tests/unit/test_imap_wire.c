#include "tests/unit/imap_wire_fixture.h"

static void test_greetings_are_statuses_with_a_line_of_our_own_for_libetpan(void **state)
{
	static const struct example examples[] = {
		{ "* OK [CAPABILITY IMAP4rev1 SASL-IR] Dovecot ready.\r\n",
		  "* OK [CAPABILITY/0/IMAP4rev1 SASL-IR] Dovecot ready. > * OK "
		  ".\\0d\\0a\n" },
		{ "* PREAUTH hello\r\n", "* PREAUTH hello > * PREAUTH .\\0d\\0a\n" },
		{ "* BYE Autologout\r\n", "* BYE Autologout > * BYE .\\0d\\0a\n" },
		{ "* ok\n", "* OK  > * OK .\\0d\\0a\n" },
		{ "* OK [ALERT]\r\n", "* OK [ALERT/0/]  > * OK .\\0d\\0a\n" },
		{ "* OK [ALERT] \r\n", "* OK [ALERT/0/]  > * OK .\\0d\\0a\n" },
		{ "* OK [PARSE]x\r\n", "* OK [OTHER/0/] x > * OK .\\0d\\0a\n" },
		{ "* OK [PERMANENTFLAGS (\r\n",
		  "* OK [PERMANENTFLAGS ( > * OK .\\0d\\0a\n" },
		{ "* OK [] x\r\n", "* OK [OTHER/0/] x > * OK .\\0d\\0a\n" },
		{ "* NO still {5}\r\n* BAD {5+}\r\n",
		  "* NO still {5} > * NO .\\0d\\0a\n* BAD {5+} > * BAD .\\0d\\0a\n" },
	};

	(void)state;
	CHECK(examples);
}

static void test_a_tag_of_digits_is_relayed_and_another_is_ours(void **state)
{
	static const struct example examples[] = {
		{ "12 OK done {1}\r\n", "12 OK done {1} > 12 OK .\\0d\\0a\n" },
		{ "12 NO\r\n", "12 NO  > 12 NO .\\0d\\0a\n" },
		{ "P7 BAD [CLIENTBUG] what\r\n", "P7 BAD [CLIENTBUG/0/] what\n" },
		{ "1a ok [Read-Write] x\n", "1a OK [READ-WRITE/0/] x\n" },
		{ "1234567890123456789012345678901 BAD x\r\n",
		  "1234567890123456789012345678901 BAD x > "
		  "1234567890123456789012345678901 BAD .\\0d\\0a\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("begins with no tag", "12345678901234567890123456789012 OK x\r\n",
		"A-1 OK x\r\n", "\r\n", "\n", " OK\r\n", "HTTP/1.1 400 Bad Request\r\n",
		"\x15\x03\x01", "(x\r\n", "{5}\r\n", "a* OK\r\n");
	REFUSED("not OK, NO or BAD", "220 mail.example ESMTP\r\n", "1 PREAUTH x\r\n",
		"1 BYE x\r\n", "P1\r\n", "P1 \r\n", "P1 OKAY\r\n", "P1  OK\r\n");
}

static void test_codes_carry_their_numbers(void **state)
{
	static const struct example examples[] = {
		{ "* OK [UIDVALIDITY 3857529045] UIDs valid\r\n",
		  "* OK [UIDVALIDITY/3857529045/3857529045] UIDs valid > * OK "
		  ".\\0d\\0a\n" },
		{ "* OK [uidnext 4294967295]\r\n",
		  "* OK [UIDNEXT/4294967295/4294967295]  > * OK .\\0d\\0a\n" },
		{ "* OK [HIGHESTMODSEQ 9223372036854775807] x\r\n",
		  "* OK [HIGHESTMODSEQ/9223372036854775807/9223372036854775807] x > "
		  "* OK .\\0d\\0a\n" },
		{ "P1 OK [MESSAGELIMIT 1000 7] x\r\n",
		  "P1 OK [MESSAGELIMIT/1000/1000 7] x\n" },
		{ "* OK [PERMANENTFLAGS (\\Answered \\deleted \\*)] Limited\r\n",
		  "* OK [PERMANENTFLAGS/1/(\\5cAnswered \\5cdeleted \\5c*)] Limited > "
		  "* OK .\\0d\\0a\n" },
		{ "* OK [PERMANENTFLAGS (\\DeletedNot)] x\r\n",
		  "* OK [PERMANENTFLAGS/0/(\\5cDeletedNot)] x > * OK .\\0d\\0a\n" },
		{ "* OK [PERMANENTFLAGS ()] Read-only\r\n",
		  "* OK [PERMANENTFLAGS/0/()] Read-only > * OK .\\0d\\0a\n" },
		{ "P2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n",
		  "P2 NO [AUTHENTICATIONFAILED/0/] Invalid credentials (Failure)\n" },
		{ "P3 OK [COPYUID 1 2:3 4:5] moved\r\n",
		  "P3 OK [OTHER/0/1 2:3 4:5] moved\n" },
		{ "* NO [REFERRAL imap://b/] go\r\n",
		  "* NO [REFERRAL/0/imap://b/] go > * NO .\\0d\\0a\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("a response code's number", "* OK [UIDVALIDITY 0] x\r\n",
		"* OK [UIDVALIDITY] x\r\n", "* OK [UIDVALIDITY 4294967296] x\r\n",
		"* OK [UIDNEXT -1] x\r\n", "* OK [UIDNEXT 01] x\r\n",
		"* OK [UIDNEXT 1 2] x\r\n",
		"* OK [HIGHESTMODSEQ 18446744073709551616] x\r\n");
}

static void test_every_code_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(imap_wire_code_name(IMAP_WIRE_CODE_NONE), "");
	for (int i = IMAP_WIRE_CODE_OTHER; i <= IMAP_WIRE_CODE_UNAVAILABLE; i++) {
		assert_true(strlen(imap_wire_code_name((enum imap_wire_code)i)) > 2);
	}
}

static void test_a_continuation_is_relayed_without_its_text(void **state)
{
	static const struct example examples[] = {
		{ "+ \r\n", "+  > + .\\0d\\0a\n" },
		{ "+\r\n", "+  > + .\\0d\\0a\n" },
		{ "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n",
		  "+ eyJzdGF0dXMiOiI0MDAifQ== > + .\\0d\\0a\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("continuation is malformed", "+OK POP3 ready\r\n", "++\r\n");
}

static void test_a_select_answer(void **state)
{
	static const struct example examples[] = {
		{ "* FLAGS (\\Answered \\Flagged $MDNSent [odd)\r\n"
		  "* OK [PERMANENTFLAGS (\\Deleted \\*)] ok\r\n"
		  "* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UNSEEN 1] first\r\n"
		  "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
		  "1 OK [READ-WRITE] Select completed (0.001 + 0.000 secs).\r\n",
		  "* OK [PERMANENTFLAGS/1/(\\5cDeleted \\5c*)] ok > * OK .\\0d\\0a\n"
		  "exists 3\n"
		  "* OK [OTHER/0/1] first > * OK .\\0d\\0a\n"
		  "1 OK [READ-WRITE/0/] Select completed (0.001 + 0.000 secs). > "
		  "1 OK .\\0d\\0a\n" },
		{ "* CAPABILITY IMAP4rev1 UIDPLUS\r\n* ENABLED CONDSTORE\r\n* "
		  "enabled\r\n",
		  "capability IMAP4rev1 UIDPLUS\nenabled CONDSTORE\nenabled \n" },
		{ "* 0 EXISTS\r\n* 4294967295 EXPUNGE\r\n* 7 expunge \r\n",
		  "exists 0\nexpunge 4294967295\nexpunge 7\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("number is malformed", "* 4294967296 EXISTS\r\n", "* 01 EXISTS\r\n",
		"* 5\r\n", "* 5x EXISTS\r\n", "* 18446744073709551621 FETCH ()\r\n");
	REFUSED("message 0", "* 0 EXPUNGE\r\n");
	REFUSED("EXISTS or EXPUNGE", "* 1 EXISTS 2\r\n", "* 1 EXPUNGE {5}\r\n");
	REFUSED("untagged response is malformed", "*\r\n", "* \r\n", "*x\r\n", "**\r\n");
}

static void test_unknown_responses_vanish_with_their_literals(void **state)
{
	static const struct example examples[] = {
		{ "* LIST () \"/\" {5}\r\n* 1 X\r\n* 1 EXISTS\r\n", "exists 1\n" },
		{ "* LIST () {0}\r\n {3}\r\nabc\r\n* 1 EXISTS\r\n", "exists 1\n" },
		{ "* ID (\"name\" \"Dovecot (x\\\" {5}\")\r\n* 1 EXISTS\r\n",
		  "exists 1\n" },
		{ "* STATUS \"a b\" (MESSAGES 5)\r\n* 5 QUUX {1}\r\n", "(within)\n" },
		{ "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* QUOTA \"\" (STORAGE 1 2)\r\n"
		  "* XLIST ) ( 5\"disk ~{2}\r\n{}\r\n* FOO\r\n* 2 EXISTS\r\n",
		  "exists 2\n" },
		{ "* SEARCHRES x\r\n* SEAR\r\n* S\r\n* 1 EXISTS\r\n", "exists 1\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("quoted string has no end", "* LIST () \"/\r\n", "* ID (\"a\\\"\r\n");
	REFUSED("literal is malformed", "* LIST {5+}\r\n", "* LIST {-5}\r\n",
		"* LIST { 5}\r\n", "* LIST {5\r\n", "* LIST {5} \r\n", "* LIST {}\r\n",
		"* LIST {05}\r\n", "* LIST {18446744073709551621}\r\n", "* {x}\r\n");
	REFUSED("no body is above its limit", "* LIST {4294967295}\r\n",
		"* STATUS {9223372036854775807}\r\n", "* LIST {65537}\r\n",
		"* 1 FETCH (BODY[TEXT] {4294967301}\r\n",
		"* 1 FETCH (RFC822 {65537}\r\n");
}

static void test_a_nul_is_only_fine_within_a_body(void **state)
{
	static const char *const why = "violation: a NUL outside a body\n";
	static const char good[] = "* 1 FETCH (BODY[] {3}\r\n\0a\0)\r\n";
	static const char bad[] = "* LIST \0\r\n";
	static const char status[] = "1 OK \0\r\n";
	static const char quoted[] = "* 1 FETCH (BODY[] \"\0\")\r\n";

	(void)state;
	check_bytes((struct bytes){ good, sizeof(good) - 1 },
		    "fetch 1\nbody 3\n= \\00a\\00\nbody ends\nfetch ends\n", NULL,
		    EXPECT_ALL);
	check_bytes((struct bytes){ bad, sizeof(bad) - 1 }, why, NULL, EXPECT_ALL);
	check_bytes((struct bytes){ status, sizeof(status) - 1 }, why, NULL, EXPECT_ALL);
	check_bytes((struct bytes){ quoted, sizeof(quoted) - 1 }, why, NULL, EXPECT_ALL);
}

static void test_search_is_streamed(void **state)
{
	static const struct example examples[] = {
		{ "* SEARCH\r\n", "search \nsearch ends\n" },
		{ "* search \n", "search \nsearch ends\n" },
		{ "* SEARCH 2 84 4294967295\r\nP1 OK\r\n",
		  "search \nfound 2:2\nfound 84:84\nfound 4294967295:4294967295\n"
		  "search ends\nP1 OK \n" },
		{ "* SEARCH 1  2 \n", "search \nfound 1:1\nfound 2:2\nsearch ends\n" },
		{ "* SEARCH 2 5 (MODSEQ 917162500)\r\n* 1 EXISTS\r\n",
		  "search \nfound 2:2\nfound 5:5\nsearch ends\nexists 1\n" },
		{ "* SEARCH 12", "search \n(within)\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("not within 1 to 2^32-1", "* SEARCH 0\r\n", "* SEARCH 4294967296\r\n",
		"* SEARCH 1 99999999999999999999999\r\n", "* SEARCH 01\r\n");
	REFUSED("SEARCH answer is malformed", "* SEARCH 1,2\r\n", "* SEARCH 1:2\r\n",
		"* SEARCH -1\r\n", "* SEARCH 1\r2\r\n", "* SEARCH {5}\r\n",
		"* SEARCH (FOO 1)\r\n", "* SEARCH (MODSEQ 1\r\n",
		"* SEARCH (MODSEQ 1))\r\n");
}

static void test_esearch_gives_ranges(void **state)
{
	static const struct example examples[] = {
		{ "* ESEARCH (TAG \"P1\") UID ALL 1:3,5,9:7 COUNT 7\r\n",
		  "search P1\nfound 1:3\nfound 5:5\nfound 7:9\nsearch ends\n" },
		{ "* ESEARCH (TAG \"P1\") UID\r\n", "search P1\nsearch ends\n" },
		{ "* ESEARCH (TAG \"P1\")\r\n", "search P1\nsearch ends\n" },
		{ "* ESEARCH\r\n* ESEARCH \r\n",
		  "search \nsearch ends\nsearch \nsearch ends\n" },
		{ "* ESEARCH (tag \"x\") uid MIN 2  MODSEQ 5 X ((a) \"b c\") all 4\r\n",
		  "search x\nfound 4:4\nsearch ends\n" },
		{ "* ESEARCH COUNT 3\r\n", "search \nsearch ends\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("without UID", "* ESEARCH (TAG \"P1\") ALL 1:3\r\n");
	REFUSED("set of UIDs is malformed", "* ESEARCH UID ALL 1:*\r\n",
		"* ESEARCH UID ALL\r\n", "* ESEARCH UID ALL 0\r\n",
		"* ESEARCH UID ALL 1,,2\r\n", "* ESEARCH UID ALL 1,\r\n",
		"* ESEARCH UID ALL 4294967296\r\n");
	REFUSED("ESEARCH answer is malformed", "* ESEARCH (TAG \"P1) UID\r\n",
		"* ESEARCH (X \"P1\") UID\r\n", "* ESEARCH UID COUNT ALL 1:3\r\n");
	REFUSED("a literal where none", "* ESEARCH UID X {5}\r\n");
}

static void test_vanished_gives_ranges(void **state)
{
	static const struct example examples[] = {
		{ "* VANISHED (EARLIER) 41,43:116\r\n* VANISHED 5\r\n* 1 EXISTS\r\n",
		  "vanished earlier 41:41\nvanished earlier 43:116\nvanished 5:5\n"
		  "exists 1\n" },
	};

	(void)state;
	CHECK(examples);
	REFUSED("VANISHED answer is malformed", "* VANISHED\r\n",
		"* VANISHED (EARLIER) \r\n");
	REFUSED("set of UIDs is malformed", "* VANISHED (EARLIER)\r\n",
		"* VANISHED 1 2\r\n", "* VANISHED 0\r\n", "* VANISHED 1,\r\n");
}

static void test_fetch_items_come_in_any_order_and_case(void **state)
{
	static const struct example examples[] = {
		{ "* 1 FETCH (UID 7 RFC822.SIZE 5000000000)\r\n",
		  "fetch 1\nuid 7\nsize 5000000000\nfetch ends\n" },
		{ "* 2 fetch (rfc822.size 0  FLAGS (\\Seen $x) modseq (12) uid "
		  "4294967295 )\n",
		  "fetch 2\nsize 0\nmodseq 12\nuid 4294967295\nfetch ends\n" },
		{ "* 3 FETCH (X-GM-MSGID 1278455344230334865 EMAILID (M6d99ac3275bb4e_-) "
		  "EMAILID NIL)\r\n",
		  "fetch 3\ngm-msgid 1278455344230334865\nemailid M6d99ac3275bb4e_-\n"
		  "emailid \nfetch ends\n" },
		{ "* 4 FETCH (FLAGS ())\r\n", "fetch 4\nfetch ends\n" },
		{ "* 4 FETCH ()\r\n", "fetch 4\nfetch ends\n" },
		{ "* 5 FETCH (INTERNALDATE \"01-Jan-2024 {5} ) \\\"x\" ENVELOPE (NIL "
		  "\"a)b\" "
		  "((\"x\" NIL))) X-FOO bar BODYSTRUCTURE ((\"text\" (\"a\" "
		  "{3}\r\n)\"\r)) "
		  "5) UID 9)\r\n",
		  "fetch 5\nuid 9\nfetch ends\n" },
		{ "* 6 FETCH (BODY[HEADER.FIELDS (X \"Y Z\")] {4}\r\n)(\r\n "
		  "BODY[HEADER.FIELDS ({1}\r\n])]<5> \"x\" BODY (\"text\") UID 9)\r\n",
		  "fetch 6\nuid 9\nfetch ends\n" },
	};

	(void)state;
	CHECK(examples);
}

static void test_bodies_come_as_literal_string_or_nil(void **state)
{
	static const struct example examples[] = {
		{ "* 1 FETCH (UID 3 BODY[] {14}\r\nA: b\r\n\r\n)\r\n* 1 FLAGS "
		  "(\\Seen))\r\n",
		  "fetch 1\nuid 3\nbody 14\n= A: b\\0d\\0a\\0d\\0a)\\0d\\0a* 1\nbody "
		  "ends\n"
		  "fetch ends\n" },
		{ "* 1 FETCH (body[] ~{2}\r\n{} UID 3)\r\n",
		  "fetch 1\nbody 2\n= {}\nbody ends\nuid 3\nfetch ends\n" },
		{ "* 1 FETCH (BODY[]<100> {3}\r\nabc UID 3)\r\n",
		  "fetch 1\nbody 3 from 100\n= abc\nbody ends\nuid 3\nfetch ends\n" },
		{ "* 1 FETCH (BODY[] {0}\r\n)\r\n* 2 FETCH (BODY[] nil UID 1)\r\n",
		  "fetch 1\nbody 0\nbody ends\nfetch ends\n"
		  "fetch 2\nbody 0 nil\nbody ends\nuid 1\nfetch ends\n" },
		{ "* 1 FETCH (BODY[]<7.100> {3}\r\nabc UID 3)\r\n",
		  "fetch 1\nbody 3 from 7\n= abc\nbody ends\nuid 3\nfetch ends\n" },
		{ "* 1 FETCH (BODY[] \"\" BODY[]<0> \"a\\\"b\\\\\")\r\n",
		  "fetch 1\nbody 0\nbody ends\nbody 4 from 0\n= a\"b\\5c\nbody ends\n"
		  "fetch ends\n" },
		{ "* 1 FETCH (BODY[] \"\\\"\\\"\\\\x\" UID 1)\r\n",
		  "fetch 1\nbody 4\n= \"\"\\5cx\nbody ends\nuid 1\nfetch ends\n" },
		{ "* 1 FETCH (BODY[] {9223372036854775807}\r\nabc",
		  "fetch 1\nbody 9223372036854775807\n= abc\n(within)\n" },
		{ "* 1 FETCH (UID 5 BODY[] {5}\r\nab",
		  "fetch 1\nuid 5\nbody 5\n= ab\n(within)\n" },
		{ "* 1 FETCH (BODY[] {2}\r\nab",
		  "fetch 1\nbody 2\n= ab\nbody ends\n(within)\n" },
	};

	(void)state;
	CHECK(examples);
}

static void test_a_malformed_fetch_is_refused(void **state)
{
	(void)state;
	REFUSED("FETCH answer is malformed", "* 0 FETCH (UID 1)\r\n", "* 1 FETCH\r\n",
		"* 1 FETCH UID 1\r\n", "* 1 FETCH (\r\n");
	REFUSED("malformed or out of range", "* 1 FETCH (UID 0)\r\n",
		"* 1 FETCH (UID 4294967296)\r\n", "* 1 FETCH (UID -1)\r\n",
		"* 1 FETCH (UID 007)\r\n", "* 1 FETCH (UID 1x)\r\n",
		"* 1 FETCH (UID)\r\n", "* 1 FETCH (UID 1RFC822.SIZE 5)\r\n",
		"* 1 FETCH (UID 1\r\n",
		"* 1 FETCH (RFC822.SIZE 18446744073709551616)\r\n",
		"* 1 FETCH (MODSEQ 5)\r\n", "* 1 FETCH (EMAILID ())\r\n",
		"* 1 FETCH (EMAILID (a b))\r\n", "* 1 FETCH (EMAILID NILS)\r\n",
		"* 1 FETCH (UID {1}\r\n1)\r\n");
	REFUSED("a body is malformed", "* 1 FETCH (BODY[] {5+}\r\nhello)\r\n",
		"* 1 FETCH (BODY[] {-5}\r\n", "* 1 FETCH (BODY[] { 5}\r\n",
		"* 1 FETCH (BODY[] {5\r\n", "* 1 FETCH (BODY[] {5} \r\n",
		"* 1 FETCH (BODY[] {18446744073709551621}\r\n",
		"* 1 FETCH (BODY[] {05}\r\n", "* 1 FETCH (BODY[] hello)\r\n");
	REFUSED("not followed by an item", "* 1 FETCH (BODY[] NIL\r\n)\r\n",
		"* 1 FETCH (BODY[] NILUID 5)\r\n", "* 1 FETCH (BODY[] \"a\"b)\r\n");
	REFUSED("origin", "* 1 FETCH (BODY[]<x> NIL)\r\n", "* 1 FETCH (BODY[]<5 NIL)\r\n",
		"* 1 FETCH (BODY[]<5.> NIL)\r\n", "* 1 FETCH (BODY[]<.5> NIL)\r\n",
		"* 1 FETCH (BODY[]<5.6 NIL)\r\n");
	REFUSED("no value", "* 1 FETCH (BODY[])\r\n", "* 1 FETCH (BODY[]{5}\r\n");
	REFUSED("not separated", "* 1 FETCH (BODY[] {1}\r\nxUID 5)\r\n",
		"* 1 FETCH (BODY[] {1}\r\nx\r\n");
	REFUSED("no name", "* 1 FETCH ((UID 5))\r\n", "* 1 FETCH (\"UID\" 5)\r\n");
	REFUSED("within its list", "* 1 FETCH (FLAGS (\\Seen)\r\n",
		"* 1 FETCH (UID 5 \r\n", "* 1 FETCH (X-FOO\r\n");
	REFUSED("follows the list", "* 1 FETCH (UID 5) x\r\n", "* 1 FETCH (UID 5))\r\n");
}

static void test_a_violation_is_for_good(void **state)
{
	struct bytes input = bytes_of("junk?\r\n* 1 EXISTS\r\n");
	struct imap_wire_event event;
	struct imap_wire wire;

	(void)state;
	imap_wire_init(&wire, NULL);
	for (int i = 0; i < 3; i++) {
		imap_wire_next(&wire, &input, &event);
		assert_int_equal(event.kind, IMAP_WIRE_VIOLATION);
		assert_string_equal(event.why, "a response begins with no tag");
	}
	assert_false(imap_wire_is_between_responses(&wire));
	imap_wire_release(&wire);
}

static void test_between_responses_means_nothing_is_half_read(void **state)
{
	struct bytes input = bytes_of("* 1 EXISTS\r\n* 2 EX");
	struct imap_wire_event event;
	struct imap_wire wire;

	(void)state;
	imap_wire_init(&wire, NULL);
	assert_true(imap_wire_is_between_responses(&wire));
	imap_wire_next(&wire, &input, &event);
	assert_true(imap_wire_is_between_responses(&wire));
	imap_wire_next(&wire, &input, &event);
	assert_int_equal(event.kind, IMAP_WIRE_NEED_INPUT);
	assert_false(imap_wire_is_between_responses(&wire));
	imap_wire_trim(&wire);
	input = bytes_of("ISTS\r\n");
	imap_wire_next(&wire, &input, &event);
	assert_int_equal(event.kind, IMAP_WIRE_EXISTS);
	assert_int_equal(event.number, 2);
	assert_true(imap_wire_is_between_responses(&wire));
	imap_wire_trim(&wire);
	assert_null(wire.line.data);
	imap_wire_release(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_greetings_are_statuses_with_a_line_of_our_own_for_libetpan),
		cmocka_unit_test(test_a_tag_of_digits_is_relayed_and_another_is_ours),
		cmocka_unit_test(test_codes_carry_their_numbers),
		cmocka_unit_test(test_every_code_has_a_name),
		cmocka_unit_test(test_a_continuation_is_relayed_without_its_text),
		cmocka_unit_test(test_a_select_answer),
		cmocka_unit_test(test_unknown_responses_vanish_with_their_literals),
		cmocka_unit_test(test_a_nul_is_only_fine_within_a_body),
		cmocka_unit_test(test_search_is_streamed),
		cmocka_unit_test(test_esearch_gives_ranges),
		cmocka_unit_test(test_vanished_gives_ranges),
		cmocka_unit_test(test_fetch_items_come_in_any_order_and_case),
		cmocka_unit_test(test_bodies_come_as_literal_string_or_nil),
		cmocka_unit_test(test_a_malformed_fetch_is_refused),
		cmocka_unit_test(test_a_violation_is_for_good),
		cmocka_unit_test(test_between_responses_means_nothing_is_half_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
