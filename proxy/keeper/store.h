/*
 * What the keeper remembers over a restart: an SQLite file in the state directory, or in
 * memory without one. One process owns the directory at a time.
 *
 * Writes collect until store_commit(). One that fails (disk full) is logged, once a
 * minute, and lost: nothing here is worth refusing a sign-in for. now_s is wall clock.
 */
#ifndef PROXY_KEEPER_STORE_H
#define PROXY_KEEPER_STORE_H

#include "proxy/base/failure.h"
#include "proxy/keeper/throttle.h"

#define STORE_KEPT_S ((uint64_t)90 * 24 * 3600) // unused records expire
#define STORE_KNOWN_MAX 32                      // addresses of one account
#define STORE_FAILING_MAX 10000                 // accounts that never signed in rightly

struct store;

/* directory NULL: in memory. Failures as keeper_open() in keeper.h. */
struct store *store_open(const char *directory, struct failure *failure);

/* In memory, beginning with what store_copy() gave (-1: empty), which stays the
 * caller's. */
struct store *store_open_memory(int copy, struct failure *failure);

/* Everything that was committed, as a memory file of the caller's. -1: no memory. */
int store_copy(struct store *store);

/* Commits. NULL is fine. */
void store_close(struct store *store);

/* False: some of what was written since the last one is lost. */
bool store_commit(struct store *store);

/* The key the throttle hashes its places with: made once for each store. */
void store_throttle_key(struct store *store, unsigned char key[THROTTLE_KEY_BYTES]);

void store_save_place(struct store *store, const struct throttle_record *record,
		      uint64_t now_s);
/* All places saved, into the throttle. */
void store_restore_places(struct store *store, struct throttle *throttle, uint64_t now_s,
			  uint64_t now_ms);

/* Did this account sign in rightly from this block before? */
bool store_is_known(struct store *store, struct bytes account,
		    const unsigned char block[KEEPER_ADDRESS_BYTES]);
void store_note_known(struct store *store, struct bytes account,
		      const unsigned char block[KEEPER_ADDRESS_BYTES], uint64_t now_s);

/* How accounts fare. */
void store_note_sign_in(struct store *store, struct bytes account,
			const unsigned char address[KEEPER_ADDRESS_BYTES],
			enum keeper_outcome outcome, uint64_t now_s);
void store_note_ended(struct store *store, struct bytes account, uint32_t retrieved,
		      uint32_t lost_dele, uint64_t now_s);
void store_note_suspect(struct store *store, struct bytes account, uint64_t now_s);

struct store_account {
	uint64_t last_s;       // any sign-in or end of session; 0: never, as all below
	uint64_t last_right_s; // signed in
	uint64_t last_wrong_s;
	enum keeper_outcome last_outcome;
	unsigned char last_address[KEEPER_ADDRESS_BYTES];
	uint64_t right, wrong, no_answer; // sign-ins
	uint64_t wrong_since_right;
	uint64_t sessions, retrieved;
	uint64_t lost_dele; // sessions that ended with DELEs and no QUIT
	uint64_t last_lost_dele_s;
	uint64_t suspect; // times that workers died while it signed in
};

/* False: nothing is known about it. */
bool store_account(struct store *store, struct bytes account, struct store_account *out);

/*
 * Account by account in order of name: the one behind `after` (empty: the first). The
 * name is put into *name. False: that was the last.
 */
bool store_next_account(struct store *store, struct bytes after, struct buffer *name,
			struct store_account *out);

/* Everything about an account, at once and for good. False: the disk did not take it. */
bool store_forget(struct store *store, struct bytes account);

void store_expire(struct store *store, uint64_t now_s);

#endif
