/*
 * A look at the store of a service that does not run. It is read, not made, nor brought
 * forward.
 */
#include "proxy/keeper/keeper.h"
#include "proxy/keeper/store_directory.h"
#include "proxy/keeper/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const char rows[] = "SELECT account, folder, routed_as, template FROM unique_ids";
static const char table[] = "SELECT 1 FROM sqlite_master WHERE name = 'unique_ids'";

/* An older store has no such table. */
static bool has_table(sqlite3 *db, bool *found)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, table, -1, &statement, NULL);

	if (result == SQLITE_OK) {
		result = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	*found = result == SQLITE_ROW;
	return result == SQLITE_ROW || result == SQLITE_DONE;
}

static bool judge_rows(sqlite3 *db, const struct config *config,
		       struct config_verdict *verdict)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, rows, -1, &statement, NULL);

	while (result == SQLITE_OK || result == SQLITE_ROW) {
		result = sqlite3_step(statement);
		if (result == SQLITE_ROW) {
			config_changes(config,
				       &(struct config_known){
					       .account = store_text(statement, 0),
					       .folder = store_text(statement, 1),
					       .routed_as = store_text(statement, 2),
					       .unique_id = store_text(statement, 3) },
				       verdict);
		}
	}
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

bool keeper_judge_at(const char *state_directory, const struct config *config,
		     struct config_verdict *verdict, struct failure *failure)
{
	char path[STORE_PATH_MAX];
	const int len = snprintf(path, sizeof(path), "%s/popbridge.db", state_directory);
	sqlite3 *db = NULL;
	bool found = false;
	bool read;

	if (len < 0 || (size_t)len >= sizeof(path) ||
	    (access(path, F_OK) != 0 && errno == ENOENT)) {
		return true; // nothing is known yet
	}
	read = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	       has_table(db, &found) && (!found || judge_rows(db, config, verdict));
	if (!read) {
		failure_set(failure, FAILURE_PERMANENT, "%s: %s", path,
			    sqlite3_errmsg(db));
	}
	sqlite3_close(db);
	return read;
}
