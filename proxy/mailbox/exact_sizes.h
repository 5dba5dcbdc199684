/*
 * Octets of messages that RFC822.SIZE does not tell, as transfers have shown. Few at most
 * servers, all at some; 16 octets each.
 */
#ifndef PROXY_MAILBOX_EXACT_SIZES_H
#define PROXY_MAILBOX_EXACT_SIZES_H

#include <stdint.h>

struct exact_size {
	uint64_t octets;
	uint32_t imap_uid;
};

/* Zeroed is valid: none. */
struct exact_sizes {
	struct exact_size *list; // owned, in ascending order of UID
	uint32_t count;
	uint32_t room;
};

void exact_sizes_release(struct exact_sizes *sizes);

void exact_sizes_copy(struct exact_sizes *to, const struct exact_sizes *from);

/* In place of what was set before. Cheap in ascending order. */
void exact_sizes_set(struct exact_sizes *sizes, uint32_t imap_uid, uint64_t octets);

/* NULL: nothing is known. Until the next call that sets one. */
const struct exact_size *exact_sizes_find(const struct exact_sizes *sizes,
					  uint32_t imap_uid);

#endif
