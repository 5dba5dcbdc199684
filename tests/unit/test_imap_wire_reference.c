/* Random well-formed sessions: imap_wire and the naive parser must agree. */
#include "tests/unit/imap_reference.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 3000
#define RESPONSES 25

struct session {
	struct buffer out;
	uint32_t random;
};

static uint32_t pick(struct session *session, uint32_t below)
{
	session->random ^= session->random << 13;
	session->random ^= session->random >> 17;
	session->random ^= session->random << 5;
	return session->random % below;
}

static void say(struct session *session, const char *text)
{
	buffer_append(&session->out, bytes_of(text));
}

/* A keyword in any case. */
static void say_keyword(struct session *session, const char *text)
{
	bool lower = pick(session, 4) == 0;

	for (; *text; text++) {
		char c = lower ? (char)tolower((unsigned char)*text) : *text;

		buffer_append(&session->out, (struct bytes){ &c, 1 });
	}
}

static void say_number(struct session *session, const char *before, const char *after)
{
	static const uint32_t edges[] = { 1, 9, 10, 4294967295U };
	uint32_t number =
		pick(session, 3) ? 1 + pick(session, 100000) : edges[pick(session, 4)];

	buffer_printf(&session->out, "%s%" PRIu32 "%s", before, number, after);
}

static void say_octets(struct session *session, size_t count, bool quoted)
{
	for (size_t i = 0; i < count; i++) {
		static const char special[] = "\r\n\0()\"\\{5} *+]1";
		char c = pick(session, 2) ? special[pick(session, sizeof(special) - 1)]
					  : (char)pick(session, 256);

		if (quoted && (c == '\r' || c == '\n' || c == '\0')) {
			c = 'x';
		}
		if (quoted && (c == '"' || c == '\\')) {
			say(session, "\\");
		}
		buffer_append(&session->out, (struct bytes){ &c, 1 });
	}
}

static void say_string(struct session *session)
{
	size_t count = pick(session, 3) ? pick(session, 30) : 0;

	if (pick(session, 3) == 0) {
		say(session, "\"");
		say_octets(session, count, true);
		say(session, "\"");
		return;
	}
	buffer_printf(&session->out, "%s{%zu}\r\n", pick(session, 4) ? "" : "~", count);
	say_octets(session, count, false);
}

/* A string without NUL outside literals is all a value may be: see say_octets(). */
static void say_value(struct session *session, unsigned depth)
{
	switch (pick(session, depth < 6 ? 5 : 3)) {
	case 0:
		say(session, pick(session, 2) ? "NIL" : "\\Seen");
		break;
	case 1:
		say_number(session, "", "");
		break;
	case 2:
		say_string(session);
		break;
	default:
		say(session, "(");
		for (uint32_t i = pick(session, 4); i > 0; i--) {
			say_value(session, depth + 1);
			say(session, i > 1 ? " " : "");
		}
		say(session, ")");
		break;
	}
}

static void say_body(struct session *session)
{
	say_keyword(session, "BODY[]");
	if (pick(session, 3) == 0) {
		say_number(session, "<", ">");
	}
	say(session, " ");
	if (pick(session, 6) == 0) {
		say_keyword(session, "NIL");
	} else {
		say_string(session);
	}
}

static void say_item(struct session *session)
{
	switch (pick(session, 9)) {
	case 0:
		say_keyword(session, "UID");
		say_number(session, " ", "");
		break;
	case 1:
		say_keyword(session, "RFC822.SIZE");
		say(session, pick(session, 2) ? " 18446744073709551615" : " 0");
		break;
	case 2:
		say_keyword(session, "MODSEQ");
		say_number(session, " (", ")");
		break;
	case 3:
		say(session, "EMAILID (M-6d_9)");
		break;
	case 4:
		say_number(session, "X-GM-MSGID ", "");
		break;
	case 5:
		say_number(session, "BODY[HEADER.FIELDS (Subject \"X\")]<", "> ");
		say_string(session);
		break;
	case 6:
		say(session, pick(session, 2) ? "FLAGS " : "BODYSTRUCTURE ");
		say_value(session, 0);
		break;
	default:
		say_body(session);
		break;
	}
}

static void say_fetch(struct session *session)
{
	say_number(session, "* ", " ");
	say_keyword(session, "FETCH");
	say(session, " (");
	for (uint32_t i = pick(session, 6); i > 0; i--) {
		say_item(session);
		say(session, i > 1 ? " " : "");
	}
	say(session, ")\r\n");
}

static void say_set(struct session *session)
{
	for (uint32_t i = 1 + pick(session, 5); i > 0; i--) {
		say_number(session, "", pick(session, 2) ? ":" : "");
		if (session->out.data[session->out.len - 1] == ':') {
			say_number(session, "", "");
		}
		say(session, i > 1 ? "," : "");
	}
}

static void say_found(struct session *session)
{
	switch (pick(session, 4)) {
	case 0:
		say(session, "* SEARCH");
		for (uint32_t i = pick(session, 8); i > 0; i--) {
			say_number(session, " ", "");
		}
		say(session, pick(session, 3) ? "" : " (MODSEQ 7)");
		break;
	case 1:
		say(session, pick(session, 2) ? "* ESEARCH (TAG \"P1\") UID"
					      : "* ESEARCH UID MIN 3");
		if (pick(session, 3)) {
			say(session, " ALL ");
			say_set(session);
		}
		say(session, pick(session, 2) ? "" : " COUNT 4");
		break;
	default:
		say(session, pick(session, 2) ? "* VANISHED " : "* VANISHED (EARLIER) ");
		say_set(session);
		break;
	}
	say(session, "\r\n");
}

static void say_response(struct session *session)
{
	static const char *const lines[] = {
		"* OK [ALERT] x {5}\r\n",
		"* OK [UIDVALIDITY 4294967295] UIDs (valid\r\n",
		"* NO \"\r\n",
		"* BAD what\r\n",
		"* BYE bye\r\n",
		"* CAPABILITY IMAP4rev1 UIDPLUS\r\n",
		"* 7 EXISTS\r\n",
		"* 4294967295 EXPUNGE\r\n",
		"* 0 RECENT\r\n",
		"+ \r\n",
		"+ b2s=\r\n",
		"12 OK [UIDNEXT 9] done\r\n",
		"P4 NO [ALERT] not done\r\n",
		"9 BAD  {0}\r\n",
	};

	switch (pick(session, 5)) {
	case 0:
		say(session, lines[pick(session, sizeof(lines) / sizeof(lines[0]))]);
		break;
	case 1:
		say_found(session);
		break;
	case 2:
		say(session, pick(session, 2) ? "* LIST " : "* X-FOO ");
		say_value(session, 0);
		say(session, " ");
		say_value(session, 0);
		say(session, "\r\n");
		break;
	default:
		say_fetch(session);
		break;
	}
}

static size_t random_chunk(void *context)
{
	struct session *session = context;

	return pick(session, 4) ? 1 + pick(session, 9) : 1 + pick(session, 300);
}

static void compare(uint32_t seed)
{
	struct session session = { .random = seed, .out = { .max = SIZE_MAX / 4 } };
	struct reference reference = { .out = { .max = SIZE_MAX / 4 } };
	struct transcript transcript;
	struct bytes whole;

	for (int i = 0; i < RESPONSES; i++) {
		say_response(&session);
	}
	whole = buffer_bytes(&session.out);
	buffer_append(&session.out, (struct bytes){ "", 1 });
	whole.at = session.out.data;
	reference.at = whole.at;
	reference_parse(&reference, whole.at + whole.len);
	assert_ptr_equal(reference.at, whole.at + whole.len);
	buffer_append(&reference.out, (struct bytes){ "", 1 });
	transcript_of(&transcript, whole, NULL,
		      IMAP_WIRE_EXPECT_FETCH | IMAP_WIRE_EXPECT_SEARCH, random_chunk,
		      &session);
	if (strcmp(transcript.out.data, reference.out.data) != 0) {
		fail_msg("seed %" PRIu32 ": %.*s\nwire\n%sreference\n%s", seed,
			 (int)whole.len, whole.at, transcript.out.data,
			 reference.out.data);
	}
	buffer_release(&transcript.out);
	buffer_release(&reference.out);
	buffer_release(&session.out);
}

static void test_the_wire_agrees_with_the_naive_parser(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SESSIONS; seed++) {
		compare(seed * 2654435761U);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_wire_agrees_with_the_naive_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
