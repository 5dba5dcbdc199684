/*
 * The store's tables, version by version. A store of an older program is brought forward
 * at start, one transaction a version, after a copy was made beside it.
 */
#ifndef PROXY_KEEPER_STORE_SCHEMA_H
#define PROXY_KEEPER_STORE_SCHEMA_H

#include "proxy/base/failure.h"

#include <sqlite3.h>
#include <stddef.h>

/* Statement list i brings version i to version i + 1. */
struct store_schema {
	const char *const *steps;
	size_t count;
};

extern const struct store_schema store_schema;

/*
 * path: of the file, for the copy PATH.version-N; NULL: in memory. FAILURE_PERMANENT: a
 * newer schema, not a store of ours, no room for the copy; the file is as it was.
 */
bool store_schema_bring(sqlite3 *db, const char *path, const struct store_schema *schema,
			struct failure *failure);

/* Do its pages fit together? */
bool store_schema_is_whole(sqlite3 *db);

#endif
