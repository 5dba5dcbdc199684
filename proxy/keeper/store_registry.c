/*
 * Registered accounts in the store.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/registry.h"
#include "proxy/keeper/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	FIND,
	NEXT,
	COUNT,
	NEEDED,
	ENDING,
	SAVE,
	REMOVE,
	REMOVE_DEVICES,
	REMOVE_INVITATION,
	ROLLBACK
};

#define COLUMNS                                                                          \
	"account, route, mailbox, signs_in_as, aliases, kind, provider, version, "       \
	"secret, access, access_from_s, access_until_s, consent, consent_text, "         \
	"consent_since_s, consent_until_s, created_s"

static const char *const sql[] = {
	[FIND] = "SELECT " COLUMNS " FROM registered WHERE account = ?",
	[NEXT] = "SELECT " COLUMNS
		 " FROM registered WHERE account > ? ORDER BY account LIMIT 1",
	[COUNT] = "SELECT count(*) FROM registered",
	[NEEDED] = "SELECT count(*) FROM registered WHERE consent = ?",
	/* With min(), the bare column is of the row it was found in. */
	[ENDING] = "SELECT min(consent_until_s), account,"
		   " count(*) FILTER (WHERE consent_until_s < ?) FROM registered"
		   " WHERE consent = ? AND consent_until_s > 0",
	[SAVE] = "INSERT OR REPLACE INTO registered(" COLUMNS
		 ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[REMOVE] = "DELETE FROM registered WHERE account = ?",
	[REMOVE_DEVICES] = "DELETE FROM device_passwords WHERE account = ?",
	[REMOVE_INVITATION] = "DELETE FROM invitations WHERE account = ?",
	[ROLLBACK] = "ROLLBACK",
};

const struct store_sql store_registry_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void registered_release(struct registered *registered)
{
	free(registered->account);
	free(registered->route);
	free(registered->mailbox);
	free(registered->signs_in_as);
	free(registered->aliases);
	free(registered->provider);
	free(registered->consent_text);
	buffer_release(&registered->secret);
	buffer_release(&registered->access);
	*registered = (struct registered){ 0 };
}

bool registry_canonical(struct bytes account, struct buffer *out)
{
	for (size_t i = 0; i < account.len; i++) {
		const char c = account.at[i];
		const char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;

		if (!buffer_append(out, (struct bytes){ &lower, 1 })) {
			return false;
		}
	}
	return account.len > 0;
}

static char *text_at(sqlite3_stmt *row, int place)
{
	return memory_copy_text(store_text(row, place));
}

static void take_secret(sqlite3_stmt *row, int place, struct buffer *out)
{
	buffer_init(out, REGISTRY_SECRET_MAX);
	buffer_append(out, store_text(row, place));
}

/* COLUMNS, by their order. */
static void read_row(sqlite3_stmt *row, struct registered *out)
{
	*out = (struct registered){
		.account = text_at(row, 0),
		.route = text_at(row, 1),
		.mailbox = text_at(row, 2),
		.signs_in_as = text_at(row, 3),
		.aliases = text_at(row, 4),
		.kind = (enum registered_kind)store_number(row, 5),
		.provider = text_at(row, 6),
		.version = store_number(row, 7),
		.access_from_s = store_number(row, 10),
		.access_until_s = store_number(row, 11),
		.consent = (enum registered_consent)store_number(row, 12),
		.consent_text = text_at(row, 13),
		.consent_since_s = store_number(row, 14),
		.consent_until_s = store_number(row, 15),
		.created_s = store_number(row, 16),
	};
	take_secret(row, 8, &out->secret);
	take_secret(row, 9, &out->access);
}

static bool select_row(struct store *store, unsigned statement, struct bytes name,
		       struct registered *out)
{
	sqlite3_stmt *get = store_statement(store, STORE_REGISTRY, statement);

	store_bind(get, 1, name);
	if (!store_next_row(store, get)) {
		return false;
	}
	read_row(get, out);
	sqlite3_reset(get);
	return true;
}

bool registry_find(struct store *store, struct bytes account, struct registered *out)
{
	return select_row(store, FIND, account, out);
}

bool registry_next(struct store *store, struct bytes after, struct registered *out)
{
	return select_row(store, NEXT, after, out);
}

uint64_t registry_count(struct store *store)
{
	sqlite3_stmt *get = store_statement(store, STORE_REGISTRY, COUNT);
	uint64_t count = 0;

	if (store_next_row(store, get)) {
		count = store_number(get, 0);
		sqlite3_reset(get);
	}
	return count;
}

void registry_count_consents(struct store *store, uint64_t soon_s,
			     struct registry_consents *out)
{
	sqlite3_stmt *needed = store_statement(store, STORE_REGISTRY, NEEDED);
	sqlite3_stmt *ending = store_statement(store, STORE_REGISTRY, ENDING);

	*out = (struct registry_consents){ 0 };
	store_bind_number(needed, 1, CONSENT_NEEDED);
	if (store_next_row(store, needed)) {
		out->needed = store_number(needed, 0);
		sqlite3_reset(needed);
	}
	store_bind_number(ending, 1, soon_s);
	store_bind_number(ending, 2, CONSENT_GOOD);
	if (store_next_row(store, ending)) {
		const struct bytes account = store_text(ending, 1);

		out->first_end_s = store_number(ending, 0);
		out->ending = store_number(ending, 2);
		snprintf(out->first_account, sizeof(out->first_account), "%.*s",
			 (int)account.len, account.len > 0 ? account.at : "");
		sqlite3_reset(ending);
	}
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text)
{
	store_bind(statement, place, bytes_of(text ? text : ""));
}

static bool put(struct store *store, const struct registered *registered)
{
	sqlite3_stmt *save = store_writing(store, STORE_REGISTRY, SAVE);

	bind_text(save, 1, registered->account);
	bind_text(save, 2, registered->route);
	bind_text(save, 3, registered->mailbox);
	bind_text(save, 4, registered->signs_in_as);
	bind_text(save, 5, registered->aliases);
	store_bind_number(save, 6, registered->kind);
	bind_text(save, 7, registered->provider);
	store_bind_number(save, 8, registered->version);
	store_bind(save, 9, buffer_bytes(&registered->secret));
	store_bind(save, 10, buffer_bytes(&registered->access));
	store_bind_number(save, 11, registered->access_from_s);
	store_bind_number(save, 12, registered->access_until_s);
	store_bind_number(save, 13, registered->consent);
	bind_text(save, 14, registered->consent_text);
	store_bind_number(save, 15, registered->consent_since_s);
	store_bind_number(save, 16, registered->consent_until_s);
	store_bind_number(save, 17, registered->created_s);
	return store_run(store, save);
}

static bool take_out(struct store *store, struct bytes account)
{
	static const unsigned all[] = { REMOVE, REMOVE_DEVICES, REMOVE_INVITATION };
	bool done = true;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all) && done; i++) {
		sqlite3_stmt *remove = store_writing(store, STORE_REGISTRY, all[i]);

		store_bind(remove, 1, account);
		done = store_run(store, remove);
	}
	return done;
}

bool registry_begin(struct store *store)
{
	store->in_batch = store_begin_durable(store);
	return store->in_batch;
}

bool registry_end(struct store *store, bool keep)
{
	if (!keep && !sqlite3_get_autocommit(store->db)) {
		store_run(store, store_statement(store, STORE_REGISTRY, ROLLBACK));
	}
	store->in_batch = false;
	return store_commit_durably(store) && keep;
}

bool registry_save(struct store *store, const struct registered *registered)
{
	if (store->in_batch) {
		return put(store, registered);
	}
	return registry_begin(store) && registry_end(store, put(store, registered));
}

bool registry_remove(struct store *store, struct bytes account)
{
	if (store->in_batch) {
		return take_out(store, account);
	}
	return registry_begin(store) && registry_end(store, take_out(store, account));
}
