/*
 * The indexes that a worker has at hand, by exact maildrop: account and folder. Bounded:
 * what was not used for the longest time makes way. Those that the keeper does not have
 * stand in a queue.
 */
#ifndef PROXY_MAILBOX_INDEX_SHELF_H
#define PROXY_MAILBOX_INDEX_SHELF_H

#include "protocol/buffer.h"

struct index_shelf;

struct index_shelf *index_shelf_new(size_t most_octets);
void index_shelf_free(struct index_shelf *shelf); // NULL is fine

/* Borrowed until the next call; len 0: none. */
struct bytes index_shelf_find(struct index_shelf *shelf, struct bytes key);

/*
 * In place of the one before; copied. One without octets: only forget the one before.
 * account: whose session made it.
 */
void index_shelf_keep(struct index_shelf *shelf, struct bytes key, struct bytes account,
		      struct bytes index);

/* Everything of an account, its name in any case of letters. */
void index_shelf_forget(struct index_shelf *shelf, struct bytes account);

/* The end of the queue, once. */
void index_shelf_enqueue(struct index_shelf *shelf, struct bytes key, uint64_t now_ms);

/* Its head, borrowed until the next call. */
struct index_waiting {
	struct bytes key, account, index;
	uint64_t since_ms; // in the queue
	uint64_t saved_ms; // the last time; 0: never
};

/* False: nothing waits. */
bool index_shelf_first(const struct index_shelf *shelf, struct index_waiting *out);

/* Takes the head out of the queue. */
void index_shelf_dequeue(struct index_shelf *shelf);

/* The keeper has got it. */
void index_shelf_note_saved(struct index_shelf *shelf, struct bytes key, uint64_t now_ms);

#endif
