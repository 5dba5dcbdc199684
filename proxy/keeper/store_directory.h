/*
 * The state directory: is it usable, and is it ours alone?
 */
#ifndef PROXY_KEEPER_STORE_DIRECTORY_H
#define PROXY_KEEPER_STORE_DIRECTORY_H

#include "proxy/base/failure.h"

#define STORE_PATH_MAX 1024

/*
 * Made where it is missing, and locked against a second instance. The descriptor holds
 * the lock as long as it is open, however the process ends. -1: FAILURE_PERMANENT, with
 * the command that mends it.
 */
int store_directory_claim(const char *directory, struct failure *failure);

/* What is on disk stays there when the power goes. */
bool store_directory_sync(const char *path);

#endif
