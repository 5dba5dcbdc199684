#include "protocol/imap_mailbox_name.h"

#include "tests/unit/imap_mailbox_name_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_pair(const char *name, const char *encoded)
{
	struct buffer out = { .max = 200 };

	if (!imap_mailbox_name_encode(bytes_of(name), &out)) {
		fail_msg("\"%s\" was refused", name);
	}
	if (!bytes_equal(buffer_bytes(&out), bytes_of(encoded))) {
		fail_msg("\"%s\" became \"%.*s\"", name, (int)out.len, out.data);
	}
	buffer_release(&out);
}

static void check_refused(struct bytes name)
{
	struct buffer out = { .max = 200 };

	assert_true(buffer_append(&out, bytes_of("x")));
	assert_false(imap_mailbox_name_encode(name, &out));
	assert_int_equal(out.len, 1);
	buffer_release(&out);
}

static void test_names_of_the_world_become_modified_utf_7(void **state)
{
	static const char *const pairs[][2] = {
		{ "Éléments supprimés", "&AMk-l&AOk-ments supprim&AOk-s" },
		{ "日本語", "&ZeVnLIqe-" },
		{ "~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "Entwürfe", "Entw&APw-rfe" },
		{ "é&日", "&AOk-&-&ZeU-" },
		{ "😀", "&2D3eAA-" },
		{ "a😀b", "a&2D3eAA-b" },
		{ "\xF4\x8F\xBF\xBF", "&2,,f,w-" },
		{ "\xC2\x80", "&AIA-" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		check_pair(pairs[i][0], pairs[i][1]);
	}
}

static void test_an_ampersand_becomes_an_ampersand_and_a_dash(void **state)
{
	static const char *const pairs[][2] = {
		{ "A&B", "A&-B" },
		{ "&", "&-" },
		{ "&&", "&-&-" },
		{ "R&D-Team", "R&-D-Team" },
		{ "AT&T", "AT&-T" },
		{ "Q&A - 2024", "Q&-A - 2024" },
		{ "&AOk", "&-AOk" },
		{ "&AOk-&AOk-", "&-AOk-&-AOk-" },
		{ "&AOl-", "&-AOl-" },
		{ "&AGEA-", "&-AGEA-" },
		{ "&2D0-", "&-2D0-" },
		{ "&3gA-", "&-3gA-" },
		{ "&U/BTFw-", "&-U/BTFw-" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		check_pair(pairs[i][0], pairs[i][1]);
	}
}

static void test_what_is_modified_utf_7_already_stays_as_it_is(void **state)
{
	static const char *const names[] = {
		"",
		"INBOX",
		"Sent Items/2024 \"q\" \\ ~",
		"A&-B",
		"&AMk-l&AOk-ments supprim&AOk-s",
		"&ZeVnLIqe-",
		"&U,BTFw-&-&AOk-",
		"&2D3eAA-",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		check_pair(names[i], names[i]);
	}
}

static void test_in_a_name_beyond_ascii_every_ampersand_is_one(void **state)
{
	(void)state;
	check_pair("é A&-B", "&AOk- A&--B");
	check_pair("é &AOk-", "&AOk- &-AOk-");
}

static void test_malformed_utf_8_and_controls_are_refused(void **state)
{
	static const char *const names[] = {
		"\x80",
		"a\xC3",
		"\xC3z",
		"\xE6\x97",
		"\xF0\x9F\x98",
		"\xC0\xAF",
		"\xC1\xBF",
		"\xE0\x9F\xBF",
		"\xF0\x8F\xBF\xBF",
		"\xED\xA0\x80",
		"\xED\xBF\xBF",
		"\xED\xA0\xBD\xED\xB8\x80",
		"\xF4\x90\x80\x80",
		"\xF7\xBF\xBF\xBF",
		"\xF8\x88\x80\x80\x80",
		"\xFE",
		"\xFF",
		"\xE9t\xE9",
		"a\nb",
		"a\rb",
		"\x7F",
		"\x1F",
		"é\n",
		"a\tb",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		check_refused(bytes_of(names[i]));
	}
	check_refused((struct bytes){ "a\0b", 3 });
}

static void test_a_full_buffer_gets_nothing(void **state)
{
	static const char *const names[] = { "Éa&日本語😀b", "Éa", "INBOX", "A&B", "日" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct buffer out = { .max = 0 };

		while (!imap_mailbox_name_encode(bytes_of(names[i]), &out)) {
			assert_int_equal(out.len, 0);
			out.max++;
		}
		assert_int_equal(out.len, out.max);
		buffer_release(&out);
	}
}

static void test_every_code_point_comes_back(void **state)
{
	struct buffer name = { .max = 8 };

	(void)state;
	for (unsigned long c = 0; c <= 0x110000; c++) {
		buffer_clear(&name);
		reference_put_utf8(&name, 'a' + c % 2);
		reference_put_utf8(&name, c);
		if (!reference_agrees(buffer_bytes(&name))) {
			fail_msg("U+%04lX", c);
		}
	}
	buffer_release(&name);
}

/* Of up to five parts each: every way in which runs, ampersands and dashes can meet. */
static void test_every_small_mixture_agrees_with_the_reference(void **state)
{
	static const char *const parts[] = { "",  "a",   "-",     "&", "é",   "日",
					     "😀", "AOk", "&AOk-", "D", "\xC3" };
	size_t all = 1;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		all *= COUNT(parts);
	}
	struct buffer name = { .max = 100 };
	for (size_t mixture = 0; mixture < all; mixture++) {
		buffer_clear(&name);
		for (size_t i = 0, rest = mixture; i < 5; i++, rest /= COUNT(parts)) {
			buffer_append(&name, bytes_of(parts[rest % COUNT(parts)]));
		}
		if (!reference_agrees(buffer_bytes(&name))) {
			fail_msg("\"%.*s\"", (int)name.len, name.data);
		}
	}
	buffer_release(&name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_the_world_become_modified_utf_7),
		cmocka_unit_test(test_an_ampersand_becomes_an_ampersand_and_a_dash),
		cmocka_unit_test(test_what_is_modified_utf_7_already_stays_as_it_is),
		cmocka_unit_test(test_in_a_name_beyond_ascii_every_ampersand_is_one),
		cmocka_unit_test(test_malformed_utf_8_and_controls_are_refused),
		cmocka_unit_test(test_a_full_buffer_gets_nothing),
		cmocka_unit_test(test_every_code_point_comes_back),
		cmocka_unit_test(test_every_small_mixture_agrees_with_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
