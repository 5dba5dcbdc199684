/*
 * Indexes of folders, in pieces, so that no write or read of a large one takes long. One
 * that is being written has no octets yet, and nobody gets it: what is cut off in the
 * middle is as good as none.
 *
 * Written with synchronous=NORMAL: an index that the power took is made anew, and an old
 * one in its place is brought up to date by whoever uses it.
 */
#include "proxy/keeper/store_internal.h"

#define USED_S (24 * 3600) // noted this often

enum { BEGIN, ADD, END, FIND, PIECE, USED, OLDEST, DROP, TOTAL };

/* Piece n of index i is at i * KEEPER_PIECES_MAX + n; a trigger drops it with the index.
 */
_Static_assert(KEEPER_PIECES_MAX == 1024, "as in store_schema.c");

static const char *const sql[] = {
	[BEGIN] = "INSERT INTO indexes(maildrop, account, octets, last_s) "
		  "VALUES(?1, ?2, 0, ?3)",
	[ADD] = "INSERT INTO index_pieces SELECT ?2, ?3 "
		"WHERE EXISTS (SELECT 1 FROM indexes WHERE id = ?1)",
	[END] = "UPDATE indexes SET octets = ?2 WHERE id = ?1",
	[FIND] = "SELECT id, octets, last_s FROM indexes WHERE maildrop = ?1",
	[PIECE] = "SELECT piece FROM index_pieces WHERE place = ?1",
	[USED] = "UPDATE indexes SET last_s = ?2 WHERE id = ?1",
	[OLDEST] = "SELECT id, octets FROM indexes ORDER BY last_s LIMIT 1",
	[DROP] = "DELETE FROM indexes WHERE id = ?1",
	[TOTAL] = "SELECT coalesce(sum(octets), 0) FROM indexes",
};

const struct store_sql store_indexes_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

struct found {
	uint64_t id;
	uint64_t octets; // 0: it is not whole
	uint64_t last_s;
};

static bool find(struct store *store, struct bytes maildrop, struct found *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_INDEXES, FIND);

	store_bind(get, 1, maildrop);
	if (!store_next_row(store, get)) {
		return false;
	}
	*out = (struct found){ store_number(get, 0), store_number(get, 1),
			       store_number(get, 2) };
	sqlite3_reset(get);
	return true;
}

static void drop(struct store *store, uint64_t id, uint64_t octets)
{
	sqlite3_stmt *statement = store_writing(store, STORE_INDEXES, DROP);

	store_bind_number(statement, 1, id);
	if (store_run(store, statement)) {
		store->index_octets -=
			octets < store->index_octets ? octets : store->index_octets;
	}
}

uint64_t store_index_begin(struct store *store, struct bytes maildrop,
			   struct bytes account, uint64_t now_s)
{
	sqlite3_stmt *begin = store_writing(store, STORE_INDEXES, BEGIN);
	struct found before;

	if (find(store, maildrop, &before)) {
		drop(store, before.id, before.octets);
	}
	store_bind(begin, 1, maildrop);
	store_bind(begin, 2, account);
	store_bind_number(begin, 3, now_s);
	return store_run(store, begin) ? (uint64_t)sqlite3_last_insert_rowid(store->db)
				       : 0;
}

bool store_index_add(struct store *store, uint64_t id, uint32_t number,
		     struct bytes piece)
{
	sqlite3_stmt *add = store_writing(store, STORE_INDEXES, ADD);

	store_bind_number(add, 1, id);
	store_bind_number(add, 2, id * KEEPER_PIECES_MAX + number);
	store_bind(add, 3, piece);
	return store_run(store, add) && sqlite3_changes(store->db) == 1;
}

/* Those that were not used for the longest time make way. */
static void trim(struct store *store)
{
	sqlite3_stmt *oldest = store_statement(store, STORE_INDEXES, OLDEST);

	while (store->index_octets > STORE_INDEX_OCTETS_MAX &&
	       store_next_row(store, oldest)) {
		const uint64_t id = store_number(oldest, 0);
		const uint64_t octets = store_number(oldest, 1);

		sqlite3_reset(oldest);
		drop(store, id, octets);
	}
}

bool store_index_end(struct store *store, uint64_t id, uint64_t octets)
{
	sqlite3_stmt *end = store_writing(store, STORE_INDEXES, END);

	store_bind_number(end, 1, id);
	store_bind_number(end, 2, octets);
	if (!store_run(store, end) || sqlite3_changes(store->db) == 0) {
		return false;
	}
	store->index_octets += octets;
	trim(store);
	return true;
}

static void note_use(struct store *store, const struct found *found, uint64_t now_s)
{
	sqlite3_stmt *used = store_writing(store, STORE_INDEXES, USED);

	store_bind_number(used, 1, found->id);
	store_bind_number(used, 2, now_s);
	store_run(store, used);
}

void store_index_piece(struct store *store, struct bytes maildrop, uint32_t number,
		       uint64_t now_s, struct buffer *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_INDEXES, PIECE);
	struct found found;

	buffer_clear(out);
	if (!find(store, maildrop, &found) || found.octets == 0) {
		return;
	}
	store_bind_number(get, 1, found.id * KEEPER_PIECES_MAX + number);
	if (store_next_row(store, get)) {
		buffer_append(out, store_text(get, 0));
		sqlite3_reset(get);
	}
	if (number == 0 && found.last_s + USED_S < now_s) {
		note_use(store, &found, now_s);
	}
}

void store_count_index_octets(struct store *store)
{
	sqlite3_stmt *total = store_statement(store, STORE_INDEXES, TOTAL);

	if (store_next_row(store, total)) {
		store->index_octets = store_number(total, 0);
		sqlite3_reset(total);
	}
}
