#include "proxy/mailbox/recent.h"

#include "proxy/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config_route route = { .host = (char *)"imap.example.com",
					   .min_poll_ms = 60000 };
static const struct config_route quick = { .host = (char *)"imap.example.com",
					   .min_poll_ms = 1 };
static const struct upstream upstream = { .route = &route };
static const struct upstream another = { .route = &route };
static const struct upstream soon_over = { .route = &quick };

static struct owner owner_of(const struct upstream *whose, const char *account,
			     const char *secret)
{
	return (struct owner){ .upstream = whose,
			       .mechanism = SASL_PLAIN,
			       .user = bytes_of("joe"),
			       .secret = bytes_of(secret),
			       .account = bytes_of(account) };
}

/* A list of so many messages, and nothing but their number in them. */
static void keep(struct recent *recent, const struct owner *owner, const char *name,
		 uint32_t count)
{
	struct snapshot snapshot = { .count = count };
	const struct recent_view view = {
		&snapshot, { .exists = count }, 7, loop_now_ms()
	};

	snapshot.messages = memory_new_array(count + 1, sizeof(struct message));
	buffer_init(&snapshot.ids, 16);
	recent_keep(recent, owner, name, &view);
	snapshot_release(&snapshot);
}

/* So many messages are listed for him; -1: there is no list. */
static int found(struct recent *recent, const struct owner *owner, const char *name)
{
	const struct recent_view view = recent_find(recent, owner, name);

	return view.snapshot ? (int)view.snapshot->count : -1;
}

SUSPENDS static void check_credentials(struct recent *recent)
{
	const struct owner joe = owner_of(&upstream, "joe", "secret");
	const struct owner wrong = owner_of(&upstream, "joe", "Secret");
	const struct owner elsewhere = owner_of(&another, "joe", "secret");
	struct owner token = joe;
	struct owner registered = joe;

	token.mechanism = SASL_XOAUTH2;
	registered.registered = true;
	keep(recent, &joe, "a", 3);
	assert_int_equal(found(recent, &joe, "a"), 3);
	assert_int_equal(found(recent, &wrong, "a"), -1);
	assert_int_equal(found(recent, &token, "a"), -1);
	assert_int_equal(found(recent, &registered, "a"), -1);
	assert_int_equal(found(recent, &elsewhere, "a"), -1);
	assert_int_equal(found(recent, &joe, "b"), -1);
	assert_int_equal(found(recent, &joe, "a"), 3); // they cost nothing
}

SUSPENDS static void check_registered(struct recent *recent)
{
	struct owner first = owner_of(&upstream, "scanner", "token 1");
	struct owner renewed = owner_of(&upstream, "SCANNER", "token 2");
	struct owner other = owner_of(&upstream, "copier", "token 1");

	first.registered = renewed.registered = other.registered = true;
	keep(recent, &first, "r", 2);
	assert_int_equal(found(recent, &renewed, "r"), 2);
	assert_int_equal(found(recent, &other, "r"), -1);
	recent_kick(recent, bytes_of("scanner2"));
	assert_int_equal(found(recent, &first, "r"), 2);
	recent_kick(recent, bytes_of("Scanner"));
	assert_int_equal(found(recent, &first, "r"), -1);
}

SUSPENDS static void check_time(struct recent *recent)
{
	const struct owner joe = owner_of(&soon_over, "joe", "secret");

	keep(recent, &joe, "t", 1);
	task_sleep_until(loop_deadline_ms(2));
	assert_int_equal(found(recent, &joe, "t"), -1);
}

SUSPENDS static void check_bounds(struct recent *recent)
{
	const struct owner joe = owner_of(&upstream, "joe", "secret");
	char name[16];

	keep(recent, &joe, "small", 1);
	keep(recent, &joe, "big", 2000000);
	keep(recent, &joe, "too big", 2200000);
	assert_int_equal(found(recent, &joe, "too big"), -1);
	assert_int_equal(found(recent, &joe, "small"), 1);
	keep(recent, &joe, "another", 1000000);
	assert_int_equal(found(recent, &joe, "big"), -1);
	assert_int_equal(found(recent, &joe, "small"), -1);
	assert_int_equal(found(recent, &joe, "another"), 1000000);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		keep(recent, &joe, name, 0);
	}
	assert_int_equal(found(recent, &joe, "903"), -1);
	assert_int_equal(found(recent, &joe, "904"), 0);
	recent_forget(recent, &another, "904");
	assert_int_equal(found(recent, &joe, "904"), 0);
	recent_forget(recent, &upstream, "904");
	assert_int_equal(found(recent, &joe, "904"), -1);
}

SUSPENDS static void run_check(void *argument)
{
	void (**check)(struct recent *) = argument;
	struct recent *recent = recent_new();

	(*check)(recent);
	recent_free(recent);
}

static void in_loop(void (*check)(struct recent *))
{
	loop_open();
	task_start(run_check, &check);
	loop_run();
	loop_close();
}

static void test_a_list_is_for_who_says_the_same_credential(void **state)
{
	(void)state;
	in_loop(check_credentials);
}

static void test_who_was_let_in_by_the_keeper_needs_no_same_token(void **state)
{
	(void)state;
	in_loop(check_registered);
}

static void test_a_list_has_its_time(void **state)
{
	(void)state;
	in_loop(check_time);
}

static void test_the_oldest_make_way(void **state)
{
	(void)state;
	in_loop(check_bounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_for_who_says_the_same_credential),
		cmocka_unit_test(test_who_was_let_in_by_the_keeper_needs_no_same_token),
		cmocka_unit_test(test_a_list_has_its_time),
		cmocka_unit_test(test_the_oldest_make_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
