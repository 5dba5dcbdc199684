/*
 * Invitations to the consent page in the store.
 */
#include "proxy/keeper/registry.h"
#include "proxy/keeper/store_internal.h"

enum { PUT, FIND, TAKE };

static const char *const sql[] = {
	[PUT] = "INSERT OR REPLACE INTO invitations VALUES(?,?,?)",
	[FIND] = "SELECT account FROM invitations WHERE hash = ?1 AND until_s > ?2",
	[TAKE] = "DELETE FROM invitations WHERE hash = ?",
};

const struct store_sql store_invitations_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

static struct bytes hash_bytes(const unsigned char hash[STORE_KEY_BYTES])
{
	return (struct bytes){ (const char *)hash, STORE_KEY_BYTES };
}

bool invitation_put(struct store *store, struct bytes account,
		    const unsigned char hash[STORE_KEY_BYTES], uint64_t until_s)
{
	bool done;

	store_begin_durable(store);
	sqlite3_stmt *put = store_writing(store, STORE_INVITATIONS, PUT);

	store_bind(put, 1, account);
	store_bind(put, 2, hash_bytes(hash));
	store_bind_number(put, 3, until_s);
	done = store_run(store, put);
	return store_commit_durably(store) && done;
}

bool invitation_find(struct store *store, const unsigned char hash[STORE_KEY_BYTES],
		     uint64_t now_s, struct buffer *account)
{
	sqlite3_stmt *find = store_statement(store, STORE_INVITATIONS, FIND);

	store_bind(find, 1, hash_bytes(hash));
	store_bind_number(find, 2, now_s);
	if (!store_next_row(store, find)) {
		return false;
	}
	buffer_clear(account);
	buffer_append(account, store_text(find, 0));
	sqlite3_reset(find);
	return true;
}

bool invitation_take(struct store *store, const unsigned char hash[STORE_KEY_BYTES])
{
	bool taken;

	store_begin_durable(store);
	sqlite3_stmt *take = store_writing(store, STORE_INVITATIONS, TAKE);

	store_bind(take, 1, hash_bytes(hash));
	taken = store_run(store, take) && sqlite3_changes(store->db) == 1;
	return store_commit_durably(store) && taken;
}
