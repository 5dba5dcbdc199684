/*
 * What goes: on request, at once and for good, and with time.
 */
#include "proxy/keeper/store_internal.h"

#define PLACES_KEPT_S 7200 // 30 halvings: nothing is left

enum { FORGET_ACCOUNT, FORGET_KNOWN, EXPIRE_ACCOUNTS, EXPIRE_KNOWN, EXPIRE_PLACES };

static const char *const sql[] = {
	[FORGET_ACCOUNT] = "DELETE FROM accounts WHERE account = ?",
	[FORGET_KNOWN] = "DELETE FROM known_addresses WHERE account = ?",
	[EXPIRE_ACCOUNTS] = "DELETE FROM accounts WHERE last_s < ?",
	[EXPIRE_KNOWN] = "DELETE FROM known_addresses WHERE last_s < ?",
	[EXPIRE_PLACES] = "DELETE FROM throttle WHERE saved_s < ?",
};

const struct store_sql store_forget_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

bool store_forget(struct store *store, struct bytes account)
{
	store_commit(store); // what others lost was logged
	bool done = store_execute(store, "PRAGMA synchronous = FULL");
	sqlite3_stmt *forget = store_writing(store, STORE_FORGET, FORGET_ACCOUNT);
	sqlite3_stmt *known = store_statement(store, STORE_FORGET, FORGET_KNOWN);

	store_bind(forget, 1, account);
	store_bind(known, 1, account);
	done = store_run(store, forget) && store_run(store, known) && done;
	done = store_commit(store) && done;
	/* The log still has what was overwritten until a checkpoint empties it. */
	done = store_execute(store, "PRAGMA wal_checkpoint(TRUNCATE)") && done;
	store_execute(store, "PRAGMA synchronous = NORMAL");
	return done;
}

void store_expire(struct store *store, uint64_t now_s)
{
	static const struct {
		unsigned statement;
		uint64_t kept_s;
	} kinds[] = { { EXPIRE_ACCOUNTS, STORE_KEPT_S },
		      { EXPIRE_KNOWN, STORE_KEPT_S },
		      { EXPIRE_PLACES, PLACES_KEPT_S } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		sqlite3_stmt *expire =
			store_writing(store, STORE_FORGET, kinds[i].statement);

		store_bind_number(expire, 1,
				  now_s > kinds[i].kept_s ? now_s - kinds[i].kept_s : 0);
		store_run(store, expire);
	}
	store_count_failing(store);
}
