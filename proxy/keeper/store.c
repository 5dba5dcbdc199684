/*
 * All goes well: writes collect in one transaction that the keeper commits about once a
 * second; reads see them at once.
 *
 * Durability. Everything here may lose its last second with the power: a throttle that
 * forgets a guess, a count that is one short, an address that proves itself again. So
 * these tables are written with synchronous=NORMAL: in WAL mode a commit does not wait
 * for the disk, only the checkpoint does, and a crash at any moment leaves a store that
 * is whole, if a little old. A crash of the process alone loses nothing committed.
 * Schema changes and erasure are written with synchronous=FULL: what `forget` said is
 * gone must not come back. So will be what somebody was promised (accounts, tokens),
 * once it is kept here.
 */
#include "proxy/keeper/store.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/store_directory.h"
#include "proxy/keeper/store_schema.h"
#include "proxy/rt/keyed_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(THROTTLE_KEY_BYTES == KEYED_HASH_BYTES, "one key");

#define COMPLAIN_S 60
#define PLACES_KEPT_S 7200 // 30 halvings: nothing is left

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	SETTING,
	SET_SETTING,
	PLACE,
	SAVE_PLACE,
	IS_KNOWN,
	NOTE_KNOWN,
	TRIM_KNOWN,
	HAS_ACCOUNT,
	COUNT_FAILING,
	NOTE_ACCOUNT,
	NOTE_SIGN_IN,
	NOTE_ENDED,
	NOTE_SUSPECT,
	NEXT_ACCOUNT,
	FORGET_ACCOUNT,
	FORGET_KNOWN,
	EXPIRE_ACCOUNTS,
	EXPIRE_KNOWN,
	EXPIRE_PLACES,
	STATEMENTS
};

#define ACCOUNT_COLUMNS                                                                  \
	"account, last_s, last_right_s, last_wrong_s, last_outcome, last_address,"       \
	" right_count, wrong_count, no_answer_count, wrong_since_right, sessions,"       \
	" retrieved, lost_dele, last_lost_dele_s, suspect"

static const char *const sql[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[SETTING] = "SELECT value FROM settings WHERE name = ?",
	[SET_SETTING] = "INSERT OR REPLACE INTO settings VALUES(?, ?)",
	[PLACE] = "SELECT place, failures, saved_s FROM throttle ORDER BY failures",
	[SAVE_PLACE] = "INSERT OR REPLACE INTO throttle VALUES(?, ?, ?)",
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
		"wrong_since_right = iif(?3 = 1, 0, wrong_since_right + (?3 = 0)) "
		"WHERE account = ?1",
	[NOTE_ENDED] = "UPDATE accounts SET sessions = sessions + 1, "
		       "retrieved = retrieved + ?2, lost_dele = lost_dele + (?3 > 0), "
		       "last_lost_dele_s = iif(?3 > 0, ?4, last_lost_dele_s) "
		       "WHERE account = ?1",
	[NOTE_SUSPECT] = "UPDATE accounts SET suspect = suspect + 1 WHERE account = ?",
	[NEXT_ACCOUNT] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE account > ?1 "
			 "OR (?2 AND account = ?1) ORDER BY account LIMIT 1",
	[FORGET_ACCOUNT] = "DELETE FROM accounts WHERE account = ?",
	[FORGET_KNOWN] = "DELETE FROM known_addresses WHERE account = ?",
	[EXPIRE_ACCOUNTS] = "DELETE FROM accounts WHERE last_s < ?",
	[EXPIRE_KNOWN] = "DELETE FROM known_addresses WHERE last_s < ?",
	[EXPIRE_PLACES] = "DELETE FROM throttle WHERE saved_s < ?",
};

struct store {
	sqlite3 *db;
	int lock_fd;    // of the directory; -1: in memory
	bool lost_some; // since the last commit
	uint64_t complain_s;
	uint64_t failing; // accounts that never signed in rightly: at least that many
	sqlite3_stmt *statements[STATEMENTS];
};

static void complain(struct store *store)
{
	struct timespec now;

	store->lost_some = true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec >= store->complain_s) {
		store->complain_s = (uint64_t)now.tv_sec + COMPLAIN_S;
		log_say(LOG_ERROR, "store not written", "%s", sqlite3_errmsg(store->db));
	}
}

static sqlite3_stmt *statement(struct store *store, enum statement which)
{
	sqlite3_stmt *found = store->statements[which];

	sqlite3_reset(found);
	return found;
}

static void bind(sqlite3_stmt *statement, int place, struct bytes text)
{
	/* A NULL pointer would be NULL, not an empty name. */
	sqlite3_bind_blob64(statement, place, text.len > 0 ? text.at : "", text.len,
			    SQLITE_TRANSIENT);
}

static void bind_address(sqlite3_stmt *statement, int place, const unsigned char *address)
{
	bind(statement, place,
	     (struct bytes){ (const char *)address, KEEPER_ADDRESS_BYTES });
}

static void bind_number(sqlite3_stmt *statement, int place, uint64_t number)
{
	sqlite3_bind_int64(statement, place, (sqlite3_int64)number);
}

/* True: there is a row. */
static bool next_row(struct store *store, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	if (result != SQLITE_ROW && result != SQLITE_DONE) {
		complain(store);
	}
	if (result != SQLITE_ROW) {
		sqlite3_reset(statement);
	}
	return result == SQLITE_ROW;
}

/* Runs a statement without an answer. */
static bool run(struct store *store, sqlite3_stmt *statement)
{
	bool done = sqlite3_step(statement) == SQLITE_DONE;

	if (!done) {
		complain(store);
	}
	sqlite3_reset(statement);
	return done;
}

/* A statement that writes, inside the transaction that store_commit() ends. */
static sqlite3_stmt *writing(struct store *store, enum statement which)
{
	/* The disk may have made SQLite roll back by itself. */
	if (sqlite3_get_autocommit(store->db)) {
		run(store, statement(store, BEGIN));
	}
	return statement(store, which);
}

bool store_commit(struct store *store)
{
	bool lost = store->lost_some;

	if (!sqlite3_get_autocommit(store->db) && !run(store, statement(store, COMMIT))) {
		lost = true;
		if (!sqlite3_get_autocommit(store->db)) {
			run(store, statement(store, ROLLBACK));
		}
	}
	store->lost_some = false;
	return !lost;
}

static bool prepare(struct store *store)
{
	for (size_t i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statements[i], NULL) != SQLITE_OK) {
			return false;
		}
	}
	return true;
}

static bool execute(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static bool is_whole(struct store *store)
{
	sqlite3_stmt *check = NULL;
	bool whole = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &check,
					NULL) == SQLITE_OK &&
		     sqlite3_step(check) == SQLITE_ROW &&
		     strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;

	sqlite3_finalize(check);
	return whole;
}

static bool unusable(struct store *store, const char *path, struct failure *failure)
{
	int code = sqlite3_errcode(store->db);
	const char *why = code == SQLITE_OK ? "its pages do not fit together"
					    : sqlite3_errmsg(store->db);

	failure_set(failure, FAILURE_PERMANENT, "the store %s cannot be used: %s", path,
		    why);
	if (code == SQLITE_OK || code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
		failure_advise(
			failure,
			"it is damaged: move it away with its -wal and -shm files, "
			"or put back a copy; throttles and statistics begin anew");
	}
	return false;
}

/* Waits for nobody: whoever else has the file open has no business there. */
static bool set_up(struct store *store, const char *path, struct failure *failure)
{
	if (sqlite3_db_readonly(store->db, "main") == 1) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "cannot write the store %s; run: chown %u:%u %s*",
				   path, (unsigned)geteuid(), (unsigned)getegid(), path);
	}
	if (!execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			    "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
			    "PRAGMA journal_size_limit = 4194304") ||
	    !is_whole(store)) {
		return unusable(store, path, failure);
	}
	if (!store_schema_bring(store->db, store->lock_fd >= 0 ? path : NULL,
				&store_schema, failure)) {
		return failure_prefix(failure, "the store %s", path);
	}
	if (!execute(store, "PRAGMA synchronous = NORMAL") || !prepare(store)) {
		return unusable(store, path, failure);
	}
	return true;
}

static void count_failing(struct store *store)
{
	sqlite3_stmt *count = statement(store, COUNT_FAILING);

	if (next_row(store, count)) {
		store->failing = (uint64_t)sqlite3_column_int64(count, 0);
	}
	sqlite3_reset(count);
}

static bool open_file(struct store *store, const char *path, struct failure *failure)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
		return unusable(store, path, failure);
	}
	sqlite3_busy_timeout(store->db, 1000); // `popbridge status` may be reading
	return set_up(store, path, failure);
}

struct store *store_open(const char *directory, struct failure *failure)
{
	struct store *store = memory_new(sizeof(*store));
	char path[STORE_PATH_MAX] = ":memory:";
	int len = 0;

	store->lock_fd = -1;
	if (directory) {
		store->lock_fd = store_directory_claim(directory, failure);
		len = snprintf(path, sizeof(path), "%s/popbridge.db", directory);
	}
	if ((directory && store->lock_fd < 0) || len < 0 || (size_t)len >= sizeof(path) ||
	    !open_file(store, path, failure)) {
		store_close(store);
		return NULL;
	}
	count_failing(store);
	return store;
}

void store_close(struct store *store)
{
	if (!store) {
		return;
	}
	if (store->statements[STATEMENTS - 1]) {
		store_commit(store);
	}
	for (size_t i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(store->statements[i]);
	}
	sqlite3_close(store->db);
	if (store->lock_fd >= 0) {
		close(store->lock_fd);
	}
	free(store);
}

void store_throttle_key(struct store *store, unsigned char key[THROTTLE_KEY_BYTES])
{
	sqlite3_stmt *get = statement(store, SETTING);

	bind(get, 1, bytes_of("throttle key"));
	if (next_row(store, get)) {
		bool fits = sqlite3_column_bytes(get, 0) == THROTTLE_KEY_BYTES;

		if (fits) {
			memcpy(key, sqlite3_column_blob(get, 0), THROTTLE_KEY_BYTES);
		}
		sqlite3_reset(get);
		if (fits) {
			return;
		}
	}
	sqlite3_stmt *set = writing(store, SET_SETTING);

	keyed_hash_new_key(key);
	bind(set, 1, bytes_of("throttle key"));
	bind(set, 2, (struct bytes){ (const char *)key, THROTTLE_KEY_BYTES });
	run(store, set);
}

void store_save_place(struct store *store, const struct throttle_record *record,
		      uint64_t now_s)
{
	sqlite3_stmt *save = writing(store, SAVE_PLACE);

	bind(save, 1,
	     (struct bytes){ (const char *)record->place, sizeof(record->place) });
	sqlite3_bind_double(save, 2, record->failures);
	bind_number(save, 3, now_s);
	run(store, save);
}

void store_restore_places(struct store *store, struct throttle *throttle, uint64_t now_s,
			  uint64_t now_ms)
{
	sqlite3_stmt *place = statement(store, PLACE);

	while (next_row(store, place)) {
		struct throttle_record record = { .failures = sqlite3_column_double(place,
										    1) };
		uint64_t saved_s = (uint64_t)sqlite3_column_int64(place, 2);

		if (sqlite3_column_bytes(place, 0) == sizeof(record.place)) {
			memcpy(record.place, sqlite3_column_blob(place, 0),
			       sizeof(record.place));
			throttle_restore(throttle, &record,
					 saved_s < now_s ? (now_s - saved_s) * 1000 : 0,
					 now_ms);
		}
	}
}

bool store_is_known(struct store *store, struct bytes account,
		    const unsigned char block[KEEPER_ADDRESS_BYTES])
{
	sqlite3_stmt *get = statement(store, IS_KNOWN);
	bool known;

	bind(get, 1, account);
	bind_address(get, 2, block);
	known = next_row(store, get);
	sqlite3_reset(get);
	return known;
}

void store_note_known(struct store *store, struct bytes account,
		      const unsigned char block[KEEPER_ADDRESS_BYTES], uint64_t now_s)
{
	sqlite3_stmt *note = writing(store, NOTE_KNOWN);
	sqlite3_stmt *trim = statement(store, TRIM_KNOWN);

	bind(note, 1, account);
	bind_address(note, 2, block);
	bind_number(note, 3, now_s);
	run(store, note);
	bind(trim, 1, account);
	bind_number(trim, 2, STORE_KNOWN_MAX);
	run(store, trim);
}

/* Names that never signed in rightly are anybody's invention: only so many are kept. */
static bool may_note(struct store *store, struct bytes account, bool was_right)
{
	sqlite3_stmt *has = statement(store, HAS_ACCOUNT);
	bool exists;

	bind(has, 1, account);
	exists = next_row(store, has);
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
	sqlite3_stmt *note = writing(store, NOTE_ACCOUNT);

	bind(note, 1, account);
	bind_number(note, 2, now_s);
	return run(store, note);
}

void store_note_sign_in(struct store *store, struct bytes account,
			const unsigned char address[KEEPER_ADDRESS_BYTES],
			enum keeper_outcome outcome, uint64_t now_s)
{
	if (!note_account(store, account, outcome == KEEPER_RIGHT, now_s)) {
		return;
	}
	sqlite3_stmt *note = writing(store, NOTE_SIGN_IN);

	bind(note, 1, account);
	bind_address(note, 2, address);
	bind_number(note, 3, outcome);
	bind_number(note, 4, now_s);
	run(store, note);
}

void store_note_ended(struct store *store, struct bytes account, uint32_t retrieved,
		      uint32_t lost_dele, uint64_t now_s)
{
	if (!note_account(store, account, false, now_s)) {
		return;
	}
	sqlite3_stmt *note = writing(store, NOTE_ENDED);

	bind(note, 1, account);
	bind_number(note, 2, retrieved);
	bind_number(note, 3, lost_dele);
	bind_number(note, 4, now_s);
	run(store, note);
}

void store_note_suspect(struct store *store, struct bytes account, uint64_t now_s)
{
	if (!note_account(store, account, false, now_s)) {
		return;
	}
	sqlite3_stmt *note = writing(store, NOTE_SUSPECT);

	bind(note, 1, account);
	run(store, note);
}

static uint64_t column(sqlite3_stmt *row, int place)
{
	return (uint64_t)sqlite3_column_int64(row, place);
}

/* ACCOUNT_COLUMNS, by their order. */
static void read_account(sqlite3_stmt *row, struct store_account *out)
{
	*out = (struct store_account){
		.last_s = column(row, 1),
		.last_right_s = column(row, 2),
		.last_wrong_s = column(row, 3),
		.last_outcome = (enum keeper_outcome)column(row, 4),
		.right = column(row, 6),
		.wrong = column(row, 7),
		.no_answer = column(row, 8),
		.wrong_since_right = column(row, 9),
		.sessions = column(row, 10),
		.retrieved = column(row, 11),
		.lost_dele = column(row, 12),
		.last_lost_dele_s = column(row, 13),
		.suspect = column(row, 14),
	};
	if (sqlite3_column_bytes(row, 5) == KEEPER_ADDRESS_BYTES) {
		memcpy(out->last_address, sqlite3_column_blob(row, 5),
		       KEEPER_ADDRESS_BYTES);
	}
}

/* The first at or behind a name. */
static bool find_account(struct store *store, struct bytes from, bool or_this,
			 struct buffer *name, struct store_account *out)
{
	sqlite3_stmt *get = statement(store, NEXT_ACCOUNT);

	bind(get, 1, from);
	bind_number(get, 2, or_this);
	if (!next_row(store, get)) {
		return false;
	}
	buffer_clear(name);
	bool fits = buffer_append(name,
				  (struct bytes){ sqlite3_column_blob(get, 0),
						  (size_t)sqlite3_column_bytes(get, 0) });
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

bool store_forget(struct store *store, struct bytes account)
{
	store_commit(store); // what others lost was logged
	bool done = execute(store, "PRAGMA synchronous = FULL");
	sqlite3_stmt *forget = writing(store, FORGET_ACCOUNT);
	sqlite3_stmt *known = statement(store, FORGET_KNOWN);

	bind(forget, 1, account);
	bind(known, 1, account);
	done = run(store, forget) && run(store, known) && done;
	done = store_commit(store) && done;
	/* The log still has what was overwritten until a checkpoint empties it. */
	done = execute(store, "PRAGMA wal_checkpoint(TRUNCATE)") && done;
	execute(store, "PRAGMA synchronous = NORMAL");
	return done;
}

void store_expire(struct store *store, uint64_t now_s)
{
	static const struct {
		enum statement statement;
		uint64_t kept_s;
	} kinds[] = { { EXPIRE_ACCOUNTS, STORE_KEPT_S },
		      { EXPIRE_KNOWN, STORE_KEPT_S },
		      { EXPIRE_PLACES, PLACES_KEPT_S } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		sqlite3_stmt *expire = writing(store, kinds[i].statement);

		bind_number(expire, 1,
			    now_s > kinds[i].kept_s ? now_s - kinds[i].kept_s : 0);
		run(store, expire);
	}
	count_failing(store);
}
