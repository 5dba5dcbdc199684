#include "proxy/keeper/lock.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

#define BUCKETS 1024 // a power of two

struct lock {
	struct lock *next; // in its bucket
	struct locks *locks;
	size_t bucket;
	char *key; // owned
};

struct locks {
	struct lock *buckets[BUCKETS]; // lock::next
};

struct locks *locks_new(void)
{
	return memory_new(sizeof(struct locks));
}

void locks_free(struct locks *locks)
{
	free(locks);
}

static size_t bucket_of(struct bytes key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ (unsigned char)key.at[i]) * 0x100000001b3;
	}
	return hash & (BUCKETS - 1);
}

struct lock *lock_acquire(struct locks *locks, struct bytes key)
{
	const size_t bucket = bucket_of(key);
	struct lock *lock;

	for (lock = locks->buckets[bucket]; lock; lock = lock->next) {
		if (bytes_equal(bytes_of(lock->key), key)) {
			return NULL;
		}
	}
	lock = memory_new(sizeof(*lock));
	*lock = (struct lock){ locks->buckets[bucket], locks, bucket,
			       memory_copy_text(key) };
	locks->buckets[bucket] = lock;
	return lock;
}

void lock_give_back(struct lock *lock)
{
	if (!lock) {
		return;
	}
	struct lock **link = &lock->locks->buckets[lock->bucket];

	while (*link != lock) {
		link = &(*link)->next;
	}
	*link = lock->next;
	free(lock->key);
	free(lock);
}
