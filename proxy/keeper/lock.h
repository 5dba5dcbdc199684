/*
 * Maildrop locks (RFC 1939 section 4): one session per maildrop. In this process's
 * memory; with several processes the keeper holds them behind the same calls.
 */
#ifndef PROXY_KEEPER_LOCK_H
#define PROXY_KEEPER_LOCK_H

#include "protocol/bytes.h"

struct locks;
struct lock;

struct locks *locks_new(void);
/* No lock may be held any more. */
void locks_free(struct locks *locks);

/* key: canonical name of the maildrop. NULL: somebody holds it. */
struct lock *lock_acquire(struct locks *locks, struct bytes key);

/* NULL is fine. */
void lock_give_back(struct lock *lock);

#endif
