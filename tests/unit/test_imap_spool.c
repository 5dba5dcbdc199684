#include "proxy/upstream/imap_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BODIES 5
#define QUARTER (IMAP_SPOOL_OCTETS_MAX / 4)

static struct imap_request requests[BODIES];

static struct imap_window window_with_spool(void)
{
	struct imap_window window = { .requests = requests, .count = BODIES };

	memset(requests, 0, sizeof(requests));
	assert_true(imap_spool_make(&window));
	return window;
}

/* Octets of its own for each, in two pieces. */
static bool spool(struct imap_window *window, int number, uint32_t octets)
{
	static char text[IMAP_SPOOL_OCTETS_MAX];
	struct imap_request *request = &window->requests[number];

	memset(text, 'a' + number, sizeof(text));
	if (!imap_spool_begin(window, request, octets)) {
		return false;
	}
	imap_spool_put(window, request, (struct bytes){ text, octets / 3 });
	imap_spool_put(window, request, (struct bytes){ text, octets - octets / 3 });
	return true;
}

static void assert_held(struct imap_window *window, int number, uint32_t octets)
{
	const struct bytes text = imap_spool_take(window, &window->requests[number]);

	assert_int_equal(text.len, octets);
	for (size_t i = 0; i < text.len; i++) {
		assert_int_equal(text.at[i], 'a' + number);
	}
	assert_int_equal(imap_spool_take(window, &window->requests[number]).len, 0);
}

static void test_what_does_not_fit_is_refused_and_harms_nothing(void **state)
{
	struct imap_window window = window_with_spool();

	(void)state;
	assert_true(spool(&window, 0, 3 * QUARTER));
	assert_false(spool(&window, 1, QUARTER + 1));
	assert_int_equal(requests[1].body, IMAP_REQUEST_SENT);
	assert_false(spool(&window, 1, IMAP_SPOOL_OCTETS_MAX + 1));
	assert_false(spool(&window, 1, 0));
	assert_true(spool(&window, 1, QUARTER));
	assert_held(&window, 0, 3 * QUARTER);
	assert_held(&window, 1, QUARTER);
	imap_spool_release(&window);
}

static void test_room_of_those_that_left_is_used_again(void **state)
{
	struct imap_window window = window_with_spool();

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_true(spool(&window, i, QUARTER));
	}
	imap_spool_drop(&requests[0]);
	imap_spool_drop(&requests[2]);
	assert_true(spool(&window, 4, 2 * QUARTER));
	assert_held(&window, 1, QUARTER);
	assert_held(&window, 3, QUARTER);
	assert_held(&window, 4, 2 * QUARTER);
	imap_spool_release(&window);
}

static void test_a_place_is_used_whatever_the_order_of_the_requests(void **state)
{
	struct imap_window window = window_with_spool();

	(void)state;
	assert_true(spool(&window, 3, QUARTER));
	assert_true(spool(&window, 1, QUARTER));
	assert_true(spool(&window, 2, QUARTER));
	imap_spool_drop(&requests[1]);
	assert_true(spool(&window, 0, 2 * QUARTER));
	assert_held(&window, 3, QUARTER);
	assert_held(&window, 2, QUARTER);
	assert_held(&window, 0, 2 * QUARTER);
	imap_spool_release(&window);
}

static void test_without_a_spool_nothing_is_kept(void **state)
{
	struct imap_window window = { .requests = requests, .count = BODIES };

	(void)state;
	memset(requests, 0, sizeof(requests));
	assert_false(imap_spool_begin(&window, &requests[0], 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_does_not_fit_is_refused_and_harms_nothing),
		cmocka_unit_test(test_room_of_those_that_left_is_used_again),
		cmocka_unit_test(test_a_place_is_used_whatever_the_order_of_the_requests),
		cmocka_unit_test(test_without_a_spool_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
