#include "proxy/rt/keyed_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct hash {
	unsigned char octets[KEYED_HASH_BYTES];
};

static struct hash hash(unsigned char key_octet, const char *context, const char *secret)
{
	unsigned char key[KEYED_HASH_BYTES];
	struct hash out;
	memset(key, key_octet, sizeof(key));
	keyed_hash(key, bytes_of(context), bytes_of(secret), out.octets);
	return out;
}

static bool same(struct hash a, struct hash b)
{
	const bool equal = memcmp(a.octets, b.octets, sizeof(a.octets)) == 0;
	assert_int_equal(keyed_hash_equal(a.octets, b.octets), equal);
	return equal;
}

static void test_equal_secrets_have_equal_hashes(void **state)
{
	(void)state;
	assert_true(same(hash(1, "ada", "secret"), hash(1, "ada", "secret")));
	assert_true(same(hash(1, "", ""), hash(1, "", "")));
}

static void test_key_context_and_secret_all_count(void **state)
{
	(void)state;
	assert_false(same(hash(1, "ada", "secret"), hash(2, "ada", "secret")));
	assert_false(same(hash(1, "ada", "secret"), hash(1, "bob", "secret")));
	assert_false(same(hash(1, "ada", "secret"), hash(1, "ada", "Secret")));
}

static void test_context_and_secret_do_not_run_together(void **state)
{
	(void)state;
	assert_false(same(hash(1, "ada", "secret"), hash(1, "adas", "ecret")));
	assert_false(same(hash(1, "ada", ""), hash(1, "", "ada")));
}

static void test_new_keys_differ(void **state)
{
	(void)state;
	unsigned char one[KEYED_HASH_BYTES] = { 0 };
	unsigned char two[KEYED_HASH_BYTES] = { 0 };
	keyed_hash_new_key(one);
	keyed_hash_new_key(two);
	assert_memory_not_equal(one, two, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_secrets_have_equal_hashes),
		cmocka_unit_test(test_key_context_and_secret_all_count),
		cmocka_unit_test(test_context_and_secret_do_not_run_together),
		cmocka_unit_test(test_new_keys_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
