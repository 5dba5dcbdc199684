#include "protocol/imap_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(const struct buffer *out, const char *text)
{
	assert_int_equal(out->len, strlen(text));
	assert_memory_equal(out->data, text, out->len);
}

static void write_set(struct buffer *out, const uint32_t *imap_uids, size_t count)
{
	struct imap_set_writer writer;

	imap_set_writer_init(&writer, out);
	for (size_t i = 0; i < count; i++) {
		assert_true(imap_set_add(&writer, imap_uids[i]));
	}
	imap_set_finish(&writer);
}

static void test_neighbours_become_a_range(void **state)
{
	static const uint32_t imap_uids[] = { 3, 4,  5,  6,           7,
					      9, 12, 13, 4294967294U, 4294967295U };
	struct buffer out;

	(void)state;
	buffer_init(&out, 100);
	write_set(&out, imap_uids, sizeof(imap_uids) / sizeof(imap_uids[0]));
	assert_text(&out, "3:7,9,12:13,4294967294:4294967295");
	buffer_release(&out);
}

static void test_an_empty_set_writes_nothing(void **state)
{
	struct buffer out;

	(void)state;
	buffer_init(&out, 100);
	write_set(&out, NULL, 0);
	assert_int_equal(out.len, 0);
	buffer_release(&out);
}

static void test_what_stands_in_front_gets_no_comma(void **state)
{
	static const uint32_t imap_uids[] = { 1, 3 };
	struct buffer out;

	(void)state;
	buffer_init(&out, 100);
	assert_true(buffer_append(&out, bytes_of("UID FETCH ")));
	write_set(&out, imap_uids, 2);
	assert_text(&out, "UID FETCH 1,3");
	buffer_release(&out);
}

/* Every octet of the maximum, one UID after another, until it is full. */
static void fill(size_t max, uint32_t from, uint32_t step)
{
	struct imap_set_writer writer;
	struct buffer out;
	struct bytes rest;
	struct imap_range range;
	uint64_t count = 0;
	uint64_t walked = 0;
	uint32_t imap_uid = from;

	buffer_init(&out, max);
	imap_set_writer_init(&writer, &out);
	while (count < 50 && imap_set_add(&writer, imap_uid)) {
		count++;
		imap_uid += count % 3 ? 1 : step;
	}
	imap_set_finish(&writer);
	assert_true(out.len <= max);
	rest = buffer_bytes(&out);
	while (imap_set_next(&rest, &range) == IMAP_SET_RANGE) {
		walked += range.last - range.first + 1;
	}
	assert_int_equal(rest.len, 0);
	assert_int_equal(walked, count);
	buffer_release(&out);
}

static void test_a_full_set_keeps_what_it_has(void **state)
{
	(void)state;
	for (size_t max = 0; max < 120; max++) {
		fill(max, 1, 2);
		fill(max, 8, 2);
		fill(max, 99998, 7);
		fill(max, 4294960000U, 3);
	}
}

static void test_a_set_is_walked_range_by_range(void **state)
{
	struct bytes rest = bytes_of("1:3,5,9:7,4294967295");
	static const struct imap_range wanted[] = {
		{ 1, 3 }, { 5, 5 }, { 7, 9 }, { 4294967295U, 4294967295U }
	};
	struct imap_range range;

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		assert_int_equal(imap_set_next(&rest, &range), IMAP_SET_RANGE);
		assert_int_equal(range.first, wanted[i].first);
		assert_int_equal(range.last, wanted[i].last);
	}
	assert_int_equal(imap_set_next(&rest, &range), IMAP_SET_END);
}

static void test_a_malformed_set_is_refused(void **state)
{
	static const char *const sets[] = {
		"0",  "*",    "1:*", "*:1", "1:0",        "01",
		"-1", "+1",   "1,",  ",1",  "1,,2",       "1:",
		":1", "1:2:", "1 2", "1 ",  "4294967296", "1:4294967296",
		"x",  "1x",   " 1",  "$",   "1;2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct bytes rest = bytes_of(sets[i]);
		struct imap_range range;
		enum imap_set_step step;

		do {
			step = imap_set_next(&rest, &range);
		} while (step == IMAP_SET_RANGE);
		if (step != IMAP_SET_MALFORMED) {
			fail_msg("taken: %s", sets[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_become_a_range),
		cmocka_unit_test(test_an_empty_set_writes_nothing),
		cmocka_unit_test(test_what_stands_in_front_gets_no_comma),
		cmocka_unit_test(test_a_full_set_keeps_what_it_has),
		cmocka_unit_test(test_a_set_is_walked_range_by_range),
		cmocka_unit_test(test_a_malformed_set_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
