#include "proxy/keeper/login_delay.h"

#include "proxy/base/memory.h"
#include "proxy/rt/keyed_hash.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8
#define SETS 4096

struct bucket {
	uint64_t key;
	uint64_t full_ms; // when it is full again
};

struct login_delay {
	unsigned char key[KEYED_HASH_BYTES]; // for hashing accounts
	struct bucket buckets[SETS * WAYS];
};

struct login_delay *login_delay_new(void)
{
	struct login_delay *delays = memory_new(sizeof(*delays));

	keyed_hash_new_key(delays->key);
	return delays;
}

void login_delay_free(struct login_delay *delays)
{
	free(delays);
}

/* The account's own, or the one of its set that is full soonest. */
static struct bucket *find(struct login_delay *delays, struct bytes account)
{
	unsigned char hash[KEYED_HASH_BYTES];
	uint64_t key;

	keyed_hash(delays->key, bytes_of("account"), account, hash);
	memcpy(&key, hash, sizeof(key));
	struct bucket *set = &delays->buckets[key % SETS * WAYS];
	struct bucket *fullest = set;

	for (struct bucket *bucket = set; bucket < set + WAYS; bucket++) {
		if (bucket->key == key) {
			return bucket;
		}
		if (bucket->full_ms < fullest->full_ms) {
			fullest = bucket;
		}
	}
	*fullest = (struct bucket){ .key = key };
	return fullest;
}

uint32_t login_delay_ask(struct login_delay *delays, struct bytes account,
			 uint64_t delay_ms, uint64_t now_ms)
{
	struct bucket *bucket = find(delays, account);
	const uint64_t full_ms = bucket->full_ms > now_ms ? bucket->full_ms : now_ms;
	const uint64_t most_ms = now_ms + (LOGIN_DELAY_BURST - 1) * delay_ms;

	if (full_ms > most_ms) {
		return (uint32_t)(full_ms - most_ms);
	}
	bucket->full_ms = full_ms + delay_ms;
	return 0;
}
