/*
 * Who still signs in with TLS 1.0, 1.1 or none: for each user and address of his the last
 * time.
 */
#include "proxy/keeper/store_internal.h"

#define OF_ONE 32 // rows of one account

enum { NOTE, TRIM, NEXT };

static const char *const sql[] = {
	[NOTE] = "INSERT INTO legacy(account, address, tls, last_s, count) "
		 "VALUES(?1, ?2, ?3, ?4, 1) ON CONFLICT DO UPDATE SET last_s = ?4, "
		 "count = count + 1",
	[TRIM] = "DELETE FROM legacy WHERE account = ?1 AND (address, tls) IN "
		 "(SELECT address, tls FROM legacy WHERE account = ?1 "
		 "ORDER BY last_s DESC LIMIT -1 OFFSET ?2)",
	[NEXT] = "SELECT account, address, tls, last_s, count FROM legacy "
		 "WHERE (account, address, tls) > (?1, ?2, ?3) "
		 "ORDER BY account, address, tls LIMIT 1",
};

const struct store_sql store_legacy_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void store_note_legacy(struct store *store, struct bytes account,
		       const unsigned char address[KEEPER_ADDRESS_BYTES],
		       enum keeper_tls tls, uint64_t now_s)
{
	sqlite3_stmt *note = store_writing(store, STORE_LEGACY, NOTE);
	sqlite3_stmt *trim = store_statement(store, STORE_LEGACY, TRIM);

	store_bind(note, 1, account);
	store_bind_address(note, 2, address);
	store_bind_number(note, 3, tls);
	store_bind_number(note, 4, now_s);
	store_run(store, note);
	store_bind(trim, 1, account);
	store_bind_number(trim, 2, OF_ONE);
	store_run(store, trim);
}

bool store_next_legacy(struct store *store, struct buffer *name, struct store_legacy *row)
{
	sqlite3_stmt *get = store_statement(store, STORE_LEGACY, NEXT);
	bool fits;

	store_bind(get, 1, buffer_bytes(name));
	store_bind_address(get, 2, row->address);
	sqlite3_bind_int64(get, 3, name->len > 0 ? (sqlite3_int64)row->tls : -1);
	if (!store_next_row(store, get)) {
		return false;
	}
	buffer_clear(name);
	fits = buffer_append(name, store_text(get, 0));
	store_address(get, 1, row->address);
	row->tls = (enum keeper_tls)store_number(get, 2);
	row->last_s = store_number(get, 3);
	row->count = store_number(get, 4);
	sqlite3_reset(get);
	return fits;
}
