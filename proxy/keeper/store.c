/*
 * All goes well: writes collect in one transaction that the keeper commits about once a
 * second; reads see them at once.
 *
 * Durability. Everything here may lose its last second with the power: a throttle that
 * forgets a guess, a count that is one short, an address that proves itself again, an
 * index that is made anew. So
 * these tables are written with synchronous=NORMAL: in WAL mode a commit does not wait
 * for the disk, only the checkpoint does, and a crash at any moment leaves a store that
 * is whole, if a little old. A crash of the process alone loses nothing committed.
 * Schema changes and erasure are written with synchronous=FULL: what `forget` said is
 * gone must not come back. So is what somebody was promised: accounts, device passwords,
 * tokens. That a device password was used is not.
 */
#include "proxy/keeper/store_internal.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/store_copy.h"
#include "proxy/keeper/store_directory.h"
#include "proxy/keeper/store_schema.h"
#include "proxy/rt/keyed_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(STORE_KEY_BYTES == KEYED_HASH_BYTES, "one key");

enum { COMMIT, ROLLBACK, SETTING, SET_SETTING, PLACE, SAVE_PLACE };

static const char *const sql[] = {
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[SETTING] = "SELECT value FROM settings WHERE name = ?",
	[SET_SETTING] = "INSERT OR REPLACE INTO settings VALUES(?, ?)",
	[PLACE] = "SELECT place, failures, saved_s FROM throttle ORDER BY failures",
	[SAVE_PLACE] = "INSERT OR REPLACE INTO throttle VALUES(?, ?, ?)",
};

_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

static const struct store_sql file_sql = { sql, sizeof(sql) / sizeof(*sql) };

static const struct store_sql *const subjects[STORE_SUBJECTS] = {
	[STORE_FILE] = &file_sql,
	[STORE_ACCOUNTS] = &store_accounts_sql,
	[STORE_FAILURES] = &store_failures_sql,
	[STORE_LEGACY] = &store_legacy_sql,
	[STORE_LEFTOVERS] = &store_leftovers_sql,
	[STORE_INDEXES] = &store_indexes_sql,
	[STORE_UNIQUE_IDS] = &store_unique_ids_sql,
	[STORE_FORGET] = &store_forget_sql,
	[STORE_VAULT] = &store_vault_sql,
	[STORE_REGISTRY] = &store_registry_sql,
	[STORE_DEVICES] = &store_devices_sql,
	[STORE_INVITATIONS] = &store_invitations_sql,
};

bool store_commit(struct store *store)
{
	bool lost = store->lost_some;

	if (!sqlite3_get_autocommit(store->db) &&
	    !store_run(store, store_statement(store, STORE_FILE, COMMIT))) {
		lost = true;
		if (!sqlite3_get_autocommit(store->db)) {
			store_run(store, store_statement(store, STORE_FILE, ROLLBACK));
		}
	}
	store->lost_some = false;
	return !lost;
}

bool store_begin_durable(struct store *store)
{
	store_commit(store); // what that lost was logged
	return store_execute(store, "PRAGMA synchronous = FULL");
}

bool store_commit_durably(struct store *store)
{
	const bool done = store_commit(store);

	store_execute(store, "PRAGMA synchronous = NORMAL");
	return done;
}

static bool prepare_subject(struct store *store, enum store_subject subject)
{
	for (size_t i = 0; i < subjects[subject]->count; i++) {
		if (sqlite3_prepare_v3(store->db, subjects[subject]->list[i], -1,
				       SQLITE_PREPARE_PERSISTENT,
				       &store->statements[subject][i],
				       NULL) != SQLITE_OK) {
			return false;
		}
	}
	return true;
}

static bool prepare(struct store *store)
{
	store->is_prepared = true;
	for (int subject = 0; subject < STORE_SUBJECTS && store->is_prepared; subject++) {
		store->is_prepared = prepare_subject(store, (enum store_subject)subject);
	}
	return store->is_prepared;
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
	if (!store_execute(store,
			   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			   "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
			   "PRAGMA journal_size_limit = 4194304") ||
	    !store_schema_is_whole(store->db)) {
		return unusable(store, path, failure);
	}
	if (!store_schema_bring(store->db, store->lock_fd >= 0 ? path : NULL,
				&store_schema, failure)) {
		return failure_prefix(failure, "the store %s", path);
	}
	if (!store_execute(store, "PRAGMA synchronous = NORMAL") || !prepare(store)) {
		return unusable(store, path, failure);
	}
	return true;
}

static bool open_file(struct store *store, const char *path, int copy,
		      struct failure *failure)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
		return unusable(store, path, failure);
	}
	if (copy >= 0 && !store_copy_read(store->db, copy)) {
		return unusable(store, "handed over", failure);
	}
	sqlite3_busy_timeout(store->db, 1000); // `popbridge status` may be reading
	return set_up(store, path, failure);
}

static struct store *open_store(const char *directory, int copy, struct failure *failure)
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
	    !open_file(store, path, copy, failure)) {
		store_close(store);
		return NULL;
	}
	store_count_failing(store);
	store_count_index_octets(store);
	return store;
}

struct store *store_open(const char *directory, struct failure *failure)
{
	return open_store(directory, -1, failure);
}

struct store *store_open_memory(int copy, struct failure *failure)
{
	return open_store(NULL, copy, failure);
}

int store_copy(struct store *store)
{
	return store_copy_write(store->db);
}

void store_close(struct store *store)
{
	if (!store) {
		return;
	}
	if (store->is_prepared) {
		store_commit(store);
	}
	for (size_t i = 0; i < STORE_SUBJECTS * STORE_STATEMENTS_MAX; i++) {
		sqlite3_finalize(store->statements[i / STORE_STATEMENTS_MAX]
						  [i % STORE_STATEMENTS_MAX]);
	}
	sqlite3_close(store->db);
	if (store->lock_fd >= 0) {
		close(store->lock_fd);
	}
	free(store);
}

void store_key(struct store *store, const char *name, unsigned char key[STORE_KEY_BYTES])
{
	sqlite3_stmt *get = store_statement(store, STORE_FILE, SETTING);

	store_bind(get, 1, bytes_of(name));
	if (store_next_row(store, get)) {
		bool fits = sqlite3_column_bytes(get, 0) == STORE_KEY_BYTES;

		if (fits) {
			memcpy(key, sqlite3_column_blob(get, 0), STORE_KEY_BYTES);
		}
		sqlite3_reset(get);
		if (fits) {
			return;
		}
	}
	store_begin_durable(store);
	sqlite3_stmt *set = store_writing(store, STORE_FILE, SET_SETTING);

	keyed_hash_new_key(key);
	store_bind(set, 1, bytes_of(name));
	store_bind(set, 2, (struct bytes){ (const char *)key, STORE_KEY_BYTES });
	store_run(store, set);
	store_commit_durably(store);
}

void store_save_place(struct store *store, const struct throttle_record *record,
		      uint64_t now_s)
{
	sqlite3_stmt *save = store_writing(store, STORE_FILE, SAVE_PLACE);

	store_bind(save, 1,
		   (struct bytes){ (const char *)record->place, sizeof(record->place) });
	sqlite3_bind_double(save, 2, record->failures);
	store_bind_number(save, 3, now_s);
	store_run(store, save);
}

void store_restore_places(struct store *store, struct throttle *throttle, uint64_t now_s,
			  uint64_t now_ms)
{
	sqlite3_stmt *place = store_statement(store, STORE_FILE, PLACE);

	while (store_next_row(store, place)) {
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
