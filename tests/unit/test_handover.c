#include "proxy/ops/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char program[] = "/usr/sbin/popbridge";
static char path[] = "/etc/pop bridge.yaml";
static char two_lines[] = "/etc/a\nb";
static int sockets[] = { 10, 11, 12, 13 };
static struct handover_child children[] = {
	{ .role = "keeper", .pid = 7, .channel = 20 },
	{ .role = "worker", .pid = 8, .channel = 21, .row = 3, .slot = 1 },
	{ .role = "worker", .pid = 9, .channel = 22, .row = 4, .leaves = true },
};

static struct handover sample(void)
{
	struct handover made = {
		.program = program,
		.path = path,
		.started_s = 1234567890123,
		.text_fd = 5,
		.metrics = 6,
		.census = 8,
		.history = 9,
		.slot_count = 2,
		.listener_count = 2,
		.sockets = sockets,
		.children = children,
		.child_count = 3,
	};

	memset(made.key, 0xA5, sizeof(made.key));
	return made;
}

static bool decode(const char *text, struct failure *failure)
{
	struct handover out;
	const bool good = handover_decode(bytes_of(text), &out, failure);

	handover_release(&out);
	return good;
}

static void test_what_is_written_is_read(void **state)
{
	const struct handover made = sample();
	struct handover read;
	struct failure failure;
	struct buffer text;

	(void)state;
	buffer_init(&text, HANDOVER_MAX);
	assert_true(handover_encode(&made, &text));
	assert_true(handover_decode(buffer_bytes(&text), &read, &failure));
	assert_string_equal(read.program, made.program);
	assert_string_equal(read.path, made.path);
	assert_null(read.url);
	assert_false(read.is_text);
	assert_true(read.started_s == made.started_s);
	assert_int_equal(read.text_fd, 5);
	assert_int_equal(read.metrics, 6);
	assert_int_equal(read.census, 8);
	assert_int_equal(read.history, 9);
	assert_memory_equal(read.key, made.key, sizeof(made.key));
	assert_int_equal(read.listener_count, 2);
	assert_memory_equal(read.sockets, sockets, sizeof(sockets));
	assert_int_equal(read.child_count, 3);
	assert_string_equal(read.children[0].role, "keeper");
	assert_int_equal(read.children[1].slot, 1);
	assert_int_equal(read.children[1].row, 3);
	assert_false(read.children[1].leaves);
	assert_true(read.children[2].leaves);
	assert_int_equal(read.children[2].pid, 9);
	handover_release(&read);
	buffer_release(&text);
}

static void test_no_part_of_it_is_taken_for_the_whole(void **state)
{
	const struct handover made = sample();
	struct failure failure;
	struct buffer text;

	(void)state;
	buffer_init(&text, HANDOVER_MAX);
	assert_true(handover_encode(&made, &text));
	for (size_t len = 0; len < text.len; len++) {
		struct handover out;

		assert_false(handover_decode((struct bytes){ text.data, len }, &out,
					     &failure));
		handover_release(&out);
	}
	buffer_release(&text);
}

static void test_another_version_is_refused_by_its_number(void **state)
{
	struct failure failure;

	(void)state;
	assert_false(decode("popbridge-handover 999\nend\n", &failure));
	assert_non_null(strstr(failure.text, "version 999"));
	assert_false(decode("something else\n", &failure));
}

static void test_a_line_not_understood_is_named_without_its_secret(void **state)
{
	struct failure failure;

	(void)state;
	assert_false(decode("popbridge-handover 1\nkey 5ec3e7\nend\n", &failure));
	assert_non_null(strstr(failure.text, "key"));
	assert_null(strstr(failure.text, "5ec3e7"));
	assert_false(decode("popbridge-handover 1\nwonder 7\nend\n", &failure));
	assert_non_null(strstr(failure.text, "wonder"));
}

static void test_a_path_of_two_lines_is_not_written(void **state)
{
	struct handover made = sample();
	struct buffer text;

	(void)state;
	made.path = two_lines;
	buffer_init(&text, HANDOVER_MAX);
	assert_false(handover_encode(&made, &text));
	buffer_release(&text);
}

static void test_a_descriptor_that_is_closed_is_noticed(void **state)
{
	struct handover made = sample();
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	made.text_fd = ends[0];
	made.metrics = made.census = made.history = ends[1];
	made.listener_count = made.child_count = 0;
	assert_true(handover_keep(&made, true));
	assert_true(handover_keep(&made, false));
	close(ends[1]);
	assert_false(handover_keep(&made, false));
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_no_part_of_it_is_taken_for_the_whole),
		cmocka_unit_test(test_another_version_is_refused_by_its_number),
		cmocka_unit_test(test_a_line_not_understood_is_named_without_its_secret),
		cmocka_unit_test(test_a_path_of_two_lines_is_not_written),
		cmocka_unit_test(test_a_descriptor_that_is_closed_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
