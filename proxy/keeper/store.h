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
#include "proxy/config/config_unique_ids.h"
#include "proxy/keeper/throttle.h"

#define STORE_KEPT_S ((uint64_t)90 * 24 * 3600) // unused records expire
#define STORE_KNOWN_MAX 32                      // addresses of one account
#define STORE_FAILING_MAX 10000                 // accounts that never signed in rightly
#define STORE_FAILURES_MAX 10000                // explained, of users
#define STORE_FAILURES_STRANGERS 2500           // of those who never signed in rightly
#define STORE_FAILURES_OF_ONE 20
#define STORE_FAILURES_TRIM 100 // after so many more
#define STORE_LEFTOVERS_MAX 10000
#define STORE_INDEX_OCTETS_MAX ((uint64_t)1024 * 1024 * 1024) // of all indexes

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

/*
 * A key of that name, made once for each store: what the throttle hashes its places with
 * ("throttle key"), generated device passwords ("device key").
 */
#define STORE_KEY_BYTES 32
void store_key(struct store *store, const char *name, unsigned char key[STORE_KEY_BYTES]);

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

/* A session that is over, in messages. */
struct store_session {
	uint32_t retrieved;
	uint32_t removed;
	uint32_t lost_dele; // marked, and no QUIT
};
void store_note_ended(struct store *store, struct bytes account,
		      const struct store_session *session, uint64_t now_s);
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
	uint64_t suspect;            // times that workers died while it signed in
	uint64_t lost_in_a_row;      // sessions with DELEs; one that removed some ends it
	uint64_t no_answer_in_a_row; // sign-ins
};

/* False: nothing is known about it. */
bool store_account(struct store *store, struct bytes account, struct store_account *out);

/*
 * Account by account in order of name: the one behind `after` (empty: the first). The
 * name is put into *name. False: that was the last.
 */
bool store_next_account(struct store *store, struct bytes after, struct buffer *name,
			struct store_account *out);

/* What a -ERR with a reference was about. */
struct store_failure {
	uint64_t id; // grows with time
	uint64_t at_s;
	uint32_t reference;
	uint32_t kind; // enum failure_kind
	unsigned char address[KEEPER_ADDRESS_BYTES];
	struct bytes account; // empty: not known then
	struct bytes answer, cause, advice;
};

/* id and at_s are not read. */
void store_note_failure(struct store *store, const struct store_failure *failure,
			uint64_t now_s);

/*
 * The newest with a lower id than `before`. The texts of *out are put into *texts, which
 * has room for STORE_FAILURE_TEXTS. False: there is none.
 */
#define STORE_FAILURE_TEXTS (KEEPER_TEXT_MAX + 3 * KEEPER_WORDS_MAX)
bool store_failure_by_reference(struct store *store, uint32_t reference, uint64_t before,
				struct buffer *texts, struct store_failure *out);
bool store_failure_of_account(struct store *store, struct bytes account, uint64_t before,
			      struct buffer *texts, struct store_failure *out);

/* A sign-in with TLS older than 1.2, or none. */
void store_note_legacy(struct store *store, struct bytes account,
		       const unsigned char address[KEEPER_ADDRESS_BYTES],
		       enum keeper_tls tls, uint64_t now_s);

struct store_legacy {
	unsigned char address[KEEPER_ADDRESS_BYTES];
	enum keeper_tls tls;
	uint64_t last_s;
	uint64_t count;
};

/* The row behind the one of *name and *row (empty and zeroed: the first). */
bool store_next_legacy(struct store *store, struct buffer *name,
		       struct store_legacy *row);

/* UIDs flagged \Deleted and not removed. */
struct store_leftover {
	struct bytes maildrop; // its canonical name
	struct bytes account;  // whose session it was
	uint32_t uidvalidity;
	struct bytes set;
};
void store_note_left(struct store *store, const struct store_leftover *left,
		     uint64_t now_s);

/* All sets of it together, the newest first, as many as fit. */
void store_left(struct store *store, struct bytes maildrop, uint32_t uidvalidity,
		uint64_t now_s, struct buffer *set);

/*
 * The index of a maildrop, by its exact name, in pieces of KEEPER_PIECE_MAX octets. What
 * there was is gone with the first word. id: 0: the disk did not take it. Its pieces come
 * in order, and it is there once all are.
 */
uint64_t store_index_begin(struct store *store, struct bytes maildrop,
			   struct bytes account, uint64_t now_s);
bool store_index_add(struct store *store, uint64_t id, uint32_t number,
		     struct bytes piece);
bool store_index_end(struct store *store, uint64_t id, uint64_t octets);

/* A piece of it, or nothing. */
void store_index_piece(struct store *store, struct bytes maildrop, uint32_t number,
		       uint64_t now_s, struct buffer *out);

/* An account's unique-ids are made so. */
void store_note_unique_ids(struct store *store, const struct config_known *known,
			   uint64_t now_s);

/*
 * The row behind the one of *known (zeroed: the first), its texts put into *texts, which
 * has room for STORE_KNOWN_TEXTS.
 */
#define STORE_KNOWN_TEXTS (3 * KEEPER_TEXT_MAX + KEEPER_WORDS_MAX)
bool store_next_unique_ids(struct store *store, struct buffer *texts,
			   struct config_known *known);
void store_drop_unique_ids(struct store *store, const struct config_known *known);

/*
 * An address an account came from, and the account as it was spelt, its name being taken
 * in any case of letters. To be asked in one go: the store stands at the row.
 */
bool store_next_trace(struct store *store, struct bytes account, bool is_first,
		      struct buffer *name, unsigned char address[KEEPER_ADDRESS_BYTES]);

/* How many records of a kind were erased. */
struct store_forgotten {
	const char *what;
	uint64_t count;
};
#define STORE_FORGOTTEN 7

/*
 * Everything about an account, its name in any case of letters, at once and for good.
 * False: the disk did not take it.
 */
bool store_forget(struct store *store, struct bytes account,
		  struct store_forgotten forgotten[STORE_FORGOTTEN]);

void store_expire(struct store *store, uint64_t now_s);

#endif
