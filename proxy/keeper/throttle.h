/*
 * Who may try a password now: a growing delay for addresses and accounts where passwords
 * were wrong. Pure decisions over a table of fixed size; the clock is passed in.
 *
 * Places are what failures are counted at:
 *   the account as seen from one address block  the strictest: a guesser hits this first
 *   the block: IPv4 /32, IPv6 /64 and /48       one address that tries many accounts
 *   the account                                 many addresses that try one account
 * One block adds at most a few failures to an account, so that a guesser cannot lock out
 * its owner elsewhere. From a known address (one that account signed in from before) and
 * from a shared one (NAT, balancer) only the first place counts.
 *
 * Tries are spaced: each one that is allowed books the next moment for a try at its
 * places, so a thousand at once are no better than one after the other. A try counts as
 * wrong from the moment it is allowed, until told otherwise. Failures are halved every
 * four minutes. The same wrong password again is not counted, but spaced.
 */
#ifndef PROXY_KEEPER_THROTTLE_H
#define PROXY_KEEPER_THROTTLE_H

#include "proxy/ipc/keeper_message.h"

#define THROTTLE_REFUSE UINT32_MAX
#define THROTTLE_HALVED_MS (4 * 60 * 1000)
#define THROTTLE_KEY_BYTES 32
#define THROTTLE_PLACE_BYTES 16

struct throttle;

struct throttle_try {
	const unsigned char *address; // KEEPER_ADDRESS_BYTES
	bool shared;
	bool known;
	struct bytes account;
	uint64_t hash; // part of the credential's keyed hash
};

/* What was booked for a try: kept by the caller until it is told how it ended. */
struct throttle_charge {
	unsigned places;
};

/* A place as it is kept over a restart. */
struct throttle_record {
	unsigned char place[THROTTLE_PLACE_BYTES]; // a hash: no address, no name
	double failures;
};

/*
 * delays: the shortest and the longest, 0 for no throttle. places: how many are
 * remembered, in round numbers; the least guilty are forgotten first. key: for hashing
 * places.
 */
struct throttle *throttle_new(uint64_t delay_min_ms, uint64_t delay_max_ms, size_t places,
			      const unsigned char key[THROTTLE_KEY_BYTES]);
void throttle_free(struct throttle *throttle);

/* Other delays from now on; what is remembered stays. */
void throttle_limit(struct throttle *throttle, uint64_t delay_min_ms,
		    uint64_t delay_max_ms);

/* Milliseconds to wait before the try, or THROTTLE_REFUSE: then nothing was booked. */
uint32_t throttle_ask(struct throttle *throttle, const struct throttle_try *try,
		      uint64_t now_ms, struct throttle_charge *charge);

void throttle_tell(struct throttle *throttle, const struct throttle_try *try,
		   const struct throttle_charge *charge, enum keeper_outcome outcome,
		   uint64_t now_ms);

/*
 * What was wrong for this account from this address, and for the account as such, did not
 * happen. Places are hashes: those of addresses that are not named cannot be found, and
 * fade within hours.
 */
void throttle_forget(struct throttle *throttle, struct bytes account,
		     const unsigned char address[KEEPER_ADDRESS_BYTES], uint64_t now_ms);

/* The block that counts as one address: IPv4 whole, IPv6 the first 64 bits. */
void throttle_block(const unsigned char address[KEEPER_ADDRESS_BYTES],
		    unsigned char out[KEEPER_ADDRESS_BYTES]);

/*
 * The next place that changed since it was last given out; *cursor starts at 0. False:
 * that was all.
 */
bool throttle_next_changed(struct throttle *throttle, size_t *cursor, uint64_t now_ms,
			   struct throttle_record *out);

/* A place saved age_ms ago. */
void throttle_restore(struct throttle *throttle, const struct throttle_record *record,
		      uint64_t age_ms, uint64_t now_ms);

#endif
