#include "proxy/mailbox/prefetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 10
#define WHOLE 0
#define TOP 8192

/* Ten messages; those whose numbers stand in deleted are marked. */
static struct message messages[COUNT];
static struct snapshot ten(const char *deleted)
{
	struct snapshot snapshot = { .messages = messages, .count = COUNT };

	memset(messages, 0, sizeof(messages));
	for (; *deleted; deleted++) {
		messages[*deleted - '1'].deleted = 1;
	}
	return snapshot;
}

static struct prefetch ask(const struct snapshot *snapshot, bool listed,
			   const uint32_t *msgnos, uint64_t length)
{
	struct prefetch prefetch = { .listed = listed };

	for (; *msgnos; msgnos++) {
		prefetch_note(&prefetch, snapshot, *msgnos, length);
	}
	return prefetch;
}

#define ASK(snapshot, listed, ...)                                                       \
	ask(&(snapshot), listed, (const uint32_t[]){ __VA_ARGS__, 0 }, WHOLE)

static uint32_t next(const struct prefetch *prefetch, const struct snapshot *snapshot)
{
	return prefetch_next(prefetch, snapshot, prefetch->msgno);
}

static void test_a_client_that_has_a_list_goes_on_upwards(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, true, 4);

	assert_int_equal(next(&prefetch, &snapshot), 5);
}

static void test_one_message_without_a_list_says_nothing(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, false, 4);

	assert_int_equal(next(&prefetch, &snapshot), 0);
}

static void test_a_second_message_in_sequence_shows_the_direction(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch up = ASK(snapshot, false, 4, 5);
	struct prefetch down = ASK(snapshot, true, 10, 9);

	assert_int_equal(next(&up, &snapshot), 6);
	assert_int_equal(next(&down, &snapshot), 8);
}

static void test_marked_messages_are_no_gap(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("567");
	struct prefetch up = ASK(snapshot, false, 4, 8);
	struct prefetch down = ASK(snapshot, false, 9, 8);

	assert_int_equal(next(&up, &snapshot), 9);
	assert_int_equal(next(&down, &snapshot), 4);
}

static void test_a_jump_ends_it_until_two_are_in_sequence_again(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, true, 1, 2, 3, 7);

	assert_int_equal(next(&prefetch, &snapshot), 0);
	prefetch_note(&prefetch, &snapshot, 8, WHOLE);
	assert_int_equal(next(&prefetch, &snapshot), 9);
}

static void test_the_same_message_again_is_a_jump(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, true, 1, 2, 2);

	assert_int_equal(next(&prefetch, &snapshot), 0);
}

static void test_top_and_retr_are_sequences_of_their_own(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, true, 1, 2);

	prefetch_note(&prefetch, &snapshot, 3, TOP);
	assert_int_equal(next(&prefetch, &snapshot), 0);
	prefetch_note(&prefetch, &snapshot, 4, TOP);
	assert_int_equal(next(&prefetch, &snapshot), 5);
	assert_int_equal(prefetch.length, TOP);
}

static void test_nothing_stands_behind_the_last_or_before_the_first(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch up = ASK(snapshot, true, 9, 10);
	struct prefetch down = ASK(snapshot, true, 2, 1);

	assert_int_equal(next(&up, &snapshot), 0);
	assert_int_equal(next(&down, &snapshot), 0);
}

static void test_a_jump_makes_the_window_small_again(void **state)
{
	(void)state;
	struct snapshot snapshot = ten("");
	struct prefetch prefetch = ASK(snapshot, true, 1, 2);

	assert_int_equal(prefetch.window, PREFETCH_WINDOW_MIN);
	prefetch.window = PREFETCH_WINDOW_MAX;
	prefetch_note(&prefetch, &snapshot, 3, WHOLE);
	assert_int_equal(prefetch.window, PREFETCH_WINDOW_MAX);
	prefetch_note(&prefetch, &snapshot, 9, WHOLE);
	assert_int_equal(prefetch.window, PREFETCH_WINDOW_MIN);
}

static int open_loop(void **state)
{
	(void)state;
	loop_open();
	return 0;
}

static int close_loop(void **state)
{
	(void)state;
	loop_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_client_that_has_a_list_goes_on_upwards),
		cmocka_unit_test(test_one_message_without_a_list_says_nothing),
		cmocka_unit_test(test_a_second_message_in_sequence_shows_the_direction),
		cmocka_unit_test(test_marked_messages_are_no_gap),
		cmocka_unit_test(test_a_jump_ends_it_until_two_are_in_sequence_again),
		cmocka_unit_test(test_the_same_message_again_is_a_jump),
		cmocka_unit_test(test_top_and_retr_are_sequences_of_their_own),
		cmocka_unit_test(test_nothing_stands_behind_the_last_or_before_the_first),
		cmocka_unit_test(test_a_jump_makes_the_window_small_again),
	};
	return cmocka_run_group_tests(tests, open_loop, close_loop);
}
