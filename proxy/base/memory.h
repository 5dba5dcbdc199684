/*
 * Allocation that does not fail: out of memory ends the process with a log line. For
 * sizes a peer chose, bound them first. Secrets are wiped before they are freed.
 */
#ifndef PROXY_BASE_MEMORY_H
#define PROXY_BASE_MEMORY_H

#include "protocol/bytes.h"

void *memory_new(size_t bytes);                     // zeroed
void *memory_new_array(size_t count, size_t bytes); // zeroed; overflow ends the process
void *memory_resize(void *memory, size_t bytes);
char *memory_copy_text(struct bytes text); // NUL added

/* A password or token on the heap: wiped when released. Zeroed is valid and empty. */
struct secret {
	char *at; // owned, NUL-terminated
	size_t len;
};

void secret_set(struct secret *secret, struct bytes value);
void secret_release(struct secret *secret);
struct bytes secret_bytes(const struct secret *secret);

/* For a process that serves: the end of each session would give the heap's end back to
 * the system, and the next session would ask for it again. */
void memory_keep_some(void);

/* What was freed goes back to the system: free() alone keeps all that lies below anything
 * still in use. Takes milliseconds. */
void memory_give_back(void);

/* Not optimised away. */
void memory_wipe(void *memory, size_t bytes);

#endif
