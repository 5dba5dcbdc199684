/*
 * The indexes that a worker has at hand, by exact account and folder. Bounded: what was
 * not used for the longest time makes way.
 */
#ifndef PROXY_MAILBOX_INDEX_SHELF_H
#define PROXY_MAILBOX_INDEX_SHELF_H

#include "protocol/buffer.h"

struct index_shelf;

struct index_shelf *index_shelf_new(size_t most_octets);
void index_shelf_free(struct index_shelf *shelf); // NULL is fine

/* Borrowed until the next call; len 0: none. */
struct bytes index_shelf_find(struct index_shelf *shelf, struct bytes key);

/* In place of the one before; copied. One without octets: only forget the one before. */
void index_shelf_keep(struct index_shelf *shelf, struct bytes key, struct bytes index);

#endif
