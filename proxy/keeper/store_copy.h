/*
 * A store in memory as a memory file, for the next keeper.
 */
#ifndef PROXY_KEEPER_STORE_COPY_H
#define PROXY_KEEPER_STORE_COPY_H

#include <sqlite3.h>
#include <stdbool.h>

/* Everything committed. The caller closes it. -1: no memory. */
int store_copy_write(sqlite3 *db);

/* db is new and in memory. False: there is nothing to read, or no memory. */
bool store_copy_read(sqlite3 *db, int fd);

#endif
