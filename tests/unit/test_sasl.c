#include "protocol/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LITERAL(text) ((struct bytes){ text, sizeof(text) - 1 })

static void accept(enum sasl_mechanism mechanism, struct bytes raw, const char *user,
		   const char *secret)
{
	struct buffer message = { .max = 1000 };
	struct sasl_identity identity;

	assert_true(buffer_append(&message, raw));
	assert_true(sasl_decode(mechanism, &message, &identity));
	assert_true(bytes_equal(identity.user, bytes_of(user)));
	assert_true(bytes_equal(identity.secret, bytes_of(secret)));
	buffer_release(&message);
}

static void refuse(enum sasl_mechanism mechanism, struct bytes raw)
{
	struct buffer message = { .max = 1000 };
	struct sasl_identity identity;

	assert_true(buffer_append(&message, raw));
	assert_false(sasl_decode(mechanism, &message, &identity));
	buffer_release(&message);
}

static void test_mechanism_names_come_in_any_case(void **state)
{
	enum sasl_mechanism mechanism;

	(void)state;
	for (int i = 0; i < SASL_MECHANISMS; i++) {
		const char *name = sasl_mechanism_name((enum sasl_mechanism)i);

		assert_true(sasl_mechanism_parse(bytes_of(name), &mechanism));
		assert_int_equal(mechanism, i);
	}
	assert_true(sasl_mechanism_parse(bytes_of("xoAuth2"), &mechanism));
	assert_int_equal(mechanism, SASL_XOAUTH2);
	assert_false(sasl_mechanism_parse(bytes_of("CRAM-MD5"), &mechanism));
	assert_false(sasl_mechanism_parse(bytes_of(""), &mechanism));
}

static void test_plain_takes_no_foreign_authorization_identity(void **state)
{
	(void)state;
	accept(SASL_PLAIN, LITERAL("\0ann\0 s p "), "ann", " s p ");
	accept(SASL_PLAIN, LITERAL("ann\0ann\0pw"), "ann", "pw");
	refuse(SASL_PLAIN, LITERAL("bob\0ann\0pw"));
	refuse(SASL_PLAIN, LITERAL("an\0ann\0pw"));
}

static void test_malformed_plain_is_refused(void **state)
{
	(void)state;
	refuse(SASL_PLAIN, LITERAL(""));
	refuse(SASL_PLAIN, LITERAL("ann"));
	refuse(SASL_PLAIN, LITERAL("\0ann"));
	refuse(SASL_PLAIN, LITERAL("\0ann\0"));
	refuse(SASL_PLAIN, LITERAL("\0\0pw"));
	refuse(SASL_PLAIN, LITERAL("\0ann\0pw\0"));
	refuse(SASL_PLAIN, LITERAL("\0ann\0p\rw"));
	refuse(SASL_PLAIN, LITERAL("\0ann\0p\nw"));
	refuse(SASL_PLAIN, LITERAL("\0a\nnn\0pw"));
}

static void test_xoauth2_is_taken_in_its_one_form(void **state)
{
	(void)state;
	accept(SASL_XOAUTH2,
	       LITERAL("user=ann@x\1"
		       "auth=Bearer ya29.t\1\1"),
	       "ann@x", "ya29.t");
	refuse(SASL_XOAUTH2, LITERAL("user=\1"
				     "auth=Bearer t\1\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Bearer \1\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Basic t\1\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Bearer t\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Bearer t\1\1\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Bearer t\1x=y\1\1"));
	refuse(SASL_XOAUTH2, LITERAL("auth=Bearer t\1user=ann\1\1"));
	refuse(SASL_XOAUTH2, LITERAL("user=ann\1"
				     "auth=Bearer t\n\1\1"));
}

static void test_oauthbearer_drops_host_and_port(void **state)
{
	(void)state;
	accept(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1auth=Bearer t\1\1"), "ann", "t");
	accept(SASL_OAUTHBEARER,
	       LITERAL("n,a=ann,\1host=pop.x\1port=995\1"
		       "auth=bearer t\1\1"),
	       "ann", "t");
	accept(SASL_OAUTHBEARER, LITERAL("n,a=a=2Cb=3Dc,\1auth=Bearer t=\1\1"), "a,b=c",
	       "t=");
}

static void test_malformed_oauthbearer_is_refused(void **state)
{
	(void)state;
	refuse(SASL_OAUTHBEARER, LITERAL("n,,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,,\1user=ann\1"
					 "auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1user=bob\1"
					 "auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("y,a=ann,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=a=2cb,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=a=0Ab,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann=2,\1auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1host=x\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,auth=Bearer t\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1auth=Bearer t\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1auth=Bearer t\1\1x"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=ann,\1auth=Bearer t\1"
					 "auth=Bearer u\1\1"));
	refuse(SASL_OAUTHBEARER, LITERAL("n,a=an\0n,\1auth=Bearer t\1\1"));
}

static void test_login_has_no_message_of_its_own(void **state)
{
	struct sasl_identity identity = { bytes_of("u"), bytes_of("p") };
	struct buffer out = { .max = 100 };

	(void)state;
	refuse(SASL_LOGIN, LITERAL("\0ann\0pw"));
	assert_false(sasl_encode(SASL_LOGIN, &identity, bytes_of(""), 0, &out));
	buffer_release(&out);
}

static void encode(enum sasl_mechanism mechanism, struct bytes wanted)
{
	struct sasl_identity identity = { bytes_of("a,b=c"), bytes_of("t") };
	struct buffer out = { .max = 100 };

	assert_true(sasl_encode(mechanism, &identity, bytes_of("imap.x"), 993, &out));
	assert_true(bytes_equal(buffer_bytes(&out), wanted));
	buffer_release(&out);
}

static void test_messages_are_encoded_for_the_upstream(void **state)
{
	(void)state;
	encode(SASL_PLAIN, LITERAL("\0a,b=c\0t"));
	encode(SASL_XOAUTH2, LITERAL("user=a,b=c\1"
				     "auth=Bearer t\1\1"));
	encode(SASL_OAUTHBEARER, LITERAL("n,a=a=2Cb=3Dc,\1host=imap.x\1port=993\1"
					 "auth=Bearer t\1\1"));
}

static void test_unsafe_values_are_never_encoded(void **state)
{
	const char octets[] = { '\r', '\n', '\0', '\1' };

	(void)state;
	for (int mechanism = 0; mechanism < SASL_MECHANISMS; mechanism++) {
		for (size_t i = 0; i < sizeof(octets); i++) {
			struct bytes bad = { &octets[i], 1 };
			struct sasl_identity user = { bad, bytes_of("t") };
			struct sasl_identity secret = { bytes_of("u"), bad };
			struct buffer out = { .max = 100 };
			bool safe = octets[i] == '\1' && mechanism == SASL_PLAIN;
			enum sasl_mechanism as = (enum sasl_mechanism)mechanism;

			assert_int_equal(sasl_encode(as, &user, bytes_of("h"), 1, &out),
					 safe);
			assert_int_equal(sasl_encode(as, &secret, bytes_of("h"), 1, &out),
					 safe);
			assert_true(safe || out.len == 0);
			buffer_release(&out);
		}
	}
}

static void test_an_unsafe_host_is_never_encoded(void **state)
{
	struct sasl_identity identity = { bytes_of("u"), bytes_of("t") };
	struct buffer out = { .max = 100 };

	(void)state;
	assert_false(
		sasl_encode(SASL_OAUTHBEARER, &identity, bytes_of("h\1x=y"), 1, &out));
	assert_int_equal(out.len, 0);
	buffer_release(&out);
}

static void test_a_message_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct sasl_identity identity = { bytes_of("user"), bytes_of("token") };

	(void)state;
	for (size_t max = 3; max < 30; max++) {
		struct buffer out = { .max = max };

		assert_true(buffer_append(&out, bytes_of("pre")));
		assert_false(sasl_encode(SASL_OAUTHBEARER, &identity, bytes_of("host"),
					 993, &out));
		assert_int_equal(out.len, 3);
		buffer_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanism_names_come_in_any_case),
		cmocka_unit_test(test_plain_takes_no_foreign_authorization_identity),
		cmocka_unit_test(test_malformed_plain_is_refused),
		cmocka_unit_test(test_xoauth2_is_taken_in_its_one_form),
		cmocka_unit_test(test_oauthbearer_drops_host_and_port),
		cmocka_unit_test(test_malformed_oauthbearer_is_refused),
		cmocka_unit_test(test_login_has_no_message_of_its_own),
		cmocka_unit_test(test_messages_are_encoded_for_the_upstream),
		cmocka_unit_test(test_unsafe_values_are_never_encoded),
		cmocka_unit_test(test_an_unsafe_host_is_never_encoded),
		cmocka_unit_test(test_a_message_that_does_not_fit_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
