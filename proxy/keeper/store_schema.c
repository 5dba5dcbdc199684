/*
 * A version is a row of the table `schema`; no such table means version 0, and then the
 * file has to be empty. A step that fails or is cut off by a crash is rolled back whole,
 * and tried again at the next start.
 */
#include "proxy/keeper/store_schema.h"

#include "proxy/keeper/store_directory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const steps[] = {
	/* 1: sign-ins and sessions of accounts, where they come from, the throttle. */
	"CREATE TABLE schema(version INTEGER PRIMARY KEY, applied_s INTEGER NOT NULL);"
	"CREATE TABLE settings(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE throttle(place BLOB PRIMARY KEY, failures REAL NOT NULL,"
	" saved_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE known_addresses(account BLOB NOT NULL, block BLOB NOT NULL,"
	" last_s INTEGER NOT NULL, PRIMARY KEY(account, block)) WITHOUT ROWID;"
	"CREATE INDEX known_by_age ON known_addresses(last_s);"
	"CREATE TABLE accounts(account BLOB PRIMARY KEY, last_s INTEGER NOT NULL,"
	" last_right_s INTEGER NOT NULL DEFAULT 0,"
	" last_wrong_s INTEGER NOT NULL DEFAULT 0,"
	" last_outcome INTEGER NOT NULL DEFAULT 0, last_address BLOB NOT NULL,"
	" right_count INTEGER NOT NULL DEFAULT 0,"
	" wrong_count INTEGER NOT NULL DEFAULT 0,"
	" no_answer_count INTEGER NOT NULL DEFAULT 0,"
	" wrong_since_right INTEGER NOT NULL DEFAULT 0,"
	" sessions INTEGER NOT NULL DEFAULT 0, retrieved INTEGER NOT NULL DEFAULT 0,"
	" lost_dele INTEGER NOT NULL DEFAULT 0,"
	" last_lost_dele_s INTEGER NOT NULL DEFAULT 0,"
	" suspect INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE INDEX accounts_by_age ON accounts(last_s);"
	"CREATE INDEX accounts_failing ON accounts(last_s) WHERE right_count = 0;",
	/* 2: why -ERRs were said, who uses old TLS, what could not be removed. */
	"ALTER TABLE accounts ADD COLUMN lost_in_a_row INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN no_answer_in_a_row INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE failures(id INTEGER PRIMARY KEY, at_s INTEGER NOT NULL,"
	" reference INTEGER NOT NULL, account BLOB NOT NULL, address BLOB NOT NULL,"
	" kind INTEGER NOT NULL, answer BLOB NOT NULL, cause BLOB NOT NULL,"
	" advice BLOB NOT NULL, is_stranger INTEGER NOT NULL);"
	"CREATE INDEX failures_of_account ON failures(account, id);"
	"CREATE INDEX failures_by_reference ON failures(reference, id);"
	"CREATE INDEX failures_by_kind ON failures(is_stranger, id);"
	"CREATE INDEX failures_by_age ON failures(at_s);"
	"CREATE TABLE legacy(account BLOB NOT NULL, address BLOB NOT NULL,"
	" tls INTEGER NOT NULL, last_s INTEGER NOT NULL, count INTEGER NOT NULL,"
	" PRIMARY KEY(account, address, tls)) WITHOUT ROWID;"
	"CREATE INDEX legacy_by_age ON legacy(last_s);"
	"CREATE TABLE leftovers(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" maildrop BLOB NOT NULL, uidvalidity INTEGER NOT NULL, uids BLOB NOT NULL,"
	" account BLOB NOT NULL, last_s INTEGER NOT NULL,"
	" UNIQUE(maildrop, uidvalidity, uids));"
	"CREATE INDEX leftovers_by_age ON leftovers(last_s);",
	/* 3: registered accounts, their device passwords, sealed secrets. */
	"CREATE TABLE vault_keys(id INTEGER PRIMARY KEY, wrapped BLOB NOT NULL);"
	"CREATE TABLE registered(account BLOB PRIMARY KEY, route BLOB NOT NULL,"
	" mailbox BLOB NOT NULL, signs_in_as BLOB NOT NULL, aliases BLOB NOT NULL,"
	" kind INTEGER NOT NULL, provider BLOB NOT NULL, version INTEGER NOT NULL,"
	" secret BLOB NOT NULL, access BLOB NOT NULL, access_from_s INTEGER NOT NULL,"
	" access_until_s INTEGER NOT NULL, consent INTEGER NOT NULL,"
	" consent_text BLOB NOT NULL, consent_since_s INTEGER NOT NULL,"
	" consent_until_s INTEGER NOT NULL, created_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE device_passwords(account BLOB NOT NULL, id INTEGER NOT NULL,"
	" label BLOB NOT NULL, kind INTEGER NOT NULL, proof BLOB NOT NULL,"
	" rights INTEGER NOT NULL, folder BLOB NOT NULL, networks BLOB NOT NULL,"
	" until_s INTEGER NOT NULL, created_s INTEGER NOT NULL,"
	" last_s INTEGER NOT NULL, last_address BLOB NOT NULL,"
	" PRIMARY KEY(account, id)) WITHOUT ROWID;",
	/* 4: indexes of folders in pieces, and what unique-ids are made by. */
	"CREATE TABLE indexes(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" maildrop BLOB NOT NULL UNIQUE, account BLOB NOT NULL,"
	" octets INTEGER NOT NULL, last_s INTEGER NOT NULL);"
	"CREATE INDEX indexes_by_age ON indexes(last_s);"
	"CREATE TABLE index_pieces(place INTEGER PRIMARY KEY, piece BLOB NOT NULL);"
	"CREATE TRIGGER index_gone AFTER DELETE ON indexes BEGIN"
	" DELETE FROM index_pieces WHERE place >= old.id * 1024"
	" AND place < (old.id + 1) * 1024; END;"
	"CREATE TABLE unique_ids(account BLOB NOT NULL, folder BLOB NOT NULL,"
	" routed_as BLOB NOT NULL, template BLOB NOT NULL, last_s INTEGER NOT NULL,"
	" PRIMARY KEY(account, folder)) WITHOUT ROWID;"
	"CREATE INDEX unique_ids_by_age ON unique_ids(last_s);",
	/* 5: invitations to the consent page. */
	"CREATE TABLE invitations(account BLOB PRIMARY KEY,"
	" hash BLOB NOT NULL UNIQUE,"
	" until_s INTEGER NOT NULL) WITHOUT ROWID;",
};

const struct store_schema store_schema = { steps, sizeof(steps) / sizeof(*steps) };

static bool broken(sqlite3 *db, const char *doing, struct failure *failure)
{
	return failure_set(failure, FAILURE_PERMANENT, "%s: %s", doing,
			   sqlite3_errmsg(db));
}

/* The one number a statement answers. */
static bool number(sqlite3 *db, const char *sql, size_t *out, struct failure *failure)
{
	sqlite3_stmt *statement = NULL;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
		  sqlite3_step(statement) == SQLITE_ROW &&
		  sqlite3_column_int64(statement, 0) >= 0;

	if (ok) {
		*out = (size_t)sqlite3_column_int64(statement, 0);
	} else {
		broken(db, "reading the store's schema", failure);
	}
	sqlite3_finalize(statement);
	return ok;
}

static bool version_of(sqlite3 *db, size_t *version, struct failure *failure)
{
	size_t tables;
	size_t ours;

	if (!number(db, "SELECT count(*) FROM sqlite_master", &tables, failure) ||
	    !number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'schema'", &ours,
		    failure)) {
		return false;
	}
	*version = 0;
	if (tables == 0) {
		return true;
	}
	if (ours == 0) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "it is a database, but not one of popbridge's");
	}
	return number(db, "SELECT max(version) FROM schema", version, failure);
}

/* VACUUM INTO writes what is in the log, too, and nothing half. */
static bool copy(sqlite3 *db, const char *path, size_t version, struct failure *failure)
{
	char to[STORE_PATH_MAX];
	int len = snprintf(to, sizeof(to), "%s.version-%zu", path, version);
	sqlite3_stmt *statement = NULL;
	bool ok;

	if (len < 0 || (size_t)len >= sizeof(to)) {
		return failure_set(failure, FAILURE_PERMANENT, "its path is too long");
	}
	unlink(to); // of an attempt that was cut off
	ok = sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &statement, NULL) == SQLITE_OK &&
	     sqlite3_bind_text(statement, 1, to, -1, SQLITE_STATIC) == SQLITE_OK &&
	     sqlite3_step(statement) == SQLITE_DONE && store_directory_sync(to);
	if (!ok) {
		broken(db, "copying the store before its schema changes", failure);
	}
	sqlite3_finalize(statement);
	return ok;
}

static bool step(sqlite3 *db, const struct store_schema *schema, size_t version,
		 struct failure *failure)
{
	char row[128];

	snprintf(row, sizeof(row),
		 "INSERT INTO schema VALUES(%zu, CAST(strftime('%%s') AS INTEGER))",
		 version + 1);
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, schema->steps[version], NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, row, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
		return true;
	}
	broken(db, "changing the store's schema", failure);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

bool store_schema_bring(sqlite3 *db, const char *path, const struct store_schema *schema,
			struct failure *failure)
{
	size_t version;

	if (!version_of(db, &version, failure)) {
		return false;
	}
	if (version > schema->count) {
		failure_set(
			failure, FAILURE_PERMANENT,
			"its schema is version %zu and this program knows %zu at most",
			version, schema->count);
		return failure_advise(
			failure, "run the newer popbridge that wrote it, or put back "
				 "the copy it made (popbridge.db.version-N)");
	}
	if (path && version > 0 && version < schema->count &&
	    !copy(db, path, version, failure)) {
		return false;
	}
	for (; version < schema->count; version++) {
		if (!step(db, schema, version, failure)) {
			return false;
		}
	}
	return true;
}

bool store_schema_is_whole(sqlite3 *db)
{
	sqlite3_stmt *check = NULL;
	bool whole = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &check, NULL) ==
			     SQLITE_OK &&
		     sqlite3_step(check) == SQLITE_ROW &&
		     strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;

	sqlite3_finalize(check);
	return whole;
}
