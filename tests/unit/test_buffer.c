#include "protocol/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_buffer_grows_up_to_its_maximum(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_true(buffer_append(&buffer, bytes_of("x")));
	}
	assert_false(buffer_append(&buffer, bytes_of("x")));
	assert_int_equal(buffer.len, 1000);
	assert_int_equal(buffer.size, 1000);
	buffer_release(&buffer);
}

static void test_what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
	struct buffer buffer = { .max = 4 };

	(void)state;
	assert_true(buffer_append(&buffer, bytes_of("ab")));
	assert_false(buffer_append(&buffer, bytes_of("cde")));
	assert_false(buffer_printf(&buffer, "%d", 123));
	assert_false(buffer_reserve(&buffer, SIZE_MAX));
	assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of("ab")));
	assert_true(buffer_printf(&buffer, "%d", 12));
	assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of("ab12")));
	buffer_release(&buffer);
}

static void test_a_zeroed_buffer_takes_only_nothing(void **state)
{
	struct buffer buffer = { 0 };

	(void)state;
	assert_true(buffer_append(&buffer, bytes_of("")));
	assert_true(buffer_printf(&buffer, "%s", ""));
	assert_false(buffer_append(&buffer, bytes_of("a")));
	assert_int_equal(buffer_bytes(&buffer).len, 0);
	buffer_release(&buffer);
}

static void test_reserved_room_can_be_written_to(void **state)
{
	struct buffer buffer = { .max = 100 };

	(void)state;
	assert_true(buffer_reserve(&buffer, 100));
	assert_true(buffer.size - buffer.len >= 100);
	buffer.data[99] = 'z';
	assert_false(buffer_reserve(&buffer, 101));
	buffer_release(&buffer);
}

static void
test_a_cleared_buffer_keeps_memory_and_a_released_one_its_maximum(void **state)
{
	struct buffer buffer = { .max = 100 };

	(void)state;
	assert_true(buffer_append(&buffer, bytes_of("abc")));
	buffer_clear(&buffer);
	assert_int_equal(buffer.len, 0);
	assert_non_null(buffer.data);
	buffer_release(&buffer);
	assert_null(buffer.data);
	assert_int_equal(buffer.max, 100);
	assert_true(buffer_append(&buffer, bytes_of("abc")));
	buffer_release(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_buffer_grows_up_to_its_maximum),
		cmocka_unit_test(test_what_does_not_fit_leaves_the_buffer_as_it_was),
		cmocka_unit_test(test_a_zeroed_buffer_takes_only_nothing),
		cmocka_unit_test(test_reserved_room_can_be_written_to),
		cmocka_unit_test(
			test_a_cleared_buffer_keeps_memory_and_a_released_one_its_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
