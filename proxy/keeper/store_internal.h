/*
 * What the files of the store share. Nobody else includes this.
 *
 * store.c             the file: opened, checked, committed, closed; settings, throttle
 * store_statements.c  how statements are bound and run
 * store_accounts.c    accounts and the addresses they are known from
 * store_failures.c    what -ERRs were about
 * store_legacy.c      who still uses old TLS, or none
 * store_leftovers.c   messages flagged and not removed
 * store_indexes.c     indexes of folders
 * store_unique_ids.c  what unique-ids of accounts are made by
 * store_registry.c    registered accounts: where their mail is, how they sign in there
 * store_devices.c     device passwords
 * store_invitations.c invitations to the consent page
 * vault.c             sealed secrets, and the keys that open them
 * store_forget.c      what goes: on request and with time
 * store_schema.c      the tables, version by version
 */
#ifndef PROXY_KEEPER_STORE_INTERNAL_H
#define PROXY_KEEPER_STORE_INTERNAL_H

#include "protocol/buffer.h"
#include "proxy/keeper/store.h"

#include <sqlite3.h>

/* Each file has statements of its own, numbered from 0. */
enum store_subject {
	STORE_FILE,
	STORE_ACCOUNTS,
	STORE_FAILURES,
	STORE_LEGACY,
	STORE_LEFTOVERS,
	STORE_INDEXES,
	STORE_UNIQUE_IDS,
	STORE_FORGET,
	STORE_VAULT,
	STORE_REGISTRY,
	STORE_DEVICES,
	STORE_INVITATIONS,
	STORE_SUBJECTS
};

#define STORE_STATEMENTS_MAX 20 // of one subject

struct store_sql {
	const char *const *list;
	size_t count;
};

extern const struct store_sql store_accounts_sql;
extern const struct store_sql store_failures_sql;
extern const struct store_sql store_legacy_sql;
extern const struct store_sql store_leftovers_sql;
extern const struct store_sql store_indexes_sql;
extern const struct store_sql store_unique_ids_sql;
extern const struct store_sql store_forget_sql;
extern const struct store_sql store_vault_sql;
extern const struct store_sql store_registry_sql;
extern const struct store_sql store_devices_sql;
extern const struct store_sql store_invitations_sql;

struct store {
	sqlite3 *db;
	int lock_fd;    // of the directory; -1: in memory
	bool lost_some; // since the last commit
	uint64_t complain_s;
	uint64_t failing; // accounts that never signed in rightly: at least that many
	uint64_t failures_noted; // since the start
	uint64_t index_octets;   // of all indexes that are whole
	bool is_prepared;
	bool in_batch; // registry_begin() was called, registry_end() not yet
	sqlite3_stmt *statements[STORE_SUBJECTS][STORE_STATEMENTS_MAX];
};

/* store_statements.c */

/* Ready to be bound anew. */
sqlite3_stmt *store_statement(struct store *store, enum store_subject subject,
			      unsigned number);

/* One that writes, inside the transaction that store_commit() ends. */
sqlite3_stmt *store_writing(struct store *store, enum store_subject subject,
			    unsigned number);

void store_bind(sqlite3_stmt *statement, int place, struct bytes text);
void store_bind_address(sqlite3_stmt *statement, int place, const unsigned char *address);
void store_bind_number(sqlite3_stmt *statement, int place, uint64_t number);

/* True: there is a row. */
bool store_next_row(struct store *store, sqlite3_stmt *statement);

/* Runs a statement without an answer. */
bool store_run(struct store *store, sqlite3_stmt *statement);

/* Several in plain text, without an answer. */
bool store_execute(struct store *store, const char *text);

/* Of the row a statement stands at. */
uint64_t store_number(sqlite3_stmt *row, int place);
struct bytes store_text(sqlite3_stmt *row, int place); // until the next step
void store_address(sqlite3_stmt *row, int place,
		   unsigned char out[KEEPER_ADDRESS_BYTES]); // zeros: none

/*
 * What follows, until store_commit_durably(), is on the disk when that returns true.
 */
bool store_begin_durable(struct store *store);
bool store_commit_durably(struct store *store);

/* store_accounts.c */

void store_count_failing(struct store *store);

/* store_indexes.c */

void store_count_index_octets(struct store *store);

#endif
