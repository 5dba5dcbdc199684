#include "proxy/mailbox/index_shelf.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS 4096

struct volume {
	struct volume *next;          // of its chain
	struct volume *newer, *older; // index_shelf::newest and oldest
	uint64_t hash;
	size_t key_len;
	size_t len;
	char text[]; // the key, then the index
};

struct index_shelf {
	size_t octets;
	size_t most_octets;
	struct volume *newest, *oldest;
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
	return sizeof(*volume) + volume->key_len + volume->len;
}

/* What points to the volume in its chain, or to NULL. */
static struct volume **find(struct index_shelf *shelf, struct bytes key, uint64_t hash)
{
	struct volume **link = &shelf->chains[hash % CHAINS];

	while (*link &&
	       ((*link)->hash != hash ||
		!bytes_equal((struct bytes){ (*link)->text, (*link)->key_len }, key))) {
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

/* NULL: nothing to drop. */
static void drop(struct index_shelf *shelf, struct volume **link)
{
	struct volume *volume = *link;

	if (!volume) {
		return;
	}
	*link = volume->next;
	unlink_age(shelf, volume);
	shelf->octets -= size_of(volume);
	free(volume);
}

static void drop_oldest(struct index_shelf *shelf)
{
	const struct bytes key = { shelf->oldest->text, shelf->oldest->key_len };

	drop(shelf, find(shelf, key, shelf->oldest->hash));
}

struct index_shelf *index_shelf_new(size_t most_octets)
{
	struct index_shelf *shelf = memory_new(sizeof(*shelf));

	shelf->most_octets = most_octets;
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
	return (struct bytes){ volume->text + volume->key_len, volume->len };
}

void index_shelf_keep(struct index_shelf *shelf, struct bytes key, struct bytes index)
{
	const uint64_t hash = hash_of(key);
	struct volume **link = find(shelf, key, hash);
	struct volume *volume;

	drop(shelf, link);
	if (index.len == 0 || index.len > shelf->most_octets) {
		return;
	}
	volume = memory_new(sizeof(*volume) + key.len + index.len);
	volume->hash = hash;
	volume->key_len = key.len;
	volume->len = index.len;
	memcpy(volume->text, key.at, key.len);
	memcpy(volume->text + key.len, index.at, index.len);
	volume->next = shelf->chains[hash % CHAINS];
	shelf->chains[hash % CHAINS] = volume;
	link_newest(shelf, volume);
	shelf->octets += size_of(volume);
	while (shelf->octets > shelf->most_octets && shelf->oldest != volume) {
		drop_oldest(shelf);
	}
}
