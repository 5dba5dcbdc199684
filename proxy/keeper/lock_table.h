/*
 * Maildrop locks (RFC 1939 section 4) of all workers: who holds which, who waits for
 * one. Decides only; the caller tells the workers.
 *
 * A worker is a number that is never used again, not 0. At most one asker waits for a
 * lock: a newer one takes his place, since the newest is the client that is there now.
 */
#ifndef PROXY_KEEPER_LOCK_TABLE_H
#define PROXY_KEEPER_LOCK_TABLE_H

#include "proxy/ipc/keeper_message.h"

#define LOCK_TABLE_MAX 200000 // locks; beyond that every new one is refused
#define LOCK_WAIT_MS 30000    // how long an older session has to end

struct lock_table;

/* A worker's question for a lock. worker 0: none. */
struct lock_ticket {
	uint32_t worker;
	uint32_t request;
};

struct lock_tickets {
	struct lock_ticket *list; // owned by the caller: free()
	size_t count;
};

enum lock_verdict { LOCK_GRANTED, LOCK_REFUSED, LOCK_WAITS };

struct lock_answer {
	enum lock_verdict verdict;
	uint32_t holder;              // WAITS: tell this worker to end the session
	struct lock_ticket displaced; // WAITS: this one is refused instead
};

struct lock_table *lock_table_new(void);
void lock_table_free(struct lock_table *table);
size_t lock_table_count(const struct lock_table *table);

struct lock_answer lock_table_ask(struct lock_table *table, struct bytes key,
				  struct lock_ticket ticket, enum keeper_when_locked when,
				  uint64_t now_ms);

/* Held since before this keeper started. False: another worker has it. */
bool lock_table_hold(struct lock_table *table, struct bytes key, uint32_t worker);

/* The asker that has it now, or none. Nothing happens where the worker has it not. */
struct lock_ticket lock_table_unlock(struct lock_table *table, struct bytes key,
				     uint32_t worker);

/* A worker is gone: all his locks and questions are. Who is granted one now. */
struct lock_tickets lock_table_drop_worker(struct lock_table *table, uint32_t worker);

/* Who has waited too long, and is refused. */
struct lock_tickets lock_table_expire(struct lock_table *table, uint64_t now_ms);

#endif
