/*
 * Device passwords in the store.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/registry.h"
#include "proxy/keeper/store_internal.h"

#include <stdlib.h>
#include <string.h>

enum { NEXT, LAST_ID, ADD, REMOVE, SET_PROOF, USED, ANY_APOP };

#define COLUMNS                                                                          \
	"id, label, kind, proof, rights, folder, networks, until_s, created_s, last_s, " \
	"last_address"

static const char *const sql[] = {
	[NEXT] = "SELECT " COLUMNS " FROM device_passwords WHERE account = ?1 AND "
		 "id > ?2 ORDER BY id LIMIT 1",
	[LAST_ID] = "SELECT count(*), coalesce(max(id), 0) FROM device_passwords "
		    "WHERE account = ?",
	[ADD] = "INSERT INTO device_passwords(account, " COLUMNS
		") VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
	[REMOVE] = "DELETE FROM device_passwords WHERE account = ?1 AND id = ?2",
	[SET_PROOF] = "UPDATE device_passwords SET proof = ?3 "
		      "WHERE account = ?1 AND id = ?2",
	[USED] = "UPDATE device_passwords SET last_s = ?3, last_address = ?4 "
		 "WHERE account = ?1 AND id = ?2",
	[ANY_APOP] = "SELECT 1 FROM device_passwords WHERE kind = 2 LIMIT 1",
};
_Static_assert(DEVICE_APOP == 2, "as in ANY_APOP");

const struct store_sql store_devices_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

void device_release(struct device *device)
{
	free(device->label);
	free(device->folder);
	free(device->networks);
	buffer_release(&device->proof);
	*device = (struct device){ 0 };
}

static char *text_at(sqlite3_stmt *row, int place)
{
	return memory_copy_text(store_text(row, place));
}

bool device_next(struct store *store, struct bytes account, uint32_t after,
		 struct device *out)
{
	sqlite3_stmt *row = store_statement(store, STORE_DEVICES, NEXT);

	store_bind(row, 1, account);
	store_bind_number(row, 2, after);
	if (!store_next_row(store, row)) {
		return false;
	}
	*out = (struct device){
		.id = (uint32_t)store_number(row, 0),
		.label = text_at(row, 1),
		.kind = (enum device_kind)store_number(row, 2),
		.rights = (unsigned)store_number(row, 4),
		.folder = text_at(row, 5),
		.networks = text_at(row, 6),
		.until_s = store_number(row, 7),
		.created_s = store_number(row, 8),
		.last_s = store_number(row, 9),
	};
	buffer_init(&out->proof, REGISTRY_SECRET_MAX);
	buffer_append(&out->proof, store_text(row, 3));
	store_address(row, 10, out->last_address);
	sqlite3_reset(row);
	return true;
}

/* False: the account has as many as it may have. */
static bool new_id(struct store *store, struct bytes account, uint32_t *id)
{
	sqlite3_stmt *row = store_statement(store, STORE_DEVICES, LAST_ID);
	uint64_t count = REGISTRY_DEVICES_MAX;

	store_bind(row, 1, account);
	if (store_next_row(store, row)) {
		count = store_number(row, 0);
		*id = (uint32_t)store_number(row, 1) + 1;
		sqlite3_reset(row);
	}
	return count < REGISTRY_DEVICES_MAX;
}

static bool put(struct store *store, struct bytes account, const struct device *device)
{
	sqlite3_stmt *add = store_writing(store, STORE_DEVICES, ADD);

	store_bind(add, 1, account);
	store_bind_number(add, 2, device->id);
	store_bind(add, 3, bytes_of(device->label ? device->label : ""));
	store_bind_number(add, 4, device->kind);
	store_bind(add, 5, buffer_bytes(&device->proof));
	store_bind_number(add, 6, device->rights);
	store_bind(add, 7, bytes_of(device->folder ? device->folder : ""));
	store_bind(add, 8, bytes_of(device->networks ? device->networks : ""));
	store_bind_number(add, 9, device->until_s);
	store_bind_number(add, 10, device->created_s);
	store_bind_number(add, 11, device->last_s);
	store_bind_address(add, 12, device->last_address);
	return store_run(store, add);
}

bool device_add(struct store *store, struct bytes account, struct device *device)
{
	if (!new_id(store, account, &device->id)) {
		return false;
	}
	if (store->in_batch) {
		return put(store, account, device);
	}
	return registry_begin(store) && registry_end(store, put(store, account, device));
}

bool device_remove(struct store *store, struct bytes account, uint32_t id)
{
	bool removed;

	store_begin_durable(store);
	sqlite3_stmt *remove = store_writing(store, STORE_DEVICES, REMOVE);

	store_bind(remove, 1, account);
	store_bind_number(remove, 2, id);
	removed = store_run(store, remove) && sqlite3_changes(store->db) == 1;
	return store_commit_durably(store) && removed;
}

bool device_set_proof(struct store *store, struct bytes account, uint32_t id,
		      struct bytes proof)
{
	bool done;

	store_begin_durable(store);
	sqlite3_stmt *set = store_writing(store, STORE_DEVICES, SET_PROOF);

	store_bind(set, 1, account);
	store_bind_number(set, 2, id);
	store_bind(set, 3, proof);
	done = store_run(store, set) && sqlite3_changes(store->db) == 1;
	return store_commit_durably(store) && done;
}

bool device_any_apop(struct store *store)
{
	sqlite3_stmt *any = store_statement(store, STORE_DEVICES, ANY_APOP);
	const bool found = store_next_row(store, any);

	sqlite3_reset(any);
	return found;
}

void device_used(struct store *store, struct bytes account, uint32_t id,
		 const unsigned char address[KEEPER_ADDRESS_BYTES], uint64_t now_s)
{
	sqlite3_stmt *used = store_writing(store, STORE_DEVICES, USED);

	store_bind(used, 1, account);
	store_bind_number(used, 2, id);
	store_bind_number(used, 3, now_s);
	store_bind_address(used, 4, address);
	store_run(store, used);
}
