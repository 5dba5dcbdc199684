#include "proxy/keeper/store_internal.h"

#include "proxy/base/log.h"

#include <string.h>
#include <time.h>

#define COMPLAIN_S 60

static void complain(struct store *store)
{
	struct timespec now;

	store->lost_some = true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec >= store->complain_s) {
		store->complain_s = (uint64_t)now.tv_sec + COMPLAIN_S;
		log_say(LOG_ERROR, "store not written", "%s", sqlite3_errmsg(store->db));
	}
}

sqlite3_stmt *store_statement(struct store *store, enum store_subject subject,
			      unsigned number)
{
	sqlite3_stmt *found = store->statements[subject][number];

	sqlite3_reset(found);
	return found;
}

void store_bind(sqlite3_stmt *statement, int place, struct bytes text)
{
	/* A NULL pointer would be NULL, not an empty name. */
	sqlite3_bind_blob64(statement, place, text.len > 0 ? text.at : "", text.len,
			    SQLITE_TRANSIENT);
}

void store_bind_address(sqlite3_stmt *statement, int place, const unsigned char *address)
{
	store_bind(statement, place,
		   (struct bytes){ (const char *)address, KEEPER_ADDRESS_BYTES });
}

void store_bind_number(sqlite3_stmt *statement, int place, uint64_t number)
{
	sqlite3_bind_int64(statement, place, (sqlite3_int64)number);
}

bool store_next_row(struct store *store, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	if (result != SQLITE_ROW && result != SQLITE_DONE) {
		complain(store);
	}
	if (result != SQLITE_ROW) {
		sqlite3_reset(statement);
	}
	return result == SQLITE_ROW;
}

bool store_run(struct store *store, sqlite3_stmt *statement)
{
	bool done = sqlite3_step(statement) == SQLITE_DONE;

	if (!done) {
		complain(store);
	}
	sqlite3_reset(statement);
	return done;
}

sqlite3_stmt *store_writing(struct store *store, enum store_subject subject,
			    unsigned number)
{
	/* The disk may have made SQLite roll back by itself. */
	if (sqlite3_get_autocommit(store->db) &&
	    !store_execute(store, "BEGIN IMMEDIATE")) {
		complain(store);
	}
	return store_statement(store, subject, number);
}

bool store_execute(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

uint64_t store_number(sqlite3_stmt *row, int place)
{
	return (uint64_t)sqlite3_column_int64(row, place);
}

struct bytes store_text(sqlite3_stmt *row, int place)
{
	return (struct bytes){ sqlite3_column_blob(row, place),
			       (size_t)sqlite3_column_bytes(row, place) };
}

void store_address(sqlite3_stmt *row, int place, unsigned char out[KEEPER_ADDRESS_BYTES])
{
	const struct bytes octets = store_text(row, place);

	memset(out, 0, KEEPER_ADDRESS_BYTES);
	if (octets.len == KEEPER_ADDRESS_BYTES) {
		memcpy(out, octets.at, KEEPER_ADDRESS_BYTES);
	}
}
