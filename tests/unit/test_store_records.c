/*
 * What the store keeps for operators: failures, uses of old TLS, messages left flagged;
 * and that it goes.
 */
#include "proxy/keeper/store.h"
#include "proxy/keeper/store_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S ((uint64_t)1800000000)
#define ADA bytes_of("ada@example.com")
#define DROP bytes_of("imap.example.com:993\nada\nINBOX")

static const unsigned char address[KEEPER_ADDRESS_BYTES] = { 0x20, 0x01, [15] = 1 };

static struct store *in_memory(void)
{
	struct failure failure;
	struct store *store = store_open(NULL, &failure);

	assert_non_null(store);
	return store;
}

static void note_failure(struct store *store, struct bytes account, uint32_t reference)
{
	struct store_failure failure = { .reference = reference,
					 .kind = FAILURE_PERMANENT,
					 .account = account,
					 .answer = bytes_of("[SYS/PERM] no"),
					 .cause = bytes_of("no such host"),
					 .advice = bytes_of("look") };

	memcpy(failure.address, address, sizeof(address));
	store_note_failure(store, &failure, NOW_S + reference);
}

static uint64_t count_of(struct store *store, struct bytes account)
{
	struct store_failure found = { .id = UINT64_MAX };
	struct buffer texts;
	uint64_t count = 0;

	buffer_init(&texts, STORE_FAILURE_TEXTS);
	while (store_failure_of_account(store, account, found.id, &texts, &found)) {
		count++;
	}
	buffer_release(&texts);
	return count;
}

static bool is_known(struct store *store, uint32_t reference)
{
	struct store_failure found;
	struct buffer texts;
	bool known;

	buffer_init(&texts, STORE_FAILURE_TEXTS);
	known = store_failure_by_reference(store, reference, UINT64_MAX, &texts, &found);
	buffer_release(&texts);
	return known;
}

static void test_a_failure_is_found_by_its_reference_and_by_its_user(void **state)
{
	(void)state;
	struct store *store = in_memory();
	struct store_failure found;
	struct buffer texts;

	buffer_init(&texts, STORE_FAILURE_TEXTS);
	note_failure(store, ADA, 0x7f3a9c);
	note_failure(store, bytes_of("bob"), 1);
	assert_true(
		store_failure_by_reference(store, 0x7f3a9c, UINT64_MAX, &texts, &found));
	assert_int_equal(found.at_s, NOW_S + 0x7f3a9c);
	assert_int_equal(found.kind, FAILURE_PERMANENT);
	assert_memory_equal(found.address, address, sizeof(address));
	assert_true(bytes_equal(found.account, ADA));
	assert_true(bytes_equal(found.answer, bytes_of("[SYS/PERM] no")));
	assert_true(bytes_equal(found.cause, bytes_of("no such host")));
	assert_true(bytes_equal(found.advice, bytes_of("look")));
	assert_false(
		store_failure_by_reference(store, 0x7f3a9c, found.id, &texts, &found));
	assert_int_equal(count_of(store, bytes_of("bob")), 1);
	assert_int_equal(count_of(store, bytes_of("eve")), 0);
	buffer_release(&texts);
	store_close(store);
}

static void test_of_one_user_the_last_20_are_kept(void **state)
{
	(void)state;
	struct store *store = in_memory();

	for (uint32_t i = 1; i <= 30; i++) {
		note_failure(store, ADA, i);
	}
	assert_int_equal(count_of(store, ADA), STORE_FAILURES_OF_ONE);
	assert_false(is_known(store, 10));
	assert_true(is_known(store, 11));
	store_close(store);
}

static void test_a_guesser_with_many_names_pushes_no_user_out(void **state)
{
	(void)state;
	struct store *store = in_memory();
	char name[16];

	store_note_sign_in(store, ADA, address, KEEPER_RIGHT, NOW_S);
	note_failure(store, ADA, 1);
	for (uint32_t i = 2; i < 4 * STORE_FAILURES_STRANGERS; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		note_failure(store, bytes_of(name), i);
	}
	assert_true(is_known(store, 1));
	assert_false(is_known(store, 2));
	assert_false(is_known(store, 4 * STORE_FAILURES_STRANGERS -
					     STORE_FAILURES_STRANGERS -
					     2 * STORE_FAILURES_TRIM));
	assert_true(is_known(store, 4 * STORE_FAILURES_STRANGERS - 1));
	store_close(store);
}

static void test_legacy_has_a_row_for_each_user_address_and_protocol(void **state)
{
	static const unsigned char other[KEEPER_ADDRESS_BYTES] = { 0x20, 0x02 };
	(void)state;
	struct store *store = in_memory();
	struct store_legacy row = { .count = 0 };
	struct buffer name;

	buffer_init(&name, KEEPER_TEXT_MAX);
	store_note_legacy(store, ADA, address, KEEPER_NO_TLS, NOW_S);
	store_note_legacy(store, ADA, address, KEEPER_NO_TLS, NOW_S + 5);
	store_note_legacy(store, ADA, address, KEEPER_TLS_1_1, NOW_S);
	store_note_legacy(store, bytes_of("bob"), other, KEEPER_TLS_1_0, NOW_S);
	assert_true(store_next_legacy(store, &name, &row));
	assert_true(bytes_equal(buffer_bytes(&name), ADA));
	assert_int_equal(row.tls, KEEPER_NO_TLS);
	assert_int_equal(row.count, 2);
	assert_int_equal(row.last_s, NOW_S + 5);
	assert_memory_equal(row.address, address, sizeof(address));
	assert_true(store_next_legacy(store, &name, &row));
	assert_int_equal(row.tls, KEEPER_TLS_1_1);
	assert_true(store_next_legacy(store, &name, &row));
	assert_true(bytes_equal(buffer_bytes(&name), bytes_of("bob")));
	assert_int_equal(row.tls, KEEPER_TLS_1_0);
	assert_false(store_next_legacy(store, &name, &row));
	buffer_release(&name);
	store_close(store);
}

static void note_left(struct store *store, uint32_t uidvalidity, const char *set)
{
	store_note_left(store,
			&(struct store_leftover){ .maildrop = DROP,
						  .account = ADA,
						  .uidvalidity = uidvalidity,
						  .set = bytes_of(set) },
			NOW_S);
}

static void assert_left(struct store *store, uint32_t uidvalidity, const char *expected)
{
	struct buffer set;

	buffer_init(&set, KEEPER_SET_MAX);
	store_left(store, DROP, uidvalidity, NOW_S, &set);
	assert_true(bytes_equal(buffer_bytes(&set), bytes_of(expected)));
	buffer_release(&set);
}

static void test_what_was_left_is_known_under_its_uidvalidity(void **state)
{
	(void)state;
	struct store *store = in_memory();

	note_left(store, 7, "1:3");
	note_left(store, 7, "9");
	note_left(store, 7, "1:3"); // again: it is there once
	note_left(store, 8, "4");
	assert_left(store, 7, "1:3,9");
	assert_left(store, 8, "4");
	assert_left(store, 9, "");
	store_close(store);
}

static void test_more_than_fits_into_an_answer_is_left_out_whole(void **state)
{
	(void)state;
	struct store *store = in_memory();
	struct buffer set;
	char one[16];

	for (uint32_t i = 1; i <= 5000; i++) {
		snprintf(one, sizeof(one), "%u", 10000000 + 2 * i);
		note_left(store, 7, one);
	}
	buffer_init(&set, KEEPER_SET_MAX);
	store_left(store, DROP, 7, NOW_S, &set);
	assert_in_range(set.len, KEEPER_SET_MAX - 16, KEEPER_SET_MAX);
	assert_memory_equal(set.data, "10010000,", 9);          // the newest first
	assert_memory_equal(set.data + set.len - 9, ",100", 4); // whole
	buffer_release(&set);
	store_close(store);
}

static uint64_t forget(struct store *store, const char *account)
{
	struct store_forgotten forgotten[STORE_FORGOTTEN];
	uint64_t count = 0;

	assert_true(store_forget(store, bytes_of(account), forgotten));
	for (size_t i = 0; i < STORE_FORGOTTEN; i++) {
		assert_non_null(forgotten[i].what);
		count += forgotten[i].count;
	}
	return count;
}

static void note_index(struct store *store, struct bytes account, uint64_t now_s)
{
	struct buffer drop;

	buffer_init(&drop, KEEPER_TEXT_MAX);
	buffer_append(&drop, bytes_of("imap.example.com:993 "));
	buffer_append(&drop, account);
	const uint64_t id = store_index_begin(store, buffer_bytes(&drop), account, now_s);

	assert_int_not_equal(id, 0);
	assert_true(store_index_add(store, id, 0, account));
	assert_true(store_index_end(store, id, account.len));
	buffer_release(&drop);
}

static const struct config_known by_uid = {
	.account = { "ada@example.com", 15 },
	.routed_as = { "ada@example.com", 15 },
	.folder = { "INBOX", 5 },
	.unique_id = { "{uid:08x}", 9 },
};

static void note_everything(struct store *store, struct bytes account)
{
	struct config_known known = by_uid;

	known.account = account;
	store_note_unique_ids(store, &known, NOW_S);
	note_index(store, account, NOW_S);
	store_note_sign_in(store, account, address, KEEPER_RIGHT, NOW_S);
	store_note_known(store, account, address, NOW_S);
	note_failure(store, account, 1);
	store_note_legacy(store, account, address, KEEPER_NO_TLS, NOW_S);
	note_left(store, 7, "1");
}

static void test_forgetting_takes_every_kind_and_every_spelling_of_the_name(void **state)
{
	(void)state;
	struct store *store = in_memory();

	note_everything(store, ADA);
	note_everything(store, bytes_of("bob"));
	store_note_sign_in(store, bytes_of("Ada@Example.COM"), address, KEEPER_RIGHT,
			   NOW_S);
	assert_int_equal(forget(store, "ADA@example.com"), 8); // one set is in common
	assert_int_equal(forget(store, "ada@example.com"), 0);
	assert_int_equal(count_of(store, ADA), 0);
	assert_int_equal(count_of(store, bytes_of("bob")), 1);
	assert_int_equal(forget(store, "bo_"), 0); // no pattern
	store_close(store);
}

static void test_traces_are_every_spelling_and_address_once(void **state)
{
	static const unsigned char other[KEEPER_ADDRESS_BYTES] = { 0x20, 0x02 };
	(void)state;
	struct store *store = in_memory();
	unsigned char found[KEEPER_ADDRESS_BYTES];
	struct buffer name;

	note_everything(store, ADA);
	note_everything(store, bytes_of("bob"));
	store_note_known(store, bytes_of("ADA@example.com"), other, NOW_S);
	buffer_init(&name, KEEPER_TEXT_MAX);
	assert_true(store_next_trace(store, ADA, true, &name, found));
	assert_true(bytes_equal(buffer_bytes(&name), bytes_of("ADA@example.com")));
	assert_memory_equal(found, other, sizeof(other));
	assert_true(store_next_trace(store, ADA, false, &name, found));
	assert_true(bytes_equal(buffer_bytes(&name), ADA));
	assert_memory_equal(found, address, sizeof(address));
	assert_false(store_next_trace(store, ADA, false, &name, found));
	assert_false(store_next_trace(store, bytes_of("eve"), true, &name, found));
	buffer_release(&name);
	store_close(store);
}

static void test_unused_records_of_every_kind_expire_after_90_days(void **state)
{
	(void)state;
	struct store *store = in_memory();

	note_everything(store, ADA);
	store_expire(store, NOW_S + STORE_KEPT_S);
	assert_int_equal(count_of(store, ADA), 1);
	assert_left(store, 7, "1");
	store_expire(store, NOW_S + STORE_KEPT_S + 10);
	assert_int_equal(forget(store, "ada@example.com"), 0);
	assert_left(store, 7, "");
	store_close(store);
}

static struct buffer piece_of(struct store *store, uint32_t number)
{
	struct buffer piece;

	buffer_init(&piece, KEEPER_PIECE_MAX);
	store_index_piece(store, DROP, number, NOW_S, &piece);
	return piece;
}

static size_t len_of(struct store *store, uint32_t number)
{
	struct buffer piece = piece_of(store, number);
	const size_t len = piece.len;

	buffer_release(&piece);
	return len;
}

static void test_an_index_is_there_when_all_its_pieces_are(void **state)
{
	(void)state;
	struct store *store = in_memory();
	uint64_t first, second;

	assert_int_equal(len_of(store, 0), 0);
	first = store_index_begin(store, DROP, ADA, NOW_S);
	assert_true(store_index_add(store, first, 0, bytes_of("one ")));
	assert_true(store_index_add(store, first, 1, bytes_of("two")));
	assert_int_equal(len_of(store, 0), 0);
	assert_true(store_index_end(store, first, 7));
	assert_int_equal(len_of(store, 0), 4);
	assert_int_equal(len_of(store, 1), 3);
	assert_int_equal(len_of(store, 2), 0);
	second = store_index_begin(store, DROP, ADA, NOW_S);
	assert_int_equal(len_of(store, 0), 0); // the old one is gone at once
	assert_false(store_index_add(store, first, 2, bytes_of("late")));
	assert_false(store_index_end(store, first, 11));
	assert_true(store_index_add(store, second, 0, bytes_of("new")));
	assert_true(store_index_end(store, second, 3));
	assert_int_equal(len_of(store, 0), 3);
	assert_int_equal(len_of(store, 1), 0);
	store_close(store);
}

static void test_an_index_that_is_used_does_not_expire(void **state)
{
	(void)state;
	struct store *store = in_memory();
	const uint64_t id = store_index_begin(store, DROP, ADA, NOW_S - STORE_KEPT_S);

	assert_true(store_index_add(store, id, 0, bytes_of("index")));
	assert_true(store_index_end(store, id, 5));
	assert_int_equal(len_of(store, 0), 5);
	store_expire(store, NOW_S + 1);
	assert_int_equal(len_of(store, 0), 5);
	store_expire(store, NOW_S + STORE_KEPT_S + 1);
	assert_int_equal(len_of(store, 0), 0);
	store_close(store);
}

static void test_what_unique_ids_are_made_by_is_what_was_noted_last(void **state)
{
	(void)state;
	struct store *store = in_memory();
	struct config_known other = by_uid, found = { .account = { 0 } };
	struct buffer texts;

	buffer_init(&texts, STORE_KNOWN_TEXTS);
	store_note_unique_ids(store, &by_uid, NOW_S);
	other.folder = bytes_of("");
	store_note_unique_ids(store, &other, NOW_S);
	other.folder = by_uid.folder;
	other.unique_id = bytes_of("{uid}");
	store_note_unique_ids(store, &other, NOW_S);
	assert_true(store_next_unique_ids(store, &texts, &found));
	assert_int_equal(found.folder.len, 0);
	assert_true(bytes_equal(found.unique_id, by_uid.unique_id));
	assert_true(store_next_unique_ids(store, &texts, &found));
	assert_true(bytes_equal(found.account, ADA));
	assert_true(bytes_equal(found.folder, by_uid.folder));
	assert_true(bytes_equal(found.unique_id, bytes_of("{uid}")));
	store_drop_unique_ids(store, &found);
	assert_false(store_next_unique_ids(store, &texts, &found));
	found = (struct config_known){ .account = { 0 } };
	assert_true(store_next_unique_ids(store, &texts, &found));
	assert_false(store_next_unique_ids(store, &texts, &found));
	buffer_release(&texts);
	store_close(store);
}

/* A session that removed what it marked ends a row of those that lost theirs. */
static void test_sessions_without_quit_are_counted_until_one_has_it(void **state)
{
	static const struct {
		struct store_session session;
		unsigned in_a_row;
	} sessions[] = {
		{ { .lost_dele = 2 }, 1 }, { { .retrieved = 1 }, 1 },
		{ { .lost_dele = 1 }, 2 }, { { .removed = 1 }, 0 },
		{ { .lost_dele = 1 }, 1 },
	};
	(void)state;
	struct store *store = in_memory();
	struct store_account account;

	for (size_t i = 0; i < sizeof(sessions) / sizeof(*sessions); i++) {
		store_note_ended(store, ADA, &sessions[i].session, NOW_S);
		assert_true(store_account(store, ADA, &account));
		assert_int_equal(account.lost_in_a_row, sessions[i].in_a_row);
	}
	store_close(store);
}

static void test_sign_ins_without_an_answer_are_counted_in_a_row(void **state)
{
	static const struct {
		enum keeper_outcome outcome;
		unsigned in_a_row;
	} tries[] = { { KEEPER_NO_ANSWER, 1 },
		      { KEEPER_NO_ANSWER, 2 },
		      { KEEPER_RIGHT, 0 },
		      { KEEPER_NO_ANSWER, 1 },
		      { KEEPER_WRONG, 0 } };
	(void)state;
	struct store *store = in_memory();
	struct store_account account;

	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		store_note_sign_in(store, ADA, address, tries[i].outcome, NOW_S);
		assert_true(store_account(store, ADA, &account));
		assert_int_equal(account.no_answer_in_a_row, tries[i].in_a_row);
	}
	store_close(store);
}

static void path_in(const char *directory, const char *name, char out[256])
{
	assert_in_range(snprintf(out, 256, "%s/%s", directory, name), 1, 255);
}

static void make_version_1(const char *path)
{
	const struct store_schema first = { store_schema.steps, 1 };
	struct failure failure;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_true(store_schema_bring(db, path, &first, &failure));
	assert_int_equal(sqlite3_exec(db,
				      "INSERT INTO accounts(account, last_s, "
				      "last_address, right_count) "
				      "VALUES(CAST('ada@example.com' AS BLOB), 5, "
				      "zeroblob(16), 3)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
}

static void test_a_store_of_version_1_keeps_its_accounts_and_a_copy(void **state)
{
	static const char *const names[] = { "popbridge.db", "popbridge.lock",
					     "popbridge.db.version-1" };
	(void)state;
	struct store_account account;
	struct failure failure;
	char directory[64];
	char path[256];

	snprintf(directory, sizeof(directory), "%s/store-test-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(directory));
	path_in(directory, "popbridge.db", path);
	make_version_1(path);
	struct store *store = store_open(directory, &failure);

	assert_non_null(store);
	assert_true(store_account(store, ADA, &account));
	assert_int_equal(account.right, 3);
	assert_int_equal(account.lost_in_a_row, 0);
	note_failure(store, ADA, 1);
	assert_int_equal(count_of(store, ADA), 1);
	note_index(store, ADA, NOW_S);
	store_close(store);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		path_in(directory, names[i], path);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_failure_is_found_by_its_reference_and_by_its_user),
		cmocka_unit_test(test_of_one_user_the_last_20_are_kept),
		cmocka_unit_test(test_a_guesser_with_many_names_pushes_no_user_out),
		cmocka_unit_test(
			test_legacy_has_a_row_for_each_user_address_and_protocol),
		cmocka_unit_test(test_what_was_left_is_known_under_its_uidvalidity),
		cmocka_unit_test(test_more_than_fits_into_an_answer_is_left_out_whole),
		cmocka_unit_test(
			test_forgetting_takes_every_kind_and_every_spelling_of_the_name),
		cmocka_unit_test(test_traces_are_every_spelling_and_address_once),
		cmocka_unit_test(test_unused_records_of_every_kind_expire_after_90_days),
		cmocka_unit_test(test_an_index_is_there_when_all_its_pieces_are),
		cmocka_unit_test(test_an_index_that_is_used_does_not_expire),
		cmocka_unit_test(test_what_unique_ids_are_made_by_is_what_was_noted_last),
		cmocka_unit_test(test_sessions_without_quit_are_counted_until_one_has_it),
		cmocka_unit_test(test_sign_ins_without_an_answer_are_counted_in_a_row),
		cmocka_unit_test(test_a_store_of_version_1_keeps_its_accounts_and_a_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
