/*
 * The indexes of folders: in the worker's memory and, behind it, with the keeper, who
 * keeps them over a restart. Nothing hangs on them: what is not there is made anew.
 *
 * What changes is passed to the keeper by a task of its own, some seconds later, and the
 * larger an index is the less often.
 */
#ifndef PROXY_MAILBOX_INDEXES_H
#define PROXY_MAILBOX_INDEXES_H

#include "proxy/ipc/keeper_client.h"
#include "proxy/mailbox/index_shelf.h"

struct indexes;

/* keeper NULL: in memory alone. Outlives it. */
struct indexes *indexes_new(size_t most_octets, struct keeper_client *keeper);

/* What the keeper has not got is passed on, as far as that goes soon, and no more. */
SUSPENDS void indexes_end(struct indexes *indexes);
void indexes_free(struct indexes *indexes); // NULL is fine; after indexes_end()

/* Whose index it is. */
struct index_owner {
	struct bytes maildrop; // by its exact name
	struct bytes account;  // the POP3 user
};

/* Borrowed until the next call or wait; len 0: there is none. */
SUSPENDS struct bytes indexes_find(struct indexes *indexes,
				   const struct index_owner *owner);

/* In place of the one before; copied. Of no octets: there is none any more. */
void indexes_keep(struct indexes *indexes, const struct index_owner *owner,
		  struct bytes index);

/* Everything of an account, its name in any case of letters. */
void indexes_forget(struct indexes *indexes, struct bytes account);

#endif
