/* Invitations in the store: one for an account, for a time, for one use. */
#include "proxy/keeper/registry.h"

#include "proxy/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S ((uint64_t)1800000000)
#define JOE bytes_of("joe@example.com")

static const unsigned char one[STORE_KEY_BYTES] = { 1 };
static const unsigned char two[STORE_KEY_BYTES] = { 2 };

static struct store *in_memory(void)
{
	struct failure failure;
	struct store *store = store_open(NULL, &failure);

	assert_non_null(store);
	return store;
}

static bool is_for(struct store *store, const unsigned char hash[STORE_KEY_BYTES],
		   struct bytes account, uint64_t now_s)
{
	struct buffer found;
	bool same;

	buffer_init(&found, REGISTRY_TEXT_MAX);
	same = invitation_find(store, hash, now_s, &found) &&
	       bytes_equal(buffer_bytes(&found), account);
	buffer_release(&found);
	return same;
}

static void test_an_invitation_is_good_until_it_is_used(void **state)
{
	struct store *store = in_memory();

	(void)state;
	assert_true(invitation_put(store, JOE, one, NOW_S + 60));
	assert_true(is_for(store, one, JOE, NOW_S));
	assert_true(is_for(store, one, JOE, NOW_S));
	assert_false(is_for(store, two, JOE, NOW_S));
	assert_true(invitation_take(store, one));
	assert_false(invitation_take(store, one));
	assert_false(is_for(store, one, JOE, NOW_S));
	store_close(store);
}

static void test_an_invitation_is_over_with_its_time(void **state)
{
	struct store *store = in_memory();

	(void)state;
	assert_true(invitation_put(store, JOE, one, NOW_S + 60));
	assert_true(is_for(store, one, JOE, NOW_S + 59));
	assert_false(is_for(store, one, JOE, NOW_S + 60));
	store_close(store);
}

static void test_a_new_invitation_ends_the_one_before(void **state)
{
	struct store *store = in_memory();

	(void)state;
	assert_true(invitation_put(store, JOE, one, NOW_S + 60));
	assert_true(invitation_put(store, JOE, two, NOW_S + 60));
	assert_false(is_for(store, one, JOE, NOW_S));
	assert_true(is_for(store, two, JOE, NOW_S));
	store_close(store);
}

static void test_an_invitation_goes_with_its_account(void **state)
{
	struct store *store = in_memory();

	(void)state;
	assert_true(invitation_put(store, JOE, one, NOW_S + 60));
	assert_true(registry_remove(store, JOE));
	assert_false(is_for(store, one, JOE, NOW_S));
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_invitation_is_good_until_it_is_used),
		cmocka_unit_test(test_an_invitation_is_over_with_its_time),
		cmocka_unit_test(test_a_new_invitation_ends_the_one_before),
		cmocka_unit_test(test_an_invitation_goes_with_its_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
