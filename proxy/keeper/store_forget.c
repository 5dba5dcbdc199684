/*
 * What goes: on request, at once and for good, and with time.
 */
#include "proxy/keeper/store_internal.h"

#define PLACES_KEPT_S 7200 // 30 halvings: nothing is left

enum {
	FORGET_ACCOUNT,
	FORGET_KNOWN,
	FORGET_FAILURES,
	FORGET_LEGACY,
	FORGET_LEFTOVERS,
	FORGET_INDEXES,
	FORGET_UNIQUE_IDS,
	TRACES,
	EXPIRE_ACCOUNTS,
	EXPIRE_KNOWN,
	EXPIRE_PLACES,
	EXPIRE_FAILURES,
	EXPIRE_LEGACY,
	EXPIRE_LEFTOVERS,
	EXPIRE_INDEXES,
	EXPIRE_UNIQUE_IDS
};

/* A name is a person's in any case of its letters: nothing of his may stay. */
#define HIS                                                                              \
	" WHERE account = ?1 OR"                                                         \
	" CAST(account AS TEXT) = CAST(?1 AS TEXT) COLLATE NOCASE"

static const char *const sql[] = {
	[FORGET_ACCOUNT] = "DELETE FROM accounts" HIS,
	[FORGET_KNOWN] = "DELETE FROM known_addresses" HIS,
	[FORGET_FAILURES] = "DELETE FROM failures" HIS,
	[FORGET_LEGACY] = "DELETE FROM legacy" HIS,
	[FORGET_LEFTOVERS] = "DELETE FROM leftovers" HIS,
	[FORGET_INDEXES] = "DELETE FROM indexes" HIS,
	[FORGET_UNIQUE_IDS] = "DELETE FROM unique_ids" HIS,
	[TRACES] = "SELECT account, last_address FROM accounts" HIS
		   " UNION SELECT account, block FROM known_addresses" HIS
		   " UNION SELECT account, address FROM legacy" HIS
		   " UNION SELECT account, address FROM failures" HIS,
	[EXPIRE_ACCOUNTS] = "DELETE FROM accounts WHERE last_s < ?",
	[EXPIRE_KNOWN] = "DELETE FROM known_addresses WHERE last_s < ?",
	[EXPIRE_PLACES] = "DELETE FROM throttle WHERE saved_s < ?",
	[EXPIRE_FAILURES] = "DELETE FROM failures WHERE at_s < ?",
	[EXPIRE_LEGACY] = "DELETE FROM legacy WHERE last_s < ?",
	[EXPIRE_LEFTOVERS] = "DELETE FROM leftovers WHERE last_s < ?",
	[EXPIRE_INDEXES] = "DELETE FROM indexes WHERE last_s < ?",
	[EXPIRE_UNIQUE_IDS] = "DELETE FROM unique_ids WHERE last_s < ?",
};

const struct store_sql store_forget_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

bool store_next_trace(struct store *store, struct bytes account, bool is_first,
		      struct buffer *name, unsigned char address[KEEPER_ADDRESS_BYTES])
{
	sqlite3_stmt *traces = store->statements[STORE_FORGET][TRACES];

	if (is_first) {
		sqlite3_reset(traces);
		store_bind(traces, 1, account);
	}
	if (!store_next_row(store, traces)) {
		return false;
	}
	buffer_clear(name);
	buffer_append(name, store_text(traces, 0));
	store_address(traces, 1, address);
	return true;
}

/* Each kind of record, and how many there were. */
static bool erase(struct store *store, struct bytes account,
		  struct store_forgotten forgotten[STORE_FORGOTTEN])
{
	static const struct {
		unsigned statement;
		const char *what;
	} kinds[STORE_FORGOTTEN] = {
		{ FORGET_ACCOUNT, "statistics of sign-ins and sessions" },
		{ FORGET_KNOWN, "known addresses" },
		{ FORGET_FAILURES, "explained failures" },
		{ FORGET_LEGACY, "uses of old TLS or none" },
		{ FORGET_LEFTOVERS, "lists of messages left flagged" },
		{ FORGET_INDEXES, "indexes of folders" },
		{ FORGET_UNIQUE_IDS, "records of how unique-ids are made" },
	};
	bool done = true;

	for (size_t i = 0; i < STORE_FORGOTTEN; i++) {
		sqlite3_stmt *forget =
			store_writing(store, STORE_FORGET, kinds[i].statement);

		store_bind(forget, 1, account);
		done = store_run(store, forget) && done;
		forgotten[i] =
			(struct store_forgotten){ kinds[i].what,
						  (uint64_t)sqlite3_changes(store->db) };
	}
	store_count_index_octets(store);
	return done;
}

bool store_forget(struct store *store, struct bytes account,
		  struct store_forgotten forgotten[STORE_FORGOTTEN])
{
	bool done = store_begin_durable(store);

	done = erase(store, account, forgotten) && done;
	done = store_commit_durably(store) && done;
	/* The log still has what was overwritten until a checkpoint empties it. */
	done = store_execute(store, "PRAGMA wal_checkpoint(TRUNCATE)") && done;
	return done;
}

void store_expire(struct store *store, uint64_t now_s)
{
	static const struct {
		unsigned statement;
		uint64_t kept_s;
	} kinds[] = {
		{ EXPIRE_ACCOUNTS, STORE_KEPT_S }, { EXPIRE_KNOWN, STORE_KEPT_S },
		{ EXPIRE_PLACES, PLACES_KEPT_S },  { EXPIRE_FAILURES, STORE_KEPT_S },
		{ EXPIRE_LEGACY, STORE_KEPT_S },   { EXPIRE_LEFTOVERS, STORE_KEPT_S },
		{ EXPIRE_INDEXES, STORE_KEPT_S },  { EXPIRE_UNIQUE_IDS, STORE_KEPT_S },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		sqlite3_stmt *expire =
			store_writing(store, STORE_FORGET, kinds[i].statement);

		store_bind_number(expire, 1,
				  now_s > kinds[i].kept_s ? now_s - kinds[i].kept_s : 0);
		store_run(store, expire);
	}
	store_count_index_octets(store);
	store_count_failing(store);
}
