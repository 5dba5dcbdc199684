#include "proxy/keeper/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000U
#define MINUTE (60 * SECOND)
#define LONG_AGO (1000 * MINUTE) // the clock begins anywhere

static const unsigned char key[THROTTLE_KEY_BYTES] = { 1, 2, 3 };
static struct throttle *throttle;
static uint64_t now_ms;

static int setup(void **state)
{
	(void)state;
	throttle = throttle_new(2 * SECOND, 15 * SECOND, 65536, key);
	now_ms = LONG_AGO;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	throttle_free(throttle);
	return 0;
}

static void ipv4(uint32_t number, unsigned char out[KEEPER_ADDRESS_BYTES])
{
	memset(out, 0, KEEPER_ADDRESS_BYTES);
	out[10] = out[11] = 0xff;
	for (int i = 0; i < 4; i++) {
		out[12 + i] = (unsigned char)(number >> (24 - 8 * i));
	}
}

/* 2001:db8:site:subnet::host */
static void ipv6(uint16_t site, uint16_t subnet, uint16_t host,
		 unsigned char out[KEEPER_ADDRESS_BYTES])
{
	const unsigned char address[KEEPER_ADDRESS_BYTES] = {
		0x20,
		0x01,
		0x0d,
		0xb8,
		(unsigned char)(site >> 8),
		(unsigned char)site,
		(unsigned char)(subnet >> 8),
		(unsigned char)subnet,
		[14] = (unsigned char)(host >> 8),
		[15] = (unsigned char)host,
	};
	memcpy(out, address, sizeof(address));
}

static unsigned char attacker[KEEPER_ADDRESS_BYTES], elsewhere[KEEPER_ADDRESS_BYTES];

static struct throttle_try try_of(const unsigned char *address, const char *account,
				  uint64_t hash)
{
	return (struct throttle_try){ .address = address,
				      .account = bytes_of(account),
				      .hash = hash };
}

/* Asks, and tells at once how it ended where it was allowed. */
static uint32_t attempt(const struct throttle_try *try, enum keeper_outcome outcome)
{
	struct throttle_charge charge;
	uint32_t wait = throttle_ask(throttle, try, now_ms, &charge);
	if (wait != THROTTLE_REFUSE) {
		throttle_tell(throttle, try, &charge, outcome, now_ms);
	}
	return wait;
}

/*
 * `count` wrong guesses spread evenly over a minute; guess i comes from address(i). How
 * many of them start upstream within that minute.
 */
static unsigned guess(unsigned count, void (*address)(unsigned i, unsigned char *out),
		      const char *(*account)(unsigned i), bool at_once)
{
	const uint64_t start_ms = now_ms;
	unsigned upstream = 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned char from[KEEPER_ADDRESS_BYTES];
		address(i, from);
		struct throttle_try try = try_of(from, account(i), 1000 + i);
		now_ms = at_once ? start_ms : start_ms + (uint64_t)i * MINUTE / count;
		uint32_t wait = attempt(&try, KEEPER_WRONG);
		upstream += wait != THROTTLE_REFUSE && now_ms + wait < start_ms + MINUTE;
	}
	now_ms = start_ms + MINUTE;
	return upstream;
}

static void one_address(unsigned i, unsigned char *out)
{
	(void)i;
	memcpy(out, attacker, KEEPER_ADDRESS_BYTES);
}

static void one_64(unsigned i, unsigned char *out)
{
	ipv6(1, 1, (uint16_t)i, out);
}

static void one_48(unsigned i, unsigned char *out)
{
	ipv6(1, (uint16_t)i, 1, out);
}

static void many_addresses(unsigned i, unsigned char *out)
{
	ipv4(0x0b000000 + i, out);
}

static const char *ada(unsigned i)
{
	(void)i;
	return "ada";
}

static const char *anybody(unsigned i)
{
	static char name[16];
	snprintf(name, sizeof(name), "user%u", i);
	return name;
}

static void assert_owner_gets_in_from(const unsigned char *address, bool known)
{
	struct throttle_try owner = try_of(address, "ada", 7);
	owner.known = known;
	assert_int_equal(attempt(&owner, KEEPER_RIGHT), 0);
}

static void test_1000_guesses_in_a_minute_are_few_upstream(void **state)
{
	(void)state;
	unsigned upstream = guess(1000, one_address, ada, false);
	assert_in_range(upstream, 3, 20);
	assert_owner_gets_in_from(elsewhere, false);
	assert_owner_gets_in_from(elsewhere, true);
	assert_in_range(guess(1000, one_address, ada, false), 1, 20); // and the next
	assert_owner_gets_in_from(elsewhere, false);
}

/* A name's letters in any case: 16 spellings of "alma", all the same account. */
static const char *alma_spelt_anyhow(unsigned i)
{
	static char name[8];
	snprintf(name, sizeof(name), "%c%c%c%c", i & 1 ? 'A' : 'a', i & 2 ? 'L' : 'l',
		 i & 4 ? 'M' : 'm', i & 8 ? 'A' : 'a');
	return name;
}

static void test_another_spelling_of_a_name_is_no_other_account(void **state)
{
	unsigned allowed = 0;
	(void)state;
	for (unsigned i = 0; i < 64; i++) { // at once, from behind a shared address
		struct throttle_try try =
			try_of(attacker, alma_spelt_anyhow(i), 1000 + i);
		try.shared = true;
		allowed += attempt(&try, KEEPER_WRONG) != THROTTLE_REFUSE;
	}
	assert_in_range(allowed, 1, 6);
}

static void test_slow_guesses_do_not_hold_up_the_owner_elsewhere(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 600; i++) { // ten minutes
		struct throttle_try try = try_of(attacker, "ada", 1000 + i);
		attempt(&try, KEEPER_WRONG);
		assert_owner_gets_in_from(elsewhere, false);
		now_ms += SECOND;
	}
}

static void test_1000_guesses_at_once_are_no_better(void **state)
{
	(void)state;
	assert_in_range(guess(1000, one_address, ada, true), 3, 20);
	assert_owner_gets_in_from(elsewhere, false);
}

static void test_an_ipv6_network_of_64_or_48_bits_is_one_block(void **state)
{
	(void)state;
	assert_in_range(guess(1000, one_64, ada, false), 3, 20);
	assert_owner_gets_in_from(elsewhere, false);
	now_ms += 100 * MINUTE;
	assert_in_range(guess(1000, one_48, ada, false), 3, 20);
	assert_owner_gets_in_from(elsewhere, false);
}

static void test_one_address_that_tries_many_accounts_is_slowed(void **state)
{
	(void)state;
	assert_in_range(guess(1000, one_address, anybody, false), 3, 20);
	now_ms += 100 * MINUTE;
	assert_in_range(guess(1000, one_64, anybody, false), 3, 20);
	now_ms += 100 * MINUTE;
	assert_in_range(guess(1000, one_48, anybody, false), 3, 40);
}

static void test_many_addresses_that_try_one_account_are_slowed(void **state)
{
	(void)state;
	assert_in_range(guess(1000, many_addresses, ada, false), 3, 20);
	assert_owner_gets_in_from(elsewhere, true); // where he was before
}

static void test_delays_grow_from_2_to_15_seconds(void **state)
{
	(void)state;
	uint32_t last = 0;
	bool waited = false;
	for (uint64_t i = 0; i < 12; i++) {
		struct throttle_try try = try_of(attacker, "ada", 100 + i);
		uint32_t wait = attempt(&try, KEEPER_WRONG);
		assert_in_range(wait, last, 15 * SECOND);
		if (!waited && wait > 0) {
			assert_int_equal(wait, 2 * SECOND);
			waited = true;
		}
		last = wait;
		now_ms += wait;
	}
	assert_true(waited);
	struct throttle_try try = try_of(attacker, "ada", 999);
	assert_int_equal(attempt(&try, KEEPER_WRONG), 15 * SECOND);
}

static void test_the_same_wrong_password_is_not_counted_again(void **state)
{
	(void)state;
	struct throttle_try scanner = try_of(attacker, "ada", 5);
	for (int i = 0; i < 200; i++) { // every 10 s for half an hour
		uint32_t wait = attempt(&scanner, KEEPER_WRONG);
		assert_in_range(wait, 0, 2 * SECOND);
		now_ms += 10 * SECOND;
	}
	struct throttle_try colleague = try_of(attacker, "bob", 6);
	assert_int_equal(attempt(&colleague, KEEPER_RIGHT), 0);
	struct throttle_try mended = try_of(attacker, "ada", 7);
	assert_int_equal(attempt(&mended, KEEPER_RIGHT), 0);
}

static void test_the_same_wrong_password_does_not_flood_upstream(void **state)
{
	(void)state;
	unsigned upstream = 0;
	const uint64_t end_ms = now_ms + MINUTE;
	for (; now_ms < end_ms; now_ms += 60) {
		struct throttle_try scanner = try_of(attacker, "ada", 5);
		uint32_t wait = attempt(&scanner, KEEPER_WRONG);
		upstream += wait != THROTTLE_REFUSE && now_ms + wait < end_ms;
	}
	assert_in_range(upstream, 3, 40);
}

static void test_failures_are_forgotten_with_time(void **state)
{
	(void)state;
	guess(1000, one_address, ada, false);
	struct throttle_try owner = try_of(attacker, "ada", 7);
	assert_int_not_equal(attempt(&owner, KEEPER_NO_ANSWER), 0);
	now_ms += 20 * MINUTE;
	assert_int_equal(attempt(&owner, KEEPER_RIGHT), 0);
}

static void test_what_is_erased_did_not_happen(void **state)
{
	(void)state;
	struct throttle_try try = try_of(attacker, "ada", 7);
	struct throttle_try other = try_of(attacker, "bob", 7);

	try.shared = other.shared = true; // only the pair counts
	for (unsigned i = 0; i < 20; i++) {
		try.hash = other.hash = i;
		attempt(&try, KEEPER_WRONG);
		attempt(&other, KEEPER_WRONG);
	}
	assert_int_not_equal(attempt(&try, KEEPER_NO_ANSWER), 0);
	throttle_forget(throttle, bytes_of("ada"), attacker, now_ms);
	assert_int_equal(attempt(&try, KEEPER_NO_ANSWER), 0);
	assert_int_not_equal(attempt(&other, KEEPER_NO_ANSWER), 0);
}

static void test_a_shared_address_costs_only_the_account_that_fails(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		struct throttle_try try = try_of(attacker, "ada", 100 + i);
		try.shared = true;
		attempt(&try, KEEPER_WRONG);
	}
	struct throttle_try ada_again = try_of(attacker, "ada", 999);
	ada_again.shared = true;
	assert_int_equal(attempt(&ada_again, KEEPER_WRONG), THROTTLE_REFUSE);
	struct throttle_try bob = try_of(attacker, "bob", 1);
	bob.shared = true;
	assert_int_equal(attempt(&bob, KEEPER_RIGHT), 0);
	assert_owner_gets_in_from(elsewhere, false);
}

static void test_a_right_password_is_never_counted(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct throttle_try owner = try_of(attacker, "ada", 7);
		owner.known = i > 0;
		assert_int_equal(attempt(&owner, KEEPER_RIGHT), 0);
		now_ms += 10;
	}
	for (int i = 0; i < 100; i++) { // a hundred people behind one address
		struct throttle_try owner = try_of(attacker, anybody((unsigned)i), 7);
		assert_int_equal(attempt(&owner, KEEPER_RIGHT), 0);
	}
}

static void test_a_known_owner_may_open_many_sessions_at_once(void **state)
{
	(void)state;
	assert_owner_gets_in_from(attacker, true);
	for (int i = 0; i < 50; i++) {
		struct throttle_charge charge;
		struct throttle_try owner = try_of(attacker, "ada", 7);
		owner.known = true;
		assert_int_equal(throttle_ask(throttle, &owner, now_ms, &charge), 0);
	}
}

static void
test_a_guesser_at_a_known_address_learns_nothing_from_the_right_one(void **state)
{
	(void)state;
	assert_owner_gets_in_from(attacker, true);
	bool refused = false;
	for (uint64_t i = 0; i < 1000; i++) {
		struct throttle_try try = try_of(attacker, "ada", i == 500 ? 7 : 100 + i);
		try.known = true;
		uint32_t wait = attempt(&try, i == 500 ? KEEPER_RIGHT : KEEPER_WRONG);
		if (i == 500) {
			refused = wait == THROTTLE_REFUSE;
		}
	}
	assert_true(refused);
}

static void test_an_upstream_outage_locks_nobody_out(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		struct throttle_try try = try_of(attacker, anybody((unsigned)i % 50), 7);
		assert_int_equal(attempt(&try, KEEPER_NO_ANSWER), 0);
		now_ms += SECOND;
	}
}

static void test_off_is_off(void **state)
{
	(void)state;
	throttle_free(throttle);
	throttle = throttle_new(0, 0, 8, key);
	for (uint64_t i = 0; i < 100; i++) {
		struct throttle_try try = try_of(attacker, "ada", i);
		assert_int_equal(attempt(&try, KEEPER_WRONG), 0);
	}
}

static void test_a_flood_of_addresses_does_not_make_it_forget_a_guesser(void **state)
{
	(void)state;
	throttle_free(throttle);
	throttle = throttle_new(2 * SECOND, 15 * SECOND, 1024, key);
	guess(1000, one_address, ada, false);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned char from[KEEPER_ADDRESS_BYTES];
		many_addresses(i, from);
		struct throttle_try try = try_of(from, anybody(i), i + 1);
		attempt(&try, KEEPER_WRONG);
	}
	struct throttle_try again = try_of(attacker, "ada", 5);
	assert_int_not_equal(attempt(&again, KEEPER_WRONG), 0);
}

static void test_what_is_saved_is_there_after_a_restart(void **state)
{
	(void)state;
	struct throttle_record records[16];
	size_t count = 0;
	size_t cursor = 0;
	guess(1000, one_address, ada, false);
	while (throttle_next_changed(throttle, &cursor, now_ms, &records[count])) {
		count++;
		assert_true(count < 16);
	}
	assert_int_equal(count, 3); // pair, block, account
	cursor = 0;
	assert_false(throttle_next_changed(throttle, &cursor, now_ms, &records[count]));
	throttle_free(throttle);
	throttle = throttle_new(2 * SECOND, 15 * SECOND, 65536, key);
	for (size_t i = 0; i < count; i++) {
		throttle_restore(throttle, &records[i], SECOND, now_ms);
	}
	struct throttle_try first = try_of(attacker, "ada", 5);
	struct throttle_try second = try_of(attacker, "ada", 6);
	attempt(&first, KEEPER_WRONG);
	assert_in_range(attempt(&second, KEEPER_WRONG), 10 * SECOND, 15 * SECOND);
}

static int setup_addresses(void **state)
{
	(void)state;
	ipv4(0xc0000201, attacker);
	ipv4(0xc6336401, elsewhere);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_1000_guesses_in_a_minute_are_few_upstream),
		TEST(test_another_spelling_of_a_name_is_no_other_account),
		TEST(test_slow_guesses_do_not_hold_up_the_owner_elsewhere),
		TEST(test_1000_guesses_at_once_are_no_better),
		TEST(test_an_ipv6_network_of_64_or_48_bits_is_one_block),
		TEST(test_one_address_that_tries_many_accounts_is_slowed),
		TEST(test_many_addresses_that_try_one_account_are_slowed),
		TEST(test_delays_grow_from_2_to_15_seconds),
		TEST(test_the_same_wrong_password_is_not_counted_again),
		TEST(test_the_same_wrong_password_does_not_flood_upstream),
		TEST(test_failures_are_forgotten_with_time),
		TEST(test_what_is_erased_did_not_happen),
		TEST(test_a_shared_address_costs_only_the_account_that_fails),
		TEST(test_a_right_password_is_never_counted),
		TEST(test_a_known_owner_may_open_many_sessions_at_once),
		TEST(test_a_guesser_at_a_known_address_learns_nothing_from_the_right_one),
		TEST(test_an_upstream_outage_locks_nobody_out),
		TEST(test_off_is_off),
		TEST(test_a_flood_of_addresses_does_not_make_it_forget_a_guesser),
		TEST(test_what_is_saved_is_there_after_a_restart),
	};
	return cmocka_run_group_tests(tests, setup_addresses, NULL);
}
