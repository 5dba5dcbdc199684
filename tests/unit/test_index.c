#include "proxy/mailbox/index.h"

#include "proxy/base/memory.h"
#include "proxy/mailbox/index_shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALIDITY 77
#define ADA bytes_of("ada@example.com")
#define BOB bytes_of("bob@example.com")

static struct pop3_unique_id_template template_of(const char *text)
{
	struct pop3_unique_id_template template;
	const char *why = "";
	assert_true(pop3_unique_id_parse(bytes_of(text), true, &template, &why));
	return template;
}

static void snapshot_of(struct snapshot *snapshot, uint32_t count, uint32_t uidnext,
			const struct pop3_unique_id_template *template)
{
	*snapshot = (struct snapshot){ .uidvalidity = VALIDITY,
				       .uidnext = uidnext,
				       .unique_id = template };
	buffer_init(&snapshot->ids, 1 << 20);
	snapshot->messages = memory_new_array(count + 1, sizeof(struct message));
	snapshot->count = count;
}

/* As a later SELECT would begin it. */
static void later(struct snapshot *snapshot, uint32_t uidvalidity, uint32_t uidnext,
		  const struct pop3_unique_id_template *template)
{
	*snapshot = (struct snapshot){ .uidvalidity = uidvalidity,
				       .uidnext = uidnext,
				       .unique_id = template };
	buffer_init(&snapshot->ids, 1 << 20);
}

static void encode_three(struct buffer *out,
			 const struct pop3_unique_id_template *template)
{
	struct snapshot snapshot;
	snapshot_of(&snapshot, 3, 4000000000, template);
	snapshot.messages[0] = (struct message){ .imap_uid = 1, .octets = 0 };
	snapshot.messages[1] = (struct message){ .imap_uid = 300, .octets = 70000 };
	snapshot.messages[2] =
		(struct message){ .imap_uid = 3999999999, .octets = UINT64_MAX >> 2 };
	buffer_init(out, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, out));
	snapshot_release(&snapshot);
}

static bool decodes(struct bytes index, uint32_t uidvalidity, uint32_t uidnext,
		    const struct pop3_unique_id_template *template)
{
	struct snapshot snapshot;
	uint32_t known;
	later(&snapshot, uidvalidity, uidnext, template);
	const bool decoded = index_decode(index, &snapshot, &known);
	if (!decoded) {
		assert_int_equal(snapshot.count, 0);
		assert_null(snapshot.messages);
	}
	snapshot_release(&snapshot);
	return decoded;
}

static void test_messages_come_back_as_they_were(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct snapshot snapshot;
	struct buffer index;
	uint32_t known;
	encode_three(&index, &template);
	later(&snapshot, VALIDITY, 4000000001, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	assert_int_equal(known, 4000000000);
	assert_int_equal(snapshot.count, 3);
	assert_int_equal(snapshot.messages[0].imap_uid, 1);
	assert_int_equal(snapshot.messages[0].octets, 0);
	assert_int_equal(snapshot.messages[1].imap_uid, 300);
	assert_int_equal(snapshot.messages[1].octets, 70000);
	assert_int_equal(snapshot.messages[2].imap_uid, 3999999999);
	assert_true(snapshot.messages[2].octets == UINT64_MAX >> 2);
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void test_an_index_is_for_one_state_of_the_folder(void **state)
{
	(void)state;
	const struct pop3_unique_id_template by_uid =
		template_of("{uid:08x}{uidvalidity:08x}");
	const struct pop3_unique_id_template by_gmail = template_of("{gm-msgid}");
	struct buffer index;
	encode_three(&index, &by_uid);
	const struct bytes text = buffer_bytes(&index);
	assert_true(decodes(text, VALIDITY, 4000000000, &by_uid));
	assert_false(decodes(text, VALIDITY + 1, 4000000000, &by_uid));
	assert_false(decodes(text, VALIDITY, 3999999999, &by_uid));
	assert_false(decodes(text, VALIDITY, 4000000000, &by_gmail));
	buffer_release(&index);
}

static void test_every_damaged_octet_and_every_cut_is_noticed(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct buffer index;
	encode_three(&index, &template);
	for (size_t i = 0; i < index.len; i++) {
		assert_false(decodes((struct bytes){ index.data, i }, VALIDITY,
				     4000000000, &template));
		for (int bit = 0; bit < 8; bit++) {
			index.data[i] ^= (char)(1 << bit);
			assert_false(decodes(buffer_bytes(&index), VALIDITY, 4000000000,
					     &template));
			index.data[i] ^= (char)(1 << bit);
		}
	}
	buffer_release(&index);
}

static void test_messages_marked_deleted_are_left_out(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct snapshot snapshot;
	struct buffer index;
	uint32_t known;
	snapshot_of(&snapshot, 3, 4, &template);
	for (uint32_t i = 0; i < 3; i++) {
		snapshot.messages[i] =
			(struct message){ .imap_uid = i + 1, .octets = 10 };
	}
	snapshot_mark(&snapshot, &snapshot.messages[1]);
	buffer_init(&index, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, &index));
	snapshot_release(&snapshot);
	later(&snapshot, VALIDITY, 4, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	assert_int_equal(snapshot.count, 2);
	assert_int_equal(snapshot.messages[1].imap_uid, 3);
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void check_ids(const char *template_text, const char *ids, size_t len,
		      size_t second)
{
	const struct pop3_unique_id_template template = template_of(template_text);
	struct snapshot snapshot;
	struct buffer index;
	uint32_t known;
	char before[POP3_UNIQUE_ID_MAX], after[POP3_UNIQUE_ID_MAX];
	snapshot_of(&snapshot, 2, 9, &template);
	assert_true(buffer_append(&snapshot.ids, (struct bytes){ ids, len }));
	snapshot.messages[0] = (struct message){ .imap_uid = 3, .octets = 10 };
	snapshot.messages[1] = (struct message){ .imap_uid = 8,
						 .octets = 20,
						 .extra = (uint32_t)second };
	buffer_init(&index, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, &index));
	const size_t before_len =
		snapshot_unique_id(&snapshot, &snapshot.messages[1], before);
	snapshot_release(&snapshot);
	later(&snapshot, VALIDITY, 9, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	const size_t after_len =
		snapshot_unique_id(&snapshot, &snapshot.messages[1], after);
	assert_true(before_len > 0);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, after_len);
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void test_providers_ids_are_kept(void **state)
{
	(void)state;
	check_ids("{gm-msgid}", "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16, 8);
	check_ids("{emailid}", "M1a\0M22b\0", 9, 4);
}

static void test_an_index_costs_about_four_octets_a_message(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct snapshot snapshot;
	struct buffer index;
	snapshot_of(&snapshot, 100000, 200001, &template);
	for (uint32_t i = 0; i < 100000; i++) {
		snapshot.messages[i] = (struct message){ .imap_uid = 2 * i + 1,
							 .octets = 500 + i * 7 % 60000 };
	}
	buffer_init(&index, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, &index));
	assert_in_range(index.len, 200000, 400100);
	assert_true(decodes(buffer_bytes(&index), VALIDITY, 200001, &template));
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void test_the_shelf_gives_what_was_kept_last(void **state)
{
	(void)state;
	struct index_shelf *shelf = index_shelf_new(10000);
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("one"));
	index_shelf_keep(shelf, bytes_of("b"), ADA, bytes_of("two"));
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("three"));
	assert_true(
		bytes_equal(index_shelf_find(shelf, bytes_of("a")), bytes_of("three")));
	assert_true(bytes_equal(index_shelf_find(shelf, bytes_of("b")), bytes_of("two")));
	assert_int_equal(index_shelf_find(shelf, bytes_of("c")).len, 0);
	index_shelf_keep(shelf, bytes_of("a"), ADA, (struct bytes){ 0 });
	assert_int_equal(index_shelf_find(shelf, bytes_of("a")).len, 0);
	index_shelf_free(shelf);
}

static void test_what_was_not_used_for_long_makes_way(void **state)
{
	(void)state;
	struct index_shelf *shelf = index_shelf_new(10000);
	char *text = memory_new(4000);
	const struct bytes index = { text, 4000 };
	index_shelf_keep(shelf, bytes_of("a"), ADA, index);
	index_shelf_keep(shelf, bytes_of("b"), ADA, index);
	assert_int_equal(index_shelf_find(shelf, bytes_of("a")).len, 4000);
	index_shelf_keep(shelf, bytes_of("c"), BOB, index);
	assert_int_equal(index_shelf_find(shelf, bytes_of("b")).len, 0);
	assert_int_equal(index_shelf_find(shelf, bytes_of("a")).len, 4000);
	assert_int_equal(index_shelf_find(shelf, bytes_of("c")).len, 4000);
	free(text);
	index_shelf_free(shelf);
}

static void test_sizes_that_were_learnt_are_those_of_the_next_session(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct snapshot snapshot;
	struct buffer index;
	uint32_t known;
	snapshot_of(&snapshot, 3, 9, &template);
	for (uint32_t i = 0; i < 3; i++) {
		snapshot.messages[i] =
			(struct message){ .imap_uid = 2 * i + 1, .octets = 10 };
	}
	snapshot_learn(&snapshot, &snapshot.messages[2], 12);
	snapshot_learn(&snapshot, &snapshot.messages[0], 4000000000000);
	snapshot_learn(&snapshot, &snapshot.messages[1], 10);
	assert_int_equal(snapshot_octets(&snapshot, &snapshot.messages[2]), 10);
	buffer_init(&index, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, &index));
	snapshot_release(&snapshot);
	later(&snapshot, VALIDITY, 9, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	assert_true(snapshot_octets(&snapshot, &snapshot.messages[0]) == 4000000000000);
	assert_int_equal(snapshot_octets(&snapshot, &snapshot.messages[1]), 10);
	assert_int_equal(snapshot_octets(&snapshot, &snapshot.messages[2]), 12);
	assert_int_equal(snapshot.messages[2].octets, 10); // the server's word
	snapshot_sum(&snapshot);
	assert_true(snapshot.octets == 4000000000022);
	snapshot_mark(&snapshot, &snapshot.messages[2]);
	assert_true(snapshot.octets == 4000000000010);
	/* The server has it right by now. */
	snapshot_unmark_all(&snapshot);
	snapshot_learn(&snapshot, &snapshot.messages[2], 10);
	buffer_clear(&index);
	assert_true(index_encode(&snapshot, &index));
	snapshot_release(&snapshot);
	later(&snapshot, VALIDITY, 9, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	assert_int_equal(snapshot_octets(&snapshot, &snapshot.messages[2]), 10);
	assert_int_equal(snapshot.exact.count, 1);
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void test_that_a_list_was_cut_off_is_remembered(void **state)
{
	(void)state;
	const struct pop3_unique_id_template template =
		template_of("{uid:08x}{uidvalidity:08x}");
	struct snapshot snapshot;
	struct buffer index;
	uint32_t known;
	snapshot_of(&snapshot, 1, 2, &template);
	snapshot.messages[0] = (struct message){ .imap_uid = 1, .octets = 10 };
	snapshot.is_begun = true;
	buffer_init(&index, INDEX_OCTETS_MAX);
	assert_true(index_encode(&snapshot, &index));
	snapshot_release(&snapshot);
	later(&snapshot, VALIDITY, 9, &template);
	assert_true(index_decode(buffer_bytes(&index), &snapshot, &known));
	assert_true(snapshot.is_begun);
	snapshot_forget_rows(&snapshot);
	assert_false(snapshot.is_begun);
	snapshot_release(&snapshot);
	buffer_release(&index);
}

static void test_exact_sizes_are_found_in_whatever_order_they_came(void **state)
{
	(void)state;
	struct exact_sizes sizes = { 0 };
	for (uint32_t i = 0; i < 1000; i++) {
		exact_sizes_set(&sizes, i * 7919 % 1009 + 1, i);
	}
	exact_sizes_set(&sizes, 7919 % 1009 + 1, 42);
	assert_int_equal(sizes.count, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		const struct exact_size *size =
			exact_sizes_find(&sizes, i * 7919 % 1009 + 1);
		assert_non_null(size);
		assert_int_equal(size->octets, i == 1 ? 42 : i);
	}
	assert_null(exact_sizes_find(&sizes, 2000));
	exact_sizes_release(&sizes);
	assert_null(exact_sizes_find(&sizes, 1));
}

static void test_an_account_is_forgotten_in_any_case_of_letters(void **state)
{
	(void)state;
	struct index_shelf *shelf = index_shelf_new(10000);
	struct index_waiting waiting;
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("one"));
	index_shelf_keep(shelf, bytes_of("b"), ADA, bytes_of("two"));
	index_shelf_keep(shelf, bytes_of("c"), BOB, bytes_of("three"));
	index_shelf_enqueue(shelf, bytes_of("a"), 1);
	index_shelf_enqueue(shelf, bytes_of("c"), 2);
	index_shelf_forget(shelf, bytes_of("ADA@example.com"));
	assert_int_equal(index_shelf_find(shelf, bytes_of("a")).len, 0);
	assert_int_equal(index_shelf_find(shelf, bytes_of("b")).len, 0);
	assert_int_equal(index_shelf_find(shelf, bytes_of("c")).len, 5);
	assert_true(index_shelf_first(shelf, &waiting));
	assert_true(bytes_equal(waiting.key, bytes_of("c")));
	index_shelf_free(shelf);
}

static void test_what_is_to_be_saved_is_saved_in_order_and_as_it_is_by_then(void **state)
{
	(void)state;
	struct index_shelf *shelf = index_shelf_new(10000);
	struct index_waiting waiting;
	assert_false(index_shelf_first(shelf, &waiting));
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("one"));
	index_shelf_enqueue(shelf, bytes_of("a"), 10);
	index_shelf_keep(shelf, bytes_of("b"), BOB, bytes_of("two"));
	index_shelf_enqueue(shelf, bytes_of("b"), 20);
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("changed"));
	index_shelf_enqueue(shelf, bytes_of("a"), 30);
	assert_true(index_shelf_first(shelf, &waiting));
	assert_true(bytes_equal(waiting.key, bytes_of("a")));
	assert_true(bytes_equal(waiting.account, ADA));
	assert_true(bytes_equal(waiting.index, bytes_of("changed")));
	assert_int_equal(waiting.since_ms, 10);
	assert_int_equal(waiting.saved_ms, 0);
	index_shelf_dequeue(shelf);
	index_shelf_note_saved(shelf, bytes_of("a"), 40);
	assert_true(index_shelf_first(shelf, &waiting));
	assert_true(bytes_equal(waiting.key, bytes_of("b")));
	index_shelf_dequeue(shelf);
	assert_false(index_shelf_first(shelf, &waiting));
	index_shelf_keep(shelf, bytes_of("a"), ADA, bytes_of("again"));
	index_shelf_enqueue(shelf, bytes_of("a"), 50);
	assert_true(index_shelf_first(shelf, &waiting));
	assert_int_equal(waiting.saved_ms, 40);
	index_shelf_free(shelf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_come_back_as_they_were),
		cmocka_unit_test(test_an_index_is_for_one_state_of_the_folder),
		cmocka_unit_test(test_every_damaged_octet_and_every_cut_is_noticed),
		cmocka_unit_test(test_messages_marked_deleted_are_left_out),
		cmocka_unit_test(test_providers_ids_are_kept),
		cmocka_unit_test(test_an_index_costs_about_four_octets_a_message),
		cmocka_unit_test(test_the_shelf_gives_what_was_kept_last),
		cmocka_unit_test(test_what_was_not_used_for_long_makes_way),
		cmocka_unit_test(
			test_sizes_that_were_learnt_are_those_of_the_next_session),
		cmocka_unit_test(test_that_a_list_was_cut_off_is_remembered),
		cmocka_unit_test(test_exact_sizes_are_found_in_whatever_order_they_came),
		cmocka_unit_test(test_an_account_is_forgotten_in_any_case_of_letters),
		cmocka_unit_test(
			test_what_is_to_be_saved_is_saved_in_order_and_as_it_is_by_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
