#include "protocol/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_the_vectors_of_rfc_4648_go_both_ways(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct buffer out = { .max = 100 };

		assert_true(base64_encode(bytes_of(pairs[i][0]), &out));
		assert_true(bytes_equal(buffer_bytes(&out), bytes_of(pairs[i][1])));
		buffer_clear(&out);
		assert_true(base64_decode(bytes_of(pairs[i][1]), &out));
		assert_true(bytes_equal(buffer_bytes(&out), bytes_of(pairs[i][0])));
		buffer_release(&out);
	}
}

static void test_every_octet_value_survives(void **state)
{
	struct buffer encoded = { .max = 1000 }, decoded = { .max = 1000 };
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++) {
		all[i] = (char)i;
	}
	for (size_t len = 0; len <= sizeof(all); len++) {
		struct bytes raw = { all + sizeof(all) - len, len };

		buffer_clear(&encoded);
		buffer_clear(&decoded);
		assert_true(base64_encode(raw, &encoded));
		assert_true(base64_decode(buffer_bytes(&encoded), &decoded));
		assert_true(bytes_equal(buffer_bytes(&decoded), raw));
	}
	buffer_release(&encoded);
	buffer_release(&decoded);
}

static void test_what_is_not_strict_is_refused_and_appends_nothing(void **state)
{
	const char *bad[] = { "Z",    "Zg",       "Zg=",     "Zm8",   "=",
			      "==",   "====",     "Z===",    "Zh==",  "Zm9=",
			      "Zg=g", "Zg==Zg==", "Zm9v\n",  " Zm9v", "Zm 9",
			      "Zm9-", "Zm9_",     "Zm9\x80", "Zg== ", NULL };

	(void)state;
	for (size_t i = 0; bad[i]; i++) {
		struct buffer out = { .max = 100 };

		assert_true(buffer_append(&out, bytes_of("kept")));
		assert_false(base64_decode(bytes_of(bad[i]), &out));
		assert_true(bytes_equal(buffer_bytes(&out), bytes_of("kept")));
		buffer_release(&out);
	}
}

static void test_a_nul_is_no_digit(void **state)
{
	struct buffer out = { .max = 100 };

	(void)state;
	assert_false(base64_decode((struct bytes){ "Zm\0v", 4 }, &out));
	buffer_release(&out);
}

static void test_a_full_buffer_is_an_answer(void **state)
{
	struct buffer out = { .max = 3 };

	(void)state;
	assert_false(base64_encode(bytes_of("f"), &out));
	assert_true(base64_decode(bytes_of("Zm9v"), &out));
	assert_false(base64_decode(bytes_of("Zg=="), &out));
	assert_int_equal(out.len, 3);
	buffer_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_vectors_of_rfc_4648_go_both_ways),
		cmocka_unit_test(test_every_octet_value_survives),
		cmocka_unit_test(test_what_is_not_strict_is_refused_and_appends_nothing),
		cmocka_unit_test(test_a_nul_is_no_digit),
		cmocka_unit_test(test_a_full_buffer_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
