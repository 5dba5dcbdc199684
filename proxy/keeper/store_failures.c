/*
 * What -ERRs with a reference were about, for `popbridge explain`. Names that never
 * signed in are anybody's invention: theirs are kept apart, so that a guesser cannot push
 * those of users out.
 */
#include "proxy/keeper/store_internal.h"

enum { NOTE, TRIM_ACCOUNT, TRIM_ALL, NEXT_OF_REFERENCE, NEXT_OF_ACCOUNT };

#define COLUMNS "id, at_s, reference, account, address, kind, answer, cause, advice"

static const char *const sql[] = {
	[NOTE] = "INSERT INTO failures(at_s, reference, account, address, kind, answer, "
		 "cause, advice, is_stranger) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
		 "NOT EXISTS(SELECT 1 FROM accounts WHERE account = ?3 AND "
		 "right_count > 0))",
	[TRIM_ACCOUNT] = "DELETE FROM failures WHERE account = ?1 AND id <= "
			 "(SELECT id FROM failures WHERE account = ?1 "
			 "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
	[TRIM_ALL] = "DELETE FROM failures WHERE is_stranger = ?1 AND id <= "
		     "(SELECT id FROM failures WHERE is_stranger = ?1 "
		     "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
	[NEXT_OF_REFERENCE] = "SELECT " COLUMNS " FROM failures WHERE reference = ?1 "
			      "AND id < ?2 ORDER BY id DESC LIMIT 1",
	[NEXT_OF_ACCOUNT] = "SELECT " COLUMNS " FROM failures WHERE account = ?1 "
			    "AND id < ?2 ORDER BY id DESC LIMIT 1",
};

const struct store_sql store_failures_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

static void trim(struct store *store, bool strangers, uint64_t kept)
{
	sqlite3_stmt *delete = store_writing(store, STORE_FAILURES, TRIM_ALL);

	store_bind_number(delete, 1, strangers);
	store_bind_number(delete, 2, kept);
	store_run(store, delete);
}

static void trim_account(struct store *store, struct bytes account)
{
	sqlite3_stmt *delete = store_writing(store, STORE_FAILURES, TRIM_ACCOUNT);

	store_bind(delete, 1, account);
	store_bind_number(delete, 2, STORE_FAILURES_OF_ONE);
	store_run(store, delete);
}

void store_note_failure(struct store *store, const struct store_failure *failure,
			uint64_t now_s)
{
	sqlite3_stmt *note = store_writing(store, STORE_FAILURES, NOTE);

	store_bind_number(note, 1, now_s);
	store_bind_number(note, 2, failure->reference);
	store_bind(note, 3, failure->account);
	store_bind_address(note, 4, failure->address);
	store_bind_number(note, 5, failure->kind);
	store_bind(note, 6, failure->answer);
	store_bind(note, 7, failure->cause);
	store_bind(note, 8, failure->advice);
	store_run(store, note);
	if (failure->account.len > 0) { // else it is of many clients
		trim_account(store, failure->account);
	}
	if (++store->failures_noted % STORE_FAILURES_TRIM == 0) {
		trim(store, false, STORE_FAILURES_MAX);
		trim(store, true, STORE_FAILURES_STRANGERS);
	}
}

/* A text of the row, copied behind those before. */
static struct bytes keep_text(sqlite3_stmt *row, int place, struct buffer *texts)
{
	const struct bytes text = store_text(row, place);
	const size_t at = texts->len;

	if (text.len == 0 || !buffer_append(texts, text)) {
		return (struct bytes){ 0 };
	}
	return (struct bytes){ texts->data + at, text.len };
}

/* COLUMNS, by their order. */
static void read_row(sqlite3_stmt *row, struct buffer *texts, struct store_failure *out)
{
	buffer_clear(texts);
	buffer_reserve(texts, texts->max); // it must not move any more
	out->id = store_number(row, 0);
	out->at_s = store_number(row, 1);
	out->reference = (uint32_t)store_number(row, 2);
	out->account = keep_text(row, 3, texts);
	store_address(row, 4, out->address);
	out->kind = (uint32_t)store_number(row, 5);
	out->answer = keep_text(row, 6, texts);
	out->cause = keep_text(row, 7, texts);
	out->advice = keep_text(row, 8, texts);
}

static bool next(struct store *store, sqlite3_stmt *get, uint64_t before,
		 struct buffer *texts, struct store_failure *out)
{
	store_bind_number(get, 2, before < INT64_MAX ? before : INT64_MAX);
	if (!store_next_row(store, get)) {
		return false;
	}
	read_row(get, texts, out);
	sqlite3_reset(get);
	return true;
}

bool store_failure_by_reference(struct store *store, uint32_t reference, uint64_t before,
				struct buffer *texts, struct store_failure *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_FAILURES, NEXT_OF_REFERENCE);

	store_bind_number(get, 1, reference);
	return next(store, get, before, texts, out);
}

bool store_failure_of_account(struct store *store, struct bytes account, uint64_t before,
			      struct buffer *texts, struct store_failure *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_FAILURES, NEXT_OF_ACCOUNT);

	store_bind(get, 1, account);
	return next(store, get, before, texts, out);
}
