#include "proxy/keeper/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const unsigned char key[KEYED_HASH_BYTES] = { 1, 2, 3 };

static void test_a_generated_password_can_be_typed_and_is_long(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct secret one = { 0 };
		struct secret two = { 0 };

		password_generate(false, &one);
		password_generate(false, &two);
		assert_int_equal(one.len, 24);
		assert_int_equal(strspn(one.at, "abcdefghjkmnpqrstuvwxyz23456789-"), 24);
		assert_string_not_equal(one.at, two.at);
		secret_release(&one);
		secret_release(&two);
	}
}

static void test_a_keypad_has_digits_only(void **state)
{
	struct secret one = { 0 };

	(void)state;
	password_generate(true, &one);
	assert_int_equal(one.len, 34);
	assert_int_equal(strspn(one.at, "0123456789-"), 34);
	secret_release(&one);
}

static void test_every_letter_comes_about_as_often(void **state)
{
	unsigned seen[256] = { 0 };
	const unsigned rounds = 3100;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct secret one = { 0 };

		password_generate(false, &one);
		for (size_t j = 0; j < one.len; j++) {
			seen[(unsigned char)one.at[j]]++;
		}
		secret_release(&one);
	}
	for (const char *c = "abcdefghjkmnpqrstuvwxyz23456789"; *c; c++) {
		assert_in_range(seen[(unsigned char)*c], 1700, 2300); // 2000 wanted
	}
}

static void assert_proof(const char *a, const char *account_a, const char *b,
			 const char *account_b, bool same)
{
	unsigned char one[KEYED_HASH_BYTES], two[KEYED_HASH_BYTES];

	password_proof(key, bytes_of(account_a), bytes_of(a), one);
	password_proof(key, bytes_of(account_b), bytes_of(b), two);
	assert_int_equal(memcmp(one, two, sizeof(one)) == 0, same);
}

static void test_case_and_hyphens_do_not_count(void **state)
{
	(void)state;
	assert_proof("k7mf-2xqd", "joe", "K7MF2XQD", "joe", true);
	assert_proof("k7mf-2xqd", "joe", "k7mf 2xqd", "joe", true);
	assert_proof("k7mf-2xqd", "joe", "k7mf-2xqe", "joe", false);
	assert_proof("k7mf-2xqd", "joe", "k7mf-2xqd", "ann", false);
}

static void test_a_chosen_password_fits_its_own_hash_only(void **state)
{
	struct buffer hash, again;

	(void)state;
	buffer_init(&hash, PASSWORD_HASH_MAX);
	buffer_init(&again, PASSWORD_HASH_MAX);
	assert_true(password_hash(bytes_of("correct horse"), &hash));
	assert_true(password_hash(bytes_of("correct horse"), &again));
	assert_memory_equal(hash.data, "$y$", 3);
	assert_false(bytes_equal(buffer_bytes(&hash), buffer_bytes(&again)));
	assert_true(password_fits(bytes_of("correct horse"), buffer_bytes(&hash)));
	assert_false(password_fits(bytes_of("correct horsf"), buffer_bytes(&hash)));
	assert_false(password_fits(bytes_of("Correct horse"), buffer_bytes(&hash)));
	assert_false(password_fits(bytes_of(""), buffer_bytes(&hash)));
	buffer_release(&hash);
	buffer_release(&again);
}

static void test_octets_behind_a_nul_are_not_ignored(void **state)
{
	struct buffer hash;

	(void)state;
	buffer_init(&hash, PASSWORD_HASH_MAX);
	assert_true(password_hash(bytes_of("secret12"), &hash));
	assert_false(
		password_fits((struct bytes){ "secret12\0x", 10 }, buffer_bytes(&hash)));
	assert_false(password_hash((struct bytes){ "secret12\0x", 10 }, &hash));
	buffer_release(&hash);
}

static void test_a_damaged_hash_fits_nothing(void **state)
{
	static const char *const hashes[] = { "", "*0", "*1", "x", "$y$", "$y$j9T$" };

	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++) {
		assert_false(password_fits(bytes_of("secret12"), bytes_of(hashes[i])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_generated_password_can_be_typed_and_is_long),
		cmocka_unit_test(test_a_keypad_has_digits_only),
		cmocka_unit_test(test_every_letter_comes_about_as_often),
		cmocka_unit_test(test_case_and_hyphens_do_not_count),
		cmocka_unit_test(test_a_chosen_password_fits_its_own_hash_only),
		cmocka_unit_test(test_octets_behind_a_nul_are_not_ignored),
		cmocka_unit_test(test_a_damaged_hash_fits_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
