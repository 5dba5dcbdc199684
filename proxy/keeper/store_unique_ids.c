/*
 * What the unique-ids of accounts are made by: they must not become others by a change of
 * the configuration that nobody meant that way.
 *
 * Written with synchronous=NORMAL: what the power takes is noted again at the next
 * sign-in.
 */
#include "proxy/keeper/store_internal.h"

#define USED_S (24 * 3600) // noted this often

enum { NOTE, NEXT, DROP };

static const char *const sql[] = {
	[NOTE] = "INSERT INTO unique_ids(account, folder, routed_as, template, last_s) "
		 "VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET "
		 "routed_as = ?3, template = ?4, last_s = ?5 WHERE last_s < ?6 OR "
		 "routed_as != ?3 OR template != ?4",
	[NEXT] = ("SELECT account, folder, routed_as, template FROM unique_ids WHERE "
		  "(account, folder) > (?1, ?2) ORDER BY account, folder LIMIT 1"),
	[DROP] = "DELETE FROM unique_ids WHERE account = ?1 AND folder = ?2",
};

const struct store_sql store_unique_ids_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void store_note_unique_ids(struct store *store, const struct config_known *known,
			   uint64_t now_s)
{
	sqlite3_stmt *note = store_writing(store, STORE_UNIQUE_IDS, NOTE);

	store_bind(note, 1, known->account);
	store_bind(note, 2, known->folder);
	store_bind(note, 3, known->routed_as);
	store_bind(note, 4, known->unique_id);
	store_bind_number(note, 5, now_s);
	store_bind_number(note, 6, now_s > USED_S ? now_s - USED_S : 0);
	store_run(store, note);
}

/* Appended to *texts, and *out points there. */
static struct bytes keep(struct buffer *texts, struct bytes text)
{
	const size_t at = texts->len;

	if (!buffer_append(texts, text)) {
		return (struct bytes){ 0 };
	}
	return (struct bytes){ texts->data + at, text.len };
}

bool store_next_unique_ids(struct store *store, struct buffer *texts,
			   struct config_known *known)
{
	sqlite3_stmt *next = store_statement(store, STORE_UNIQUE_IDS, NEXT);

	store_bind(next, 1, known->account);
	store_bind(next, 2, known->folder);
	buffer_clear(texts);
	if (!buffer_reserve(texts, STORE_KNOWN_TEXTS) || !store_next_row(store, next)) {
		return false;
	}
	*known = (struct config_known){ .account = keep(texts, store_text(next, 0)),
					.folder = keep(texts, store_text(next, 1)),
					.routed_as = keep(texts, store_text(next, 2)),
					.unique_id = keep(texts, store_text(next, 3)) };
	sqlite3_reset(next);
	return true;
}

void store_drop_unique_ids(struct store *store, const struct config_known *known)
{
	sqlite3_stmt *drop = store_writing(store, STORE_UNIQUE_IDS, DROP);

	store_bind(drop, 1, known->account);
	store_bind(drop, 2, known->folder);
	store_run(store, drop);
}
