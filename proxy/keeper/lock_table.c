#include "proxy/keeper/lock_table.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 8192 // a power of two

struct entry {
	struct entry *next; // in its bucket
	uint32_t worker;    // the holder
	struct lock_ticket waiter;
	uint64_t waiter_until_ms;
	size_t key_len;
	char key[];
};

struct lock_table {
	size_t count;
	struct entry *buckets[BUCKETS]; // entry::next
};

struct lock_table *lock_table_new(void)
{
	return memory_new(sizeof(struct lock_table));
}

static void remove_at(struct lock_table *table, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	free(entry);
	table->count--;
}

void lock_table_free(struct lock_table *table)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (table->buckets[i]) {
			remove_at(table, &table->buckets[i]);
		}
	}
	free(table);
}

size_t lock_table_count(const struct lock_table *table)
{
	return table->count;
}

/* Where the entry of this key is linked, or would be. */
static struct entry **find(struct lock_table *table, struct bytes key)
{
	uint64_t hash = 0xcbf29ce484222325;
	struct entry **link;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ (unsigned char)key.at[i]) * 0x100000001b3;
	}
	link = &table->buckets[(hash ^ hash >> 32) & (BUCKETS - 1)];
	while (*link &&
	       !bytes_equal((struct bytes){ (*link)->key, (*link)->key_len }, key)) {
		link = &(*link)->next;
	}
	return link;
}

static bool add(struct lock_table *table, struct entry **link, struct bytes key,
		uint32_t worker)
{
	if (table->count >= LOCK_TABLE_MAX) {
		return false;
	}
	struct entry *entry = memory_new(sizeof(*entry) + key.len);

	entry->worker = worker;
	entry->key_len = key.len;
	memcpy(entry->key, key.at, key.len);
	*link = entry;
	table->count++;
	return true;
}

struct lock_answer lock_table_ask(struct lock_table *table, struct bytes key,
				  struct lock_ticket ticket, enum keeper_when_locked when,
				  uint64_t now_ms)
{
	struct entry **link = find(table, key);
	struct entry *entry = *link;

	if (!entry) {
		bool added = add(table, link, key, ticket.worker);

		return (struct lock_answer){ added ? LOCK_GRANTED : LOCK_REFUSED,
					     0,
					     { 0, 0 } };
	}
	if (when == KEEPER_LOCK_REFUSE) {
		return (struct lock_answer){ LOCK_REFUSED, 0, { 0, 0 } };
	}
	struct lock_answer answer = { LOCK_WAITS, entry->worker, entry->waiter };

	entry->waiter = ticket;
	entry->waiter_until_ms = now_ms + LOCK_WAIT_MS;
	return answer;
}

bool lock_table_hold(struct lock_table *table, struct bytes key, uint32_t worker)
{
	struct entry **link = find(table, key);

	return *link ? (*link)->worker == worker : add(table, link, key, worker);
}

/* The waiter has it now; without one it is gone. */
static struct lock_ticket pass_on(struct lock_table *table, struct entry **link)
{
	struct entry *entry = *link;
	struct lock_ticket ticket = entry->waiter;

	if (ticket.worker == 0) {
		remove_at(table, link);
		return ticket;
	}
	entry->worker = ticket.worker;
	entry->waiter = (struct lock_ticket){ 0, 0 };
	return ticket;
}

struct lock_ticket lock_table_unlock(struct lock_table *table, struct bytes key,
				     uint32_t worker)
{
	struct entry **link = find(table, key);

	if (!*link || (*link)->worker != worker) {
		return (struct lock_ticket){ 0, 0 };
	}
	return pass_on(table, link);
}

static void append(struct lock_tickets *tickets, struct lock_ticket ticket)
{
	/* Grows by doubling at the powers of two. */
	if ((tickets->count & (tickets->count - 1)) == 0) {
		size_t room = tickets->count > 0 ? 2 * tickets->count : 1;

		tickets->list = memory_resize(tickets->list, room * sizeof(ticket));
	}
	tickets->list[tickets->count++] = ticket;
}

struct lock_tickets lock_table_drop_worker(struct lock_table *table, uint32_t worker)
{
	struct lock_tickets granted = { 0 };

	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry **link = &table->buckets[i];

		while (*link) {
			struct entry *entry = *link;

			if (entry->waiter.worker == worker) {
				entry->waiter = (struct lock_ticket){ 0, 0 };
			}
			if (entry->worker == worker) {
				struct lock_ticket next = pass_on(table, link);

				if (next.worker == 0) {
					continue; // the link is another entry's now
				}
				append(&granted, next);
			}
			link = &entry->next;
		}
	}
	return granted;
}

struct lock_tickets lock_table_expire(struct lock_table *table, uint64_t now_ms)
{
	struct lock_tickets late = { 0 };

	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct entry *entry = table->buckets[i]; entry;
		     entry = entry->next) {
			if (entry->waiter.worker != 0 &&
			    now_ms >= entry->waiter_until_ms) {
				append(&late, entry->waiter);
				entry->waiter = (struct lock_ticket){ 0, 0 };
			}
		}
	}
	return late;
}
