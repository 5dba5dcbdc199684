#include "protocol/pop3_unique_id.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct pop3_unique_id_values values = {
	.imap_uid = 255,
	.uidvalidity = 1700000000,
	.gm_msgid = 0x123456789ABCDEF0,
	.emailid = { "M_a-1", 5 },
};

static struct pop3_unique_id_template parse(const char *text, bool uid_only)
{
	struct pop3_unique_id_template template;
	const char *why = NULL;

	assert_true(pop3_unique_id_parse(bytes_of(text), uid_only, &template, &why));
	return template;
}

static void expect(const char *text, const char *wanted)
{
	struct pop3_unique_id_template template = parse(text, false);
	char out[POP3_UNIQUE_ID_MAX];
	struct bytes got = { out, pop3_unique_id_format(&template, &values, out) };

	assert_true(bytes_equal(got, bytes_of(wanted)));
}

static void refuse(const char *text, const char *because)
{
	struct pop3_unique_id_template template;
	const char *why = "";

	assert_false(pop3_unique_id_parse(bytes_of(text), false, &template, &why));
	assert_non_null(strstr(why, because));
}

static void test_the_default_is_dovecots(void **state)
{
	(void)state;
	expect(POP3_UNIQUE_ID_DEFAULT, "000000ff6553f100");
}

static void test_hex_decimal_width_and_case_are_chosen(void **state)
{
	(void)state;
	expect("{uid:08X}{uidvalidity:08x}", "000000FF6553f100");
	expect("{uidvalidity:010d}{uid:010d}", "17000000000000000255");
	expect("{uidvalidity}.{uid}", "1700000000.255");
	expect("{uid:x}-{uidvalidity:d}", "ff-1700000000");
	expect("u{uid:04d}v{uidvalidity:x}", "u0255v6553f100");
}

static void test_stable_ids_suffice_alone(void **state)
{
	(void)state;
	expect("{gm-msgid}", "1311768467463790320");
	expect("GmailId{gm-msgid:x}", "GmailId123456789abcdef0");
	expect("{emailid}", "M_a-1");
	expect("e:{emailid}", "e:M_a-1");
	expect("{uid:08x}{emailid}", "000000ffM_a-1");
}

static void test_uid_alone_needs_permission(void **state)
{
	struct pop3_unique_id_template template = parse("{uid}", true);
	char out[POP3_UNIQUE_ID_MAX];

	(void)state;
	assert_int_equal(pop3_unique_id_format(&template, &values, out), 3);
	assert_memory_equal(out, "255", 3);
	refuse("{uid}", "uid-only");
	refuse("{uid:08x}", "uid-only");
}

static void test_a_template_that_tells_no_messages_apart_is_refused(void **state)
{
	(void)state;
	refuse("", "empty");
	refuse("x", "apart");
	refuse("{uidvalidity}", "apart");
}

static void test_values_that_run_into_each_other_are_refused(void **state)
{
	const char *bad[] = { "{uid}{uidvalidity}",
			      "{uid:07x}{uidvalidity:07x}",
			      "{uid:09d}{uidvalidity:09d}",
			      "{uid}0{uidvalidity}",
			      "{uid:x}a{uidvalidity:x}",
			      "{uid:x}A{uidvalidity:x}",
			      "{emailid}{uid}",
			      "{emailid}{emailid}",
			      NULL };

	(void)state;
	for (size_t i = 0; bad[i]; i++) {
		refuse(bad[i], "run into each other");
	}
}

static void test_values_that_can_be_told_apart_are_taken(void **state)
{
	const char *good[] = { "{uid:08x}{uidvalidity}",
			       "{uid}{uidvalidity:08x}",
			       "{uid:x}.{uidvalidity:x}",
			       "{uid}a{uidvalidity}",
			       "{uid}-0{uidvalidity}",
			       "{uid}0-{uidvalidity}",
			       "{uid}.{gm-msgid}.{uidvalidity:x}",
			       "{emailid}{uid:08x}",
			       "{uidvalidity}.{emailid}.{uid:010d}",
			       "{emailid}-{uid}-{uidvalidity:x}",
			       NULL };

	(void)state;
	for (size_t i = 0; good[i]; i++) {
		struct pop3_unique_id_template template = parse(good[i], false);

		assert_true(pop3_unique_id_uses(&template, POP3_UNIQUE_ID_UID));
	}
}

static void test_malformed_templates_are_refused_with_a_reason(void **state)
{
	(void)state;
	refuse("{uid", "lacks its '}'");
	refuse("uid}", "lacks its '{'");
	refuse("{{uid}}", "unknown name");
	refuse("{}", "unknown name");
	refuse("{UID}", "unknown name");
	refuse("{guid}", "unknown name");
	refuse("{uid:}", "what follows ':'");
	refuse("{uid:08}", "what follows ':'");
	refuse("{uid:08xx}", "what follows ':'");
	refuse("{uid:s}", "what follows ':'");
	refuse("{uid:8x}", "must begin with 0");
	refuse("{uid:0x}", "must begin with 0");
	refuse("{uid:071d}", "too large");
	refuse("{uid:099999999999x}", "too large");
	refuse("{emailid:x}", "takes no format");
	refuse("{uid:08x} {uidvalidity:08x}", "printable");
	refuse("{uid}\t{uidvalidity}", "printable");
	refuse("{uid}\xc3\xa4{uidvalidity}", "printable");
	refuse("a{uid:08x}b{uid:08x}c{uid:08x}d{uid:08x}e", "too many parts");
}

static void test_no_value_may_make_it_longer_than_70(void **state)
{
	(void)state;
	assert_int_equal(parse("{uid:060d}{uidvalidity:010d}", false).count, 2);
	refuse("{uid:061d}{uidvalidity:010d}", "more than 70");
	refuse("{uid:070d}.{uidvalidity}", "more than 70");
	refuse("1234567890123456789012345678901234567890123456789012345678901{gm-msgid}",
	       "more than 70");
	refuse("1234567890123456789012345678901234567890123456789012345678901234567890123"
	       "45678901"
	       "234567890123456789012345678901234567890123456789012345678901234567890",
	       "longer than 140");
}

static void test_missing_values_make_no_unique_id(void **state)
{
	struct pop3_unique_id_template uid = parse(POP3_UNIQUE_ID_DEFAULT, false);
	struct pop3_unique_id_template gmail = parse("{gm-msgid}", false);
	struct pop3_unique_id_template emailid = parse("{emailid}", false);
	struct pop3_unique_id_values none = { .imap_uid = 1 };
	char out[POP3_UNIQUE_ID_MAX];

	(void)state;
	assert_int_equal(pop3_unique_id_format(&uid, &none, out), 0);
	assert_int_equal(pop3_unique_id_format(&gmail, &none, out), 0);
	assert_int_equal(pop3_unique_id_format(&emailid, &none, out), 0);
}

static void test_an_unfit_emailid_makes_no_unique_id(void **state)
{
	struct pop3_unique_id_template template = parse("{emailid}.", false);
	struct pop3_unique_id_values some = { 0 };
	char text[POP3_UNIQUE_ID_MAX], out[POP3_UNIQUE_ID_MAX];

	(void)state;
	memset(text, 'M', sizeof(text));
	some.emailid = (struct bytes){ text, sizeof(text) - 1 };
	assert_int_equal(pop3_unique_id_format(&template, &some, out), 70);
	some.emailid.len++;
	assert_int_equal(pop3_unique_id_format(&template, &some, out), 0);
	some.emailid = bytes_of("M 1");
	assert_int_equal(pop3_unique_id_format(&template, &some, out), 0);
	some.emailid = bytes_of("M\x80");
	assert_int_equal(pop3_unique_id_format(&template, &some, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_default_is_dovecots),
		cmocka_unit_test(test_hex_decimal_width_and_case_are_chosen),
		cmocka_unit_test(test_stable_ids_suffice_alone),
		cmocka_unit_test(test_uid_alone_needs_permission),
		cmocka_unit_test(test_a_template_that_tells_no_messages_apart_is_refused),
		cmocka_unit_test(test_values_that_run_into_each_other_are_refused),
		cmocka_unit_test(test_values_that_can_be_told_apart_are_taken),
		cmocka_unit_test(test_malformed_templates_are_refused_with_a_reason),
		cmocka_unit_test(test_no_value_may_make_it_longer_than_70),
		cmocka_unit_test(test_missing_values_make_no_unique_id),
		cmocka_unit_test(test_an_unfit_emailid_makes_no_unique_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
