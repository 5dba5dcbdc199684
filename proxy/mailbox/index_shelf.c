#include "proxy/mailbox/index_shelf.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#define CHAINS 4096

struct volume {
	struct volume *next;          // of its chain
	struct volume *newer, *older; // index_shelf::newest and oldest
	TAILQ_ENTRY(volume) queued;   // index_shelf::queue, where is_queued
	bool is_queued;
	uint64_t since_ms; // in the queue
	uint64_t saved_ms;
	uint64_t hash;
	size_t key_len;
	size_t account_len;
	size_t len;
	char text[]; // the key, the account, the index
};

TAILQ_HEAD(queue, volume);

struct index_shelf {
	size_t octets;
	size_t most_octets;
	struct volume *newest, *oldest;
	struct queue queue;            // volume::queued
	struct volume *chains[CHAINS]; // volume::next
};

static uint64_t hash_of(struct bytes key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ (unsigned char)key.at[i]) * 0x100000001b3;
	}
	return hash;
}

static size_t size_of(const struct volume *volume)
{
	return sizeof(*volume) + volume->key_len + volume->account_len + volume->len;
}

static struct bytes key_of(const struct volume *volume)
{
	return (struct bytes){ volume->text, volume->key_len };
}

static struct bytes account_of(const struct volume *volume)
{
	return (struct bytes){ volume->text + volume->key_len, volume->account_len };
}

static struct bytes index_of(const struct volume *volume)
{
	return (struct bytes){ volume->text + volume->key_len + volume->account_len,
			       volume->len };
}

/* What points to the volume in its chain, or to NULL. */
static struct volume **find(struct index_shelf *shelf, struct bytes key, uint64_t hash)
{
	struct volume **link = &shelf->chains[hash % CHAINS];

	while (*link && ((*link)->hash != hash || !bytes_equal(key_of(*link), key))) {
		link = &(*link)->next;
	}
	return link;
}

static void unlink_age(struct index_shelf *shelf, struct volume *volume)
{
	*(volume->newer ? &volume->newer->older : &shelf->newest) = volume->older;
	*(volume->older ? &volume->older->newer : &shelf->oldest) = volume->newer;
}

static void link_newest(struct index_shelf *shelf, struct volume *volume)
{
	volume->newer = NULL;
	volume->older = shelf->newest;
	*(shelf->newest ? &shelf->newest->newer : &shelf->oldest) = volume;
	shelf->newest = volume;
}

static void unlink_queue(struct index_shelf *shelf, struct volume *volume)
{
	if (volume->is_queued) {
		TAILQ_REMOVE(&shelf->queue, volume, queued);
		volume->is_queued = false;
	}
}

/* NULL: nothing to drop. */
static void drop(struct index_shelf *shelf, struct volume **link)
{
	struct volume *volume = *link;

	if (!volume) {
		return;
	}
	*link = volume->next;
	unlink_queue(shelf, volume);
	unlink_age(shelf, volume);
	shelf->octets -= size_of(volume);
	free(volume);
}

static void drop_oldest(struct index_shelf *shelf)
{
	drop(shelf, find(shelf, key_of(shelf->oldest), shelf->oldest->hash));
}

struct index_shelf *index_shelf_new(size_t most_octets)
{
	struct index_shelf *shelf = memory_new(sizeof(*shelf));

	shelf->most_octets = most_octets;
	TAILQ_INIT(&shelf->queue);
	return shelf;
}

void index_shelf_free(struct index_shelf *shelf)
{
	while (shelf && shelf->oldest) {
		drop_oldest(shelf);
	}
	free(shelf);
}

struct bytes index_shelf_find(struct index_shelf *shelf, struct bytes key)
{
	struct volume *volume = *find(shelf, key, hash_of(key));

	if (!volume) {
		return (struct bytes){ 0 };
	}
	unlink_age(shelf, volume);
	link_newest(shelf, volume);
	return index_of(volume);
}

static struct volume *volume_new(struct bytes key, struct bytes account,
				 struct bytes index)
{
	struct volume *volume =
		memory_new(sizeof(*volume) + key.len + account.len + index.len);

	volume->key_len = key.len;
	volume->account_len = account.len;
	volume->len = index.len;
	memcpy(volume->text, key.at, key.len);
	if (account.len > 0) {
		memcpy(volume->text + key.len, account.at, account.len);
	}
	memcpy(volume->text + key.len + account.len, index.at, index.len);
	return volume;
}

/* The history of the one before, and its place in the queue. */
static void inherit(struct index_shelf *shelf, struct volume *volume,
		    struct volume *before)
{
	volume->saved_ms = before->saved_ms;
	if (before->is_queued) {
		volume->is_queued = true;
		volume->since_ms = before->since_ms;
		TAILQ_INSERT_AFTER(&shelf->queue, before, volume, queued);
	}
}

void index_shelf_keep(struct index_shelf *shelf, struct bytes key, struct bytes account,
		      struct bytes index)
{
	const uint64_t hash = hash_of(key);
	struct volume **link = find(shelf, key, hash);
	struct volume *volume;

	if (index.len == 0 || index.len > shelf->most_octets) {
		drop(shelf, link);
		return;
	}
	volume = volume_new(key, account, index);
	volume->hash = hash;
	if (*link) {
		inherit(shelf, volume, *link);
		drop(shelf, link);
	}
	volume->next = shelf->chains[hash % CHAINS];
	shelf->chains[hash % CHAINS] = volume;
	link_newest(shelf, volume);
	shelf->octets += size_of(volume);
	while (shelf->octets > shelf->most_octets && shelf->oldest != volume) {
		drop_oldest(shelf);
	}
}

void index_shelf_forget(struct index_shelf *shelf, struct bytes account)
{
	struct volume *volume = shelf->newest;

	while (volume) {
		struct volume *older = volume->older;
		const struct bytes own = account_of(volume);

		if (own.len == account.len &&
		    strncasecmp(own.at, account.at, own.len) == 0) {
			drop(shelf, find(shelf, key_of(volume), volume->hash));
		}
		volume = older;
	}
}

void index_shelf_enqueue(struct index_shelf *shelf, struct bytes key, uint64_t now_ms)
{
	struct volume *volume = *find(shelf, key, hash_of(key));

	if (volume && !volume->is_queued) {
		volume->is_queued = true;
		volume->since_ms = now_ms;
		TAILQ_INSERT_TAIL(&shelf->queue, volume, queued);
	}
}

bool index_shelf_first(const struct index_shelf *shelf, struct index_waiting *out)
{
	const struct volume *volume = TAILQ_FIRST(&shelf->queue);

	if (volume) {
		*out = (struct index_waiting){ key_of(volume), account_of(volume),
					       index_of(volume), volume->since_ms,
					       volume->saved_ms };
	}
	return volume;
}

void index_shelf_dequeue(struct index_shelf *shelf)
{
	if (TAILQ_FIRST(&shelf->queue)) {
		unlink_queue(shelf, TAILQ_FIRST(&shelf->queue));
	}
}

void index_shelf_note_saved(struct index_shelf *shelf, struct bytes key, uint64_t now_ms)
{
	struct volume *volume = *find(shelf, key, hash_of(key));

	if (volume) {
		volume->saved_ms = now_ms;
	}
}
