#include "proxy/rt/channel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON loop_deadline_ms(5000)

static struct channel *near, *far;
static int far_fd;
static char *packet;

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
	far_fd = ends[1];
	packet = malloc(CHANNEL_MESSAGE_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	size_t left = task_count();
	free(packet);
	loop_close();
	return left == 0 ? 0 : -1;
}

static SUSPENDS void close_both(void)
{
	channel_close(near);
	channel_close(far);
	channel_close(NULL);
}

/* The number behind which nothing is open any more. */
static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static SUSPENDS void assert_hears(struct channel *channel, const char *text)
{
	struct failure failure;
	size_t len;
	assert_true(channel_receive(channel, packet, &len, NULL, SOON, &failure));
	assert_int_equal(len, strlen(text));
	assert_memory_equal(packet, text, len);
}

static SUSPENDS void assert_deaf(struct channel *channel, uint64_t deadline_ms,
				 enum failure_kind kind)
{
	struct failure failure;
	size_t len;
	assert_false(channel_receive(channel, packet, &len, NULL, deadline_ms, &failure));
	assert_int_equal(failure.kind, kind);
}

static SUSPENDS void say(struct channel *channel, const char *text,
			 const struct channel_descriptors *descriptors)
{
	struct failure failure;
	assert_true(channel_send(channel, bytes_of(text), descriptors, SOON, &failure));
}

static SUSPENDS void whole_messages(void *argument)
{
	(void)argument;
	say(near, "one", NULL);
	say(near, "two", NULL);
	say(far, "back", NULL);
	assert_hears(far, "one");
	assert_hears(far, "two");
	assert_hears(near, "back");
	assert_deaf(near, loop_deadline_ms(20), FAILURE_TIMEOUT);
	close_both();
}

static void test_messages_arrive_whole_and_in_order(void **state)
{
	(void)state;
	task_start(whole_messages, NULL);
	loop_run();
}

static SUSPENDS void with_descriptors(void *argument)
{
	struct channel_descriptors sent = { .count = CHANNEL_DESCRIPTORS_MAX };
	struct channel_descriptors came;
	struct failure failure;
	size_t len;
	int ends[2];
	char octet = '\0';
	(void)argument;
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < CHANNEL_DESCRIPTORS_MAX; i++) {
		sent.list[i] = ends[1];
	}
	int before = open_descriptors();
	say(near, "ignored", &sent);
	assert_hears(far, "ignored");
	assert_int_equal(open_descriptors(), before);
	say(near, "taken", &sent);
	assert_true(channel_receive(far, packet, &len, &came, SOON, &failure));
	assert_int_equal(came.count, CHANNEL_DESCRIPTORS_MAX);
	for (size_t i = 0; i < came.count; i++) {
		assert_true(fcntl(came.list[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(write(came.list[i], "x", 1), 1);
		assert_int_equal(read(ends[0], &octet, 1), 1);
		close(came.list[i]);
	}
	say(near, "none", NULL);
	assert_true(channel_receive(far, packet, &len, &came, SOON, &failure));
	assert_int_equal(came.count, 0);
	close(ends[0]);
	close(ends[1]);
	close_both();
}

static void test_descriptors_come_with_their_message(void **state)
{
	(void)state;
	task_start(with_descriptors, NULL);
	loop_run();
}

static SUSPENDS void longest(void *argument)
{
	char *text = calloc(1, CHANNEL_MESSAGE_MAX + 1);
	struct failure failure;
	size_t len;
	(void)argument;
	assert_true(channel_send(near, (struct bytes){ text, CHANNEL_MESSAGE_MAX }, NULL,
				 SOON, &failure));
	assert_true(channel_receive(far, packet, &len, NULL, SOON, &failure));
	assert_int_equal(len, CHANNEL_MESSAGE_MAX);
	assert_false(channel_send(near, (struct bytes){ text, CHANNEL_MESSAGE_MAX + 1 },
				  NULL, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
	/* Around the rule. */
	assert_int_equal(send(far_fd, text, CHANNEL_MESSAGE_MAX + 1, 0),
			 CHANNEL_MESSAGE_MAX + 1);
	assert_deaf(near, SOON, FAILURE_PROTOCOL);
	free(text);
	close_both();
}

static void test_longer_than_allowed_is_refused_on_both_sides(void **state)
{
	(void)state;
	task_start(longest, NULL);
	loop_run();
}

static SUSPENDS void gone(void *argument)
{
	struct failure failure;
	(void)argument;
	say(far, "last words", NULL);
	channel_close(far);
	assert_hears(near, "last words");
	assert_deaf(near, SOON, FAILURE_PEER_GONE);
	assert_false(channel_send(near, bytes_of("x"), NULL, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PEER_GONE);
	channel_close(near);
}

static void test_the_end_of_the_other_side_is_told_apart(void **state)
{
	(void)state;
	task_start(gone, NULL);
	loop_run();
}

#define SENDERS 5
#define MESSAGES 400
static unsigned sent_by[SENDERS];

static SUSPENDS void send_many(void *argument)
{
	unsigned *count = argument;
	struct failure failure;
	char *text = calloc(1, 4096);
	for (unsigned i = 0; i < MESSAGES; i++) {
		text[0] = (char)(count - sent_by);
		memcpy(text + 1, &i, sizeof(i));
		assert_true(channel_send(near, (struct bytes){ text, 4096 }, NULL, SOON,
					 &failure));
		(*count)++;
	}
	free(text);
}

static SUSPENDS void receive_slowly(void *argument)
{
	unsigned next[SENDERS] = { 0 };
	struct failure failure;
	size_t len;
	(void)argument;
	assert_true(task_sleep_until(loop_deadline_ms(50)));
	for (unsigned i = 0; i < SENDERS; i++) {
		assert_in_range(sent_by[i], 0, MESSAGES - 1); // they wait
	}
	for (unsigned i = 0; i < SENDERS * MESSAGES; i++) {
		unsigned number;
		assert_true(channel_receive(far, packet, &len, NULL, SOON, &failure));
		assert_int_equal(len, 4096);
		memcpy(&number, packet + 1, sizeof(number));
		assert_in_range(packet[0], 0, SENDERS - 1);
		assert_int_equal(number, next[(unsigned)packet[0]]++);
	}
	close_both();
}

static void test_several_senders_wait_for_a_slow_receiver(void **state)
{
	(void)state;
	memset(sent_by, 0, sizeof(sent_by));
	for (unsigned i = 0; i < SENDERS; i++) {
		task_start(send_many, &sent_by[i]);
	}
	task_start(receive_slowly, NULL);
	loop_run();
}

static SUSPENDS void listen_for_ever(void *argument)
{
	(void)argument;
	assert_deaf(near, DEADLINE_NEVER, FAILURE_CANCELLED);
}

static SUSPENDS void cancel_the_receiver(void *argument)
{
	(void)argument;
	struct task *receiver = task_start_child(listen_for_ever, NULL);
	task_cancel(receiver);
	task_join(receiver);
	say(far, "still works", NULL);
	assert_hears(near, "still works");
	close_both();
}

static void test_a_receiver_can_be_cancelled(void **state)
{
	(void)state;
	task_start(cancel_the_receiver, NULL);
	loop_run();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_arrive_whole_and_in_order),
		TEST(test_descriptors_come_with_their_message),
		TEST(test_longer_than_allowed_is_refused_on_both_sides),
		TEST(test_the_end_of_the_other_side_is_told_apart),
		TEST(test_several_senders_wait_for_a_slow_receiver),
		TEST(test_a_receiver_can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
