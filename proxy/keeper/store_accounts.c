/*
 * How accounts fare, and the addresses they are known from.
 */
#include "proxy/keeper/store_internal.h"

enum {
	IS_KNOWN,
	NOTE_KNOWN,
	TRIM_KNOWN,
	HAS_ACCOUNT,
	COUNT_FAILING,
	NOTE_ACCOUNT,
	NOTE_SIGN_IN,
	NOTE_ENDED,
	NOTE_SUSPECT,
	NEXT_ACCOUNT
};

#define ACCOUNT_COLUMNS                                                                  \
	"account, last_s, last_right_s, last_wrong_s, last_outcome, last_address,"       \
	" right_count, wrong_count, no_answer_count, wrong_since_right, sessions,"       \
	" retrieved, lost_dele, last_lost_dele_s, suspect, lost_in_a_row, "              \
	"no_answer_in_a_row"

static const char *const sql[] = {
	[IS_KNOWN] = "SELECT 1 FROM known_addresses WHERE account = ? AND block = ?",
	[NOTE_KNOWN] = "INSERT OR REPLACE INTO known_addresses VALUES(?1, ?2, ?3)",
	[TRIM_KNOWN] = "DELETE FROM known_addresses WHERE account = ?1 AND block IN "
		       "(SELECT block FROM known_addresses WHERE account = ?1 "
		       "ORDER BY last_s DESC LIMIT -1 OFFSET ?2)",
	[HAS_ACCOUNT] = "SELECT 1 FROM accounts WHERE account = ?",
	[COUNT_FAILING] = "SELECT count(*) FROM accounts WHERE right_count = 0",
	[NOTE_ACCOUNT] = "INSERT INTO accounts(account, last_s, last_address) "
			 "VALUES(?1, ?2, zeroblob(16)) "
			 "ON CONFLICT(account) DO UPDATE SET last_s = ?2",
	[NOTE_SIGN_IN] =
		"UPDATE accounts SET last_address = ?2, last_outcome = ?3, "
		"last_right_s = iif(?3 = 1, ?4, last_right_s), "
		"last_wrong_s = iif(?3 = 0, ?4, last_wrong_s), "
		"right_count = right_count + (?3 = 1), "
		"wrong_count = wrong_count + (?3 = 0), "
		"no_answer_count = no_answer_count + (?3 = 2), "
		"wrong_since_right = iif(?3 = 1, 0, wrong_since_right + (?3 = 0)), "
		"no_answer_in_a_row = iif(?3 = 2, no_answer_in_a_row + 1, 0) "
		"WHERE account = ?1",
	[NOTE_ENDED] = "UPDATE accounts SET sessions = sessions + 1, "
		       "retrieved = retrieved + ?2, lost_dele = lost_dele + (?3 > 0), "
		       "last_lost_dele_s = iif(?3 > 0, ?4, last_lost_dele_s), "
		       "lost_in_a_row = CASE WHEN ?3 > 0 THEN lost_in_a_row + 1 "
		       "WHEN ?5 > 0 THEN 0 ELSE lost_in_a_row END "
		       "WHERE account = ?1",
	[NOTE_SUSPECT] = "UPDATE accounts SET suspect = suspect + 1 WHERE account = ?",
	[NEXT_ACCOUNT] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE account > ?1 "
			 "OR (?2 AND account = ?1) ORDER BY account LIMIT 1",
};

const struct store_sql store_accounts_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void store_count_failing(struct store *store)
{
	sqlite3_stmt *count = store_statement(store, STORE_ACCOUNTS, COUNT_FAILING);

	if (store_next_row(store, count)) {
		store->failing = (uint64_t)sqlite3_column_int64(count, 0);
	}
	sqlite3_reset(count);
}

bool store_is_known(struct store *store, struct bytes account,
		    const unsigned char block[KEEPER_ADDRESS_BYTES])
{
	sqlite3_stmt *get = store_statement(store, STORE_ACCOUNTS, IS_KNOWN);
	bool known;

	store_bind(get, 1, account);
	store_bind_address(get, 2, block);
	known = store_next_row(store, get);
	sqlite3_reset(get);
	return known;
}

void store_note_known(struct store *store, struct bytes account,
		      const unsigned char block[KEEPER_ADDRESS_BYTES], uint64_t now_s)
{
	sqlite3_stmt *note = store_writing(store, STORE_ACCOUNTS, NOTE_KNOWN);
	sqlite3_stmt *trim = store_statement(store, STORE_ACCOUNTS, TRIM_KNOWN);

	store_bind(note, 1, account);
	store_bind_address(note, 2, block);
	store_bind_number(note, 3, now_s);
	store_run(store, note);
	store_bind(trim, 1, account);
	store_bind_number(trim, 2, STORE_KNOWN_MAX);
	store_run(store, trim);
}

/* Names that never signed in rightly are anybody's invention: only so many are kept. */
static bool may_note(struct store *store, struct bytes account, bool was_right)
{
	sqlite3_stmt *has = store_statement(store, STORE_ACCOUNTS, HAS_ACCOUNT);
	bool exists;

	store_bind(has, 1, account);
	exists = store_next_row(store, has);
	sqlite3_reset(has);
	if (exists || was_right) {
		return true;
	}
	if (store->failing >= STORE_FAILING_MAX) {
		return false;
	}
	store->failing++;
	return true;
}

static bool note_account(struct store *store, struct bytes account, bool was_right,
			 uint64_t now_s)
{
	if (!may_note(store, account, was_right)) {
		return false;
	}
	sqlite3_stmt *note = store_writing(store, STORE_ACCOUNTS, NOTE_ACCOUNT);

	store_bind(note, 1, account);
	store_bind_number(note, 2, now_s);
	return store_run(store, note);
}

void store_note_sign_in(struct store *store, struct bytes account,
			const unsigned char address[KEEPER_ADDRESS_BYTES],
			enum keeper_outcome outcome, uint64_t now_s)
{
	if (!note_account(store, account, outcome == KEEPER_RIGHT, now_s)) {
		return;
	}
	sqlite3_stmt *note = store_writing(store, STORE_ACCOUNTS, NOTE_SIGN_IN);

	store_bind(note, 1, account);
	store_bind_address(note, 2, address);
	store_bind_number(note, 3, outcome);
	store_bind_number(note, 4, now_s);
	store_run(store, note);
}

void store_note_ended(struct store *store, struct bytes account,
		      const struct store_session *session, uint64_t now_s)
{
	if (!note_account(store, account, false, now_s)) {
		return;
	}
	sqlite3_stmt *note = store_writing(store, STORE_ACCOUNTS, NOTE_ENDED);

	store_bind(note, 1, account);
	store_bind_number(note, 2, session->retrieved);
	store_bind_number(note, 3, session->lost_dele);
	store_bind_number(note, 4, now_s);
	store_bind_number(note, 5, session->removed);
	store_run(store, note);
}

void store_note_suspect(struct store *store, struct bytes account, uint64_t now_s)
{
	if (!note_account(store, account, false, now_s)) {
		return;
	}
	sqlite3_stmt *note = store_writing(store, STORE_ACCOUNTS, NOTE_SUSPECT);

	store_bind(note, 1, account);
	store_run(store, note);
}

/* ACCOUNT_COLUMNS, by their order. */
static void read_account(sqlite3_stmt *row, struct store_account *out)
{
	*out = (struct store_account){
		.last_s = store_number(row, 1),
		.last_right_s = store_number(row, 2),
		.last_wrong_s = store_number(row, 3),
		.last_outcome = (enum keeper_outcome)store_number(row, 4),
		.right = store_number(row, 6),
		.wrong = store_number(row, 7),
		.no_answer = store_number(row, 8),
		.wrong_since_right = store_number(row, 9),
		.sessions = store_number(row, 10),
		.retrieved = store_number(row, 11),
		.lost_dele = store_number(row, 12),
		.last_lost_dele_s = store_number(row, 13),
		.suspect = store_number(row, 14),
		.lost_in_a_row = store_number(row, 15),
		.no_answer_in_a_row = store_number(row, 16),
	};
	store_address(row, 5, out->last_address);
}

/* The first at or behind a name. */
static bool find_account(struct store *store, struct bytes from, bool or_this,
			 struct buffer *name, struct store_account *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_ACCOUNTS, NEXT_ACCOUNT);

	store_bind(get, 1, from);
	store_bind_number(get, 2, or_this);
	if (!store_next_row(store, get)) {
		return false;
	}
	buffer_clear(name);
	bool fits = buffer_append(name, store_text(get, 0));
	read_account(get, out);
	sqlite3_reset(get);
	return fits;
}

bool store_account(struct store *store, struct bytes account, struct store_account *out)
{
	struct buffer name;
	bool found;

	buffer_init(&name, KEEPER_TEXT_MAX);
	found = find_account(store, account, true, &name, out) &&
		bytes_equal(buffer_bytes(&name), account);
	buffer_release(&name);
	return found;
}

bool store_next_account(struct store *store, struct bytes after, struct buffer *name,
			struct store_account *out)
{
	return find_account(store, after, false, name, out);
}
