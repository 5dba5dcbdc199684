/*
 * A directory to keep things in: made where it is missing, and where it cannot be used, a
 * message with the command that mends it.
 */
#ifndef PROXY_BASE_DIRECTORY_H
#define PROXY_BASE_DIRECTORY_H

#include "proxy/base/failure.h"

#include <sys/types.h>

/* Made with mode 0700; one that is there is left as it is. FAILURE_PERMANENT. */
bool directory_make(const char *directory, struct failure *failure);

/* Root makes it, or takes an empty one, for that user. What is in use stays as it is. */
void directory_give(const char *directory, uid_t uid, gid_t gid);

/* The message for an errno met in it. Returns false. */
bool directory_unusable(const char *directory, int error, struct failure *failure);

#endif
