#include "protocol/pop3_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct pop3_command parse(const char *line, enum pop3_state in)
{
	struct pop3_command cmd = { 0 };

	assert_int_equal(pop3_command_parse(bytes_of(line), in, &cmd), POP3_PARSE_OK);
	return cmd;
}

static void refuse(const char *line, enum pop3_state in, enum pop3_parse wanted)
{
	struct pop3_command cmd = { .msgno = 42 };

	assert_int_equal(pop3_command_parse(bytes_of(line), in, &cmd), wanted);
	assert_int_equal(cmd.msgno, 42);
}

static void test_verbs_come_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(parse("QUIT", POP3_TRANSACTION).verb, POP3_QUIT);
	assert_int_equal(parse("quit", POP3_AUTHORIZATION).verb, POP3_QUIT);
	assert_int_equal(parse("rEtR 3", POP3_TRANSACTION).msgno, 3);
}

static void test_every_verb_is_legal_in_its_states_only(void **state)
{
	static const struct {
		const char *line;
		unsigned states;
	} rows[] = {
		{ "APOP a b", POP3_AUTHORIZATION },
		{ "AUTH", POP3_AUTHORIZATION },
		{ "CAPA", POP3_AUTHORIZATION | POP3_TRANSACTION },
		{ "DELE 1", POP3_TRANSACTION },
		{ "LIST", POP3_TRANSACTION },
		{ "NOOP", POP3_TRANSACTION },
		{ "PASS x", POP3_AUTHORIZATION },
		{ "QUIT", POP3_AUTHORIZATION | POP3_TRANSACTION },
		{ "RETR 1", POP3_TRANSACTION },
		{ "RSET", POP3_TRANSACTION },
		{ "STAT", POP3_TRANSACTION },
		{ "STLS", POP3_AUTHORIZATION },
		{ "TOP 1 1", POP3_TRANSACTION },
		{ "UIDL", POP3_TRANSACTION },
		{ "USER x", POP3_AUTHORIZATION },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned in = POP3_AUTHORIZATION; in <= POP3_TRANSACTION; in <<= 1) {
			if (rows[i].states & in) {
				assert_int_equal(
					parse(rows[i].line, (enum pop3_state)in).verb, i);
			} else {
				refuse(rows[i].line, (enum pop3_state)in,
				       POP3_PARSE_WRONG_STATE);
			}
		}
		assert_true(bytes_has_prefix(bytes_of(rows[i].line),
					     pop3_verb_name((enum pop3_verb)i)));
	}
}

static void test_other_words_are_unknown(void **state)
{
	const char *lines[] = { "",      " ",   " QUIT",    "LAST",           "XTND XMIT",
				"QUITX", "QUI", "QUIT\x80", "GET / HTTP/1.0", NULL };

	(void)state;
	for (size_t i = 0; lines[i]; i++) {
		refuse(lines[i], POP3_TRANSACTION, POP3_PARSE_UNKNOWN);
	}
}

static void test_a_password_keeps_its_spaces(void **state)
{
	(void)state;
	assert_true(bytes_equal(parse("PASS  a  b ", POP3_AUTHORIZATION).text,
				bytes_of(" a  b ")));
	assert_true(bytes_equal(parse("pass  ", POP3_AUTHORIZATION).text, bytes_of(" ")));
}

static void test_an_empty_user_or_password_is_refused(void **state)
{
	(void)state;
	refuse("PASS", POP3_AUTHORIZATION, POP3_PARSE_BAD_ARGUMENT);
	refuse("PASS ", POP3_AUTHORIZATION, POP3_PARSE_BAD_ARGUMENT);
	refuse("USER", POP3_AUTHORIZATION, POP3_PARSE_BAD_ARGUMENT);
	refuse("APOP ", POP3_AUTHORIZATION, POP3_PARSE_BAD_ARGUMENT);
}

static void test_auth_may_come_bare(void **state)
{
	(void)state;
	assert_int_equal(parse("AUTH", POP3_AUTHORIZATION).text.len, 0);
	assert_int_equal(parse("AUTH ", POP3_AUTHORIZATION).text.len, 0);
	assert_true(bytes_equal(parse("AUTH PLAIN =", POP3_AUTHORIZATION).text,
				bytes_of("PLAIN =")));
}

static void test_trailing_spaces_are_tolerated(void **state)
{
	(void)state;
	assert_int_equal(parse("QUIT ", POP3_TRANSACTION).verb, POP3_QUIT);
	assert_int_equal(parse("LIST  ", POP3_TRANSACTION).msgno, 0);
	assert_int_equal(parse("LIST 1 ", POP3_TRANSACTION).msgno, 1);
	assert_int_equal(parse("TOP 1 20  ", POP3_TRANSACTION).lines, 20);
}

static void test_more_than_one_space_between_words_is_refused(void **state)
{
	(void)state;
	refuse("LIST  1", POP3_TRANSACTION, POP3_PARSE_BAD_ARGUMENT);
	refuse("TOP 1  1", POP3_TRANSACTION, POP3_PARSE_BAD_ARGUMENT);
	refuse("TOP  1 1", POP3_TRANSACTION, POP3_PARSE_BAD_ARGUMENT);
}

static void test_numbers_are_plain_or_refused(void **state)
{
	const char *lines[] = { "RETR",
				"RETR 0",
				"RETR +1",
				"RETR -1",
				"RETR 01",
				"RETR 0x1",
				"RETR 1a",
				"RETR 4294967296",
				"DELE 18446744073709551617",
				"LIST x",
				"UIDL 0",
				"TOP 1",
				"TOP 1 -1",
				"TOP 1 4294967296",
				"TOP 0 1",
				"RETR 1\t",
				NULL };

	(void)state;
	for (size_t i = 0; lines[i]; i++) {
		refuse(lines[i], POP3_TRANSACTION, POP3_PARSE_BAD_ARGUMENT);
	}
	assert_int_equal(parse("RETR 4294967295", POP3_TRANSACTION).msgno, UINT32_MAX);
}

static void test_superfluous_arguments_are_refused(void **state)
{
	const char *lines[] = { "QUIT now", "STAT 1",    "RETR 1 2",
				"LIST 1 2", "TOP 1 2 3", NULL };

	(void)state;
	for (size_t i = 0; lines[i]; i++) {
		refuse(lines[i], POP3_TRANSACTION, POP3_PARSE_BAD_ARGUMENT);
	}
}

static void test_top_takes_zero_lines(void **state)
{
	struct pop3_command cmd = parse("TOP 7 0", POP3_TRANSACTION);

	(void)state;
	assert_int_equal(cmd.msgno, 7);
	assert_int_equal(cmd.lines, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs_come_in_any_case),
		cmocka_unit_test(test_every_verb_is_legal_in_its_states_only),
		cmocka_unit_test(test_other_words_are_unknown),
		cmocka_unit_test(test_a_password_keeps_its_spaces),
		cmocka_unit_test(test_an_empty_user_or_password_is_refused),
		cmocka_unit_test(test_auth_may_come_bare),
		cmocka_unit_test(test_trailing_spaces_are_tolerated),
		cmocka_unit_test(test_more_than_one_space_between_words_is_refused),
		cmocka_unit_test(test_numbers_are_plain_or_refused),
		cmocka_unit_test(test_superfluous_arguments_are_refused),
		cmocka_unit_test(test_top_takes_zero_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
