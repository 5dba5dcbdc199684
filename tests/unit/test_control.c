#include "proxy/ops/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct channel *near, *far;
static struct channel_descriptors descriptors;

static int setup(void **state)
{
	int ends[2];

	(void)state;
	loop_open();
	if (!channel_pair(ends)) {
		return -1;
	}
	near = channel_new(ends[0]);
	far = channel_new(ends[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_close();
	return 0;
}

static SUSPENDS void say(const void *octets, size_t len,
			 const struct channel_descriptors *all)
{
	struct failure failure;

	assert_true(channel_send(near, (struct bytes){ octets, len }, all,
				 loop_deadline_ms(5000), &failure));
}

static SUSPENDS void assert_refused(struct channel_descriptors *all)
{
	struct control_message message;
	struct failure failure;

	assert_false(
		control_receive(far, &message, all, loop_deadline_ms(5000), &failure));
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
}

static SUSPENDS void close_both(void)
{
	channel_close(near);
	channel_close(far);
}

static SUSPENDS void unknown_forms(void *argument)
{
	const struct control_message newer = { .version = CONTROL_VERSION + 1,
					       .type = CONTROL_READY };

	(void)argument;
	say("READY", 5, NULL);
	assert_refused(NULL);
	say(&newer, sizeof(newer), NULL);
	assert_refused(NULL);
	say(&newer, sizeof(newer), NULL);
	assert_refused(&descriptors);
	close_both();
}

static void test_a_message_of_no_known_form_is_refused(void **state)
{
	(void)state;
	task_start(unknown_forms, NULL);
	loop_run();
}

static SUSPENDS void with_a_pipe(void *argument)
{
	struct channel_descriptors one = { .count = 1 };
	int ends[2];
	char octet;

	(void)argument;
	assert_int_equal(pipe(ends), 0);
	one.list[0] = ends[1];
	say("READY", 5, &one);
	close(ends[1]);
	assert_refused(&descriptors);
	assert_int_equal(descriptors.count, 0);
	assert_int_equal(read(ends[0], &octet, 1), 0); // nobody has the other end
	close(ends[0]);
	close_both();
}

static void test_descriptors_of_a_refused_message_are_closed(void **state)
{
	(void)state;
	task_start(with_a_pipe, NULL);
	loop_run();
}

static SUSPENDS void older_and_newer(void *argument)
{
	struct {
		struct control_message known;
		char more[8];
	} longer = { .known = { .version = CONTROL_VERSION,
				.type = CONTROL_START,
				.has_store = 1 } };
	struct control_message message;
	struct failure failure;

	(void)argument;
	say(&longer, sizeof(longer), NULL);
	assert_true(
		control_receive(far, &message, NULL, loop_deadline_ms(5000), &failure));
	assert_int_equal(message.has_store, 1);
	say(&longer, CONTROL_FIRST_BYTES, NULL);
	assert_true(
		control_receive(far, &message, NULL, loop_deadline_ms(5000), &failure));
	assert_int_equal(message.type, CONTROL_START);
	assert_int_equal(message.has_store, 0);
	close_both();
}

static void test_longer_and_shorter_messages_are_understood(void **state)
{
	(void)state;
	task_start(older_and_newer, NULL);
	loop_run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_message_of_no_known_form_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_descriptors_of_a_refused_message_are_closed, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_longer_and_shorter_messages_are_understood, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
