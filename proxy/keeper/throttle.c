#include "proxy/keeper/throttle.h"

#include "proxy/base/memory.h"
#include "proxy/rt/keyed_hash.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8       // places that share a set
#define REMEMBERED 4 // wrong passwords of one place
#define GROWTH 1.5   // of the delay with each failure
#define FAINT 0.5    // failures this few are forgotten

/* Failures without consequence. */
#define FREE_PAIR 2.0
#define FREE_BLOCK 4.0
#define FREE_WIDE 20.0   // a /48 may be a street
#define FREE_ACCOUNT 6.0 // two blocks' worth
#define BLOCK_SHARE 3.0  // of an account's failures, from one block

struct place {
	unsigned char key[THROTTLE_PLACE_BYTES]; // of zeros: free
	double failures;                         // as of at_ms
	uint64_t at_ms;
	uint64_t next_ms; // no try before
	uint64_t wrong[REMEMBERED];
	uint64_t right;
	uint64_t stamp; // of the last call that used it
	bool is_changed;
};

struct throttle {
	uint64_t delay_min_ms, delay_max_ms;
	unsigned char key[THROTTLE_KEY_BYTES];
	uint64_t stamp;
	size_t count;
	struct place places[]; // in sets of WAYS
};

enum kind { PAIR, BLOCK, WIDE, ACCOUNT, KINDS };

/* The places of one try; NULL: does not count. */
struct places {
	struct place *of[KINDS];
};

static const double free_failures[KINDS] = { FREE_PAIR, FREE_BLOCK, FREE_WIDE,
					     FREE_ACCOUNT };

struct throttle *throttle_new(uint64_t delay_min_ms, uint64_t delay_max_ms, size_t places,
			      const unsigned char key[THROTTLE_KEY_BYTES])
{
	size_t count = (places / WAYS + 1) * WAYS;
	struct throttle *throttle =
		memory_new(sizeof(*throttle) + count * sizeof(struct place));

	throttle_limit(throttle, delay_min_ms, delay_max_ms);
	throttle->count = count;
	memcpy(throttle->key, key, THROTTLE_KEY_BYTES);
	return throttle;
}

void throttle_limit(struct throttle *throttle, uint64_t delay_min_ms,
		    uint64_t delay_max_ms)
{
	throttle->delay_min_ms = delay_min_ms;
	throttle->delay_max_ms = delay_max_ms;
}

void throttle_free(struct throttle *throttle)
{
	if (throttle) {
		memory_wipe(throttle->key, sizeof(throttle->key));
		free(throttle);
	}
}

/* The curve is straight between the halvings. */
static double faded(double failures, uint64_t age_ms)
{
	for (; age_ms >= THROTTLE_HALVED_MS; age_ms -= THROTTLE_HALVED_MS) {
		failures /= 2;
		if (failures < FAINT) {
			return 0;
		}
	}
	failures -= failures / 2 * (double)age_ms / THROTTLE_HALVED_MS;
	return failures < FAINT ? 0 : failures;
}

static void fade(struct place *place, uint64_t now_ms)
{
	if (now_ms > place->at_ms) {
		place->failures = faded(place->failures, now_ms - place->at_ms);
		place->at_ms = now_ms;
	}
}

/* Is one a better place to forget than the other? Never one this call uses already. */
static bool is_lesser(const struct throttle *throttle, const struct place *one,
		      const struct place *other)
{
	if (other->stamp == throttle->stamp || one->stamp == throttle->stamp) {
		return one->stamp != throttle->stamp;
	}
	if (one->failures < other->failures || one->failures > other->failures) {
		return one->failures < other->failures;
	}
	return one->stamp < other->stamp;
}

static struct place *least_guilty(const struct throttle *throttle, struct place *set,
				  uint64_t now_ms)
{
	struct place *least = set;

	for (struct place *place = set; place < set + WAYS; place++) {
		fade(place, now_ms);
		if (is_lesser(throttle, place, least)) {
			least = place;
		}
	}
	return least; // free: a call uses fewer than WAYS
}

static struct place *place_at(struct throttle *throttle,
			      const unsigned char key[THROTTLE_PLACE_BYTES],
			      uint64_t now_ms)
{
	uint64_t where;

	memcpy(&where, key, sizeof(where));
	struct place *set = throttle->places + where % (throttle->count / WAYS) * WAYS;

	for (struct place *place = set; place < set + WAYS; place++) {
		if (memcmp(place->key, key, THROTTLE_PLACE_BYTES) == 0) {
			fade(place, now_ms);
			place->stamp = throttle->stamp;
			return place;
		}
	}
	struct place *place = least_guilty(throttle, set, now_ms);

	*place = (struct place){ .at_ms = now_ms,
				 .next_ms = now_ms,
				 .stamp = throttle->stamp };
	memcpy(place->key, key, THROTTLE_PLACE_BYTES);
	return place;
}

static bool is_ipv4(const unsigned char address[KEEPER_ADDRESS_BYTES])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static void block(const unsigned char address[KEEPER_ADDRESS_BYTES], size_t ipv6_bytes,
		  unsigned char out[KEEPER_ADDRESS_BYTES])
{
	size_t kept = is_ipv4(address) ? KEEPER_ADDRESS_BYTES : ipv6_bytes;

	memset(out, 0, KEEPER_ADDRESS_BYTES);
	memcpy(out, address, kept);
}

void throttle_block(const unsigned char address[KEEPER_ADDRESS_BYTES],
		    unsigned char out[KEEPER_ADDRESS_BYTES])
{
	block(address, 8, out);
}

/* Servers, and the registry, take a name in any case: a spelling is no new account. */
static void hash_account(const struct throttle *throttle, struct bytes context,
			 struct bytes account, unsigned char out[KEYED_HASH_BYTES])
{
	char *name = memory_copy_text(account);

	for (size_t i = 0; i < account.len; i++) {
		name[i] =
			name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
	}
	keyed_hash(throttle->key, context, (struct bytes){ name, account.len }, out);
	free(name);
}

/* ipv6_bytes of the address that count, 0 for none. */
static struct place *find(struct throttle *throttle, const struct throttle_try *try,
			  enum kind kind, size_t ipv6_bytes, uint64_t now_ms)
{
	char context[1 + KEEPER_ADDRESS_BYTES] = { (char)kind };
	unsigned char hash[KEYED_HASH_BYTES];

	if (ipv6_bytes > 0) {
		block(try->address, ipv6_bytes, (unsigned char *)context + 1);
	}
	hash_account(throttle, (struct bytes){ context, sizeof(context) },
		     kind == PAIR || kind == ACCOUNT ? try->account : bytes_of(""), hash);
	return place_at(throttle, hash, now_ms);
}

static struct places find_all(struct throttle *throttle, const struct throttle_try *try,
			      uint64_t now_ms)
{
	bool only_pair = try->known || try->shared;
	struct places places = { { NULL } };

	throttle->stamp++;
	places.of[PAIR] = find(throttle, try, PAIR, only_pair ? 8 : 6, now_ms);
	if (!only_pair) {
		places.of[BLOCK] = find(throttle, try, BLOCK, 8, now_ms);
		places.of[ACCOUNT] = find(throttle, try, ACCOUNT, 0, now_ms);
		if (!is_ipv4(try->address)) {
			places.of[WIDE] = find(throttle, try, WIDE, 6, now_ms);
		}
	}
	return places;
}

static uint64_t delay_ms(const struct throttle *throttle, const struct place *place,
			 size_t kind)
{
	double over = place->failures - free_failures[kind];
	double delay = (double)throttle->delay_min_ms;

	if (over < FAINT) {
		return 0;
	}
	while (over > 1 && delay < (double)throttle->delay_max_ms) {
		delay *= GROWTH;
		over--;
	}
	return delay < (double)throttle->delay_max_ms ? (uint64_t)delay
						      : throttle->delay_max_ms;
}

static bool is_wrong_again(const struct place *pair, uint64_t hash)
{
	for (size_t i = 0; i < REMEMBERED; i++) {
		if (pair->wrong[i] == hash) {
			return hash != 0;
		}
	}
	return false;
}

/* When the try may start, by all its places. */
static uint64_t earliest_ms(const struct places *places, uint64_t now_ms)
{
	uint64_t start_ms = now_ms;

	for (size_t kind = 0; kind < KINDS; kind++) {
		const struct place *place = places->of[kind];

		if (place && place->next_ms > start_ms) {
			start_ms = place->next_ms;
		}
	}
	return start_ms;
}

static void book(struct throttle *throttle, struct places *places, uint64_t start_ms,
		 struct throttle_charge *charge)
{
	bool spare_account = places->of[PAIR]->failures > BLOCK_SHARE - FAINT;

	for (size_t kind = 0; kind < KINDS; kind++) {
		struct place *place = places->of[kind];

		if (!place || (kind == ACCOUNT && spare_account)) {
			continue;
		}
		place->failures++;
		place->is_changed = true;
		charge->places |= 1U << kind;
		uint64_t delay = delay_ms(throttle, place, kind);

		if (delay > 0) { // else what holds this try up is not this place
			place->next_ms = start_ms + delay;
		}
	}
}

/* Space the same wrong password again, without counting it. */
static void book_repeat(struct throttle *throttle, struct place *pair, uint64_t start_ms)
{
	uint64_t delay = delay_ms(throttle, pair, PAIR);

	pair->next_ms = start_ms + (delay > 0 ? delay : throttle->delay_min_ms);
}

uint32_t throttle_ask(struct throttle *throttle, const struct throttle_try *try,
		      uint64_t now_ms, struct throttle_charge *charge)
{
	*charge = (struct throttle_charge){ 0 };
	if (throttle->delay_max_ms == 0) {
		return 0;
	}
	struct places places = find_all(throttle, try, now_ms);
	struct place *pair = places.of[PAIR];

	/* Only where nobody guesses: else this would tell guessers which one is right. */
	if (try->known && pair->failures < 1 && pair->right == try->hash &&
	    try->hash != 0) {
		return 0;
	}
	uint64_t start_ms = earliest_ms(&places, now_ms);

	if (start_ms - now_ms > throttle->delay_max_ms) {
		return THROTTLE_REFUSE;
	}
	if (is_wrong_again(pair, try->hash)) {
		book_repeat(throttle, pair, start_ms);
	} else {
		book(throttle, &places, start_ms, charge);
	}
	return (uint32_t)(start_ms - now_ms);
}

static void give_back(struct throttle *throttle, const struct places *places,
		      const struct throttle_charge *charge, uint64_t now_ms)
{
	for (size_t kind = 0; kind < KINDS; kind++) {
		struct place *place = places->of[kind];

		if (!place || !(charge->places & 1U << kind)) {
			continue;
		}
		place->failures = place->failures > 1 ? place->failures - 1 : 0;
		uint64_t next_ms = now_ms + delay_ms(throttle, place, kind);

		place->next_ms = next_ms < place->next_ms ? next_ms : place->next_ms;
		place->is_changed = true;
	}
}

/* A right one halves what is left: not all is forgotten, others may be guessing. */
static void was_right(struct throttle *throttle, struct place *pair, uint64_t hash,
		      uint64_t now_ms)
{
	uint64_t next_ms;

	for (size_t i = 0; i < REMEMBERED; i++) {
		if (pair->wrong[i] == hash) {
			pair->wrong[i] = 0; // it is not any more
		}
	}
	pair->failures /= 2;
	pair->right = hash;
	pair->is_changed = true;
	next_ms = now_ms + delay_ms(throttle, pair, PAIR);
	pair->next_ms = next_ms < pair->next_ms ? next_ms : pair->next_ms;
}

static void was_wrong(struct place *pair, const struct throttle_charge *charge,
		      uint64_t hash)
{
	memmove(pair->wrong + 1, pair->wrong, sizeof(pair->wrong) - sizeof(*pair->wrong));
	pair->wrong[0] = hash;
	if (pair->right == hash) {
		pair->right = 0;
	}
	if (charge->places == 0) { // it was trusted, or asked of another keeper
		pair->failures++;
		pair->is_changed = true;
	}
}

void throttle_tell(struct throttle *throttle, const struct throttle_try *try,
		   const struct throttle_charge *charge, enum keeper_outcome outcome,
		   uint64_t now_ms)
{
	if (throttle->delay_max_ms == 0) {
		return;
	}
	struct places places = find_all(throttle, try, now_ms);

	switch (outcome) {
	case KEEPER_RIGHT:
		give_back(throttle, &places, charge, now_ms);
		was_right(throttle, places.of[PAIR], try->hash, now_ms);
		return;
	case KEEPER_NO_ANSWER:
		give_back(throttle, &places, charge, now_ms);
		return;
	case KEEPER_WRONG:
		/* Several of the same were on their way: one counts. */
		if (is_wrong_again(places.of[PAIR], try->hash)) {
			give_back(throttle, &places, charge, now_ms);
		} else {
			was_wrong(places.of[PAIR], charge, try->hash);
		}
		return;
	}
}

bool throttle_next_changed(struct throttle *throttle, size_t *cursor, uint64_t now_ms,
			   struct throttle_record *out)
{
	while (*cursor < throttle->count) {
		struct place *place = &throttle->places[(*cursor)++];

		if (place->is_changed) {
			fade(place, now_ms);
			place->is_changed = false;
			memcpy(out->place, place->key, THROTTLE_PLACE_BYTES);
			out->failures = place->failures;
			return true;
		}
	}
	return false;
}

void throttle_restore(struct throttle *throttle, const struct throttle_record *record,
		      uint64_t age_ms, uint64_t now_ms)
{
	double failures = faded(record->failures, age_ms);

	if (failures > 0) {
		throttle->stamp++;
		place_at(throttle, record->place, now_ms)->failures = failures;
	}
}

static void clear(struct place *place)
{
	place->failures = 0;
	place->next_ms = 0;
	place->right = 0;
	memset(place->wrong, 0, sizeof(place->wrong));
	place->is_changed = true;
}

void throttle_forget(struct throttle *throttle, struct bytes account,
		     const unsigned char address[KEEPER_ADDRESS_BYTES], uint64_t now_ms)
{
	const struct throttle_try try = { .address = address, .account = account };

	throttle->stamp++;
	clear(find(throttle, &try, PAIR, 6, now_ms));
	clear(find(throttle, &try, PAIR, 8, now_ms)); // as from a known address
	clear(find(throttle, &try, ACCOUNT, 0, now_ms));
}
