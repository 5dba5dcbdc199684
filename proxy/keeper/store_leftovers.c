/*
 * What popbridge flagged \Deleted in maildrops and had to leave (without-uidplus: leave).
 * One set a row; a UID is never used again under its UIDVALIDITY, so that an old row does
 * no harm.
 */
#include "proxy/keeper/store_internal.h"

enum { NOTE, TRIM, GET, USED };

static const char *const sql[] = {
	[NOTE] = "INSERT OR REPLACE INTO leftovers(maildrop, uidvalidity, uids, account, "
		 "last_s) VALUES(?1, ?2, ?3, ?4, ?5)",
	[TRIM] = "DELETE FROM leftovers WHERE id <= last_insert_rowid() - ?1",
	[GET] = "SELECT uids FROM leftovers WHERE maildrop = ?1 AND uidvalidity = ?2 "
		"ORDER BY id DESC",
	[USED] = "UPDATE leftovers SET last_s = ?3 WHERE maildrop = ?1 "
		 "AND uidvalidity = ?2",
};

const struct store_sql store_leftovers_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void store_note_left(struct store *store, const struct store_leftover *left,
		     uint64_t now_s)
{
	sqlite3_stmt *note = store_writing(store, STORE_LEFTOVERS, NOTE);
	sqlite3_stmt *trim = store_statement(store, STORE_LEFTOVERS, TRIM);

	store_bind(note, 1, left->maildrop);
	store_bind_number(note, 2, left->uidvalidity);
	store_bind(note, 3, left->set);
	store_bind(note, 4, left->account);
	store_bind_number(note, 5, now_s);
	if (store_run(store, note)) {
		store_bind_number(trim, 1, STORE_LEFTOVERS_MAX);
		store_run(store, trim);
	}
}

static void note_use(struct store *store, struct bytes maildrop, uint32_t uidvalidity,
		     uint64_t now_s)
{
	sqlite3_stmt *used = store_writing(store, STORE_LEFTOVERS, USED);

	store_bind(used, 1, maildrop);
	store_bind_number(used, 2, uidvalidity);
	store_bind_number(used, 3, now_s);
	store_run(store, used);
}

void store_left(struct store *store, struct bytes maildrop, uint32_t uidvalidity,
		uint64_t now_s, struct buffer *set)
{
	sqlite3_stmt *get = store_statement(store, STORE_LEFTOVERS, GET);
	bool fits = true;

	buffer_clear(set);
	store_bind(get, 1, maildrop);
	store_bind_number(get, 2, uidvalidity);
	while (fits && store_next_row(store, get)) {
		const struct bytes more = store_text(get, 0);

		fits = set->len + 1 + more.len <= set->max;
		if (fits && set->len > 0) {
			buffer_append(set, bytes_of(","));
		}
		fits = fits && buffer_append(set, more);
	}
	sqlite3_reset(get);
	if (set->len > 0) {
		note_use(store, maildrop, uidvalidity, now_s);
	}
}
