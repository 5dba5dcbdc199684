/*
 * What the files of tokens share. Nobody else includes this.
 *
 * tokens.c          what is given out
 * tokens_refresh.c  how an account's token is fetched, and what an answer changes
 * tokens_app.c      tokens of the gateway itself, which accounts share
 * tokens_flights.c  refreshes under way, and when there may be another
 * tokens_channel.c  questions to the oauth role
 * tokens_seal.c     secrets in the store
 */
#ifndef PROXY_KEEPER_TOKENS_INTERNAL_H
#define PROXY_KEEPER_TOKENS_INTERNAL_H

#include "proxy/keeper/tokens.h"
#include "proxy/rt/channel.h"

#define TOKENS_REFRESH_MS 45000 // the provider's half minute, and the way

/* When a token was got, and until when it is good; wall clock. */
struct tokens_life {
	uint64_t from_s, until_s; // until_s 0: there is none
};

/* A question to the oauth role. */
struct wish {
	struct wish *next;    // tokens::wishes
	struct buffer packet; // owned, wiped
	uint32_t id;
	struct bytes tag;             // borrowed; empty: none
	unsigned connection;          // over which it was sent last
	unsigned sent;                // so many times
	struct tokens_answer *answer; // owned until taken
	struct gate answered;
};

/* A refresh under way. */
struct flight {
	struct flight *next; // tokens::flights
	struct tokens *tokens;
	char *account; // owned
};

/* A token that was fetched because the one before was refused: no other so soon. */
struct renewal {
	struct renewal *next; // tokens::renewals, the newest first
	char *account;        // owned
	uint64_t until_ms;
};

/* The last refresh failed: when the next may be tried. */
struct set_back {
	struct set_back *next; // tokens::set_backs
	char *account;         // owned
	uint64_t until_ms;
	uint64_t delay_ms;
	struct failure failure;
};

struct tokens {
	struct store *store;          // borrowed
	struct vault *vault;          // borrowed
	const struct config *config;  // borrowed
	struct channel *channel;      // owned; NULL: no oauth role
	struct task *reader;          // a child, while there is a channel
	struct wish *wishes;          // wish::next, the newest first
	struct flight *flights;       // flight::next
	struct renewal *renewals;     // renewal::next
	struct app_token *app_tokens; // app_token::next
	struct set_back *set_backs;   // set_back::next, the newest first
	size_t set_back_count;
	unsigned connection; // counts the channels
	struct gate landed;
	size_t sending;
	struct gate sent;
	uint32_t last_id;
};

/* tokens_refresh.c */

/* A refresh's answer becomes the account's. False: not written. */
SUSPENDS bool tokens_grant_refreshed(struct tokens *tokens, struct registered *registered,
				     const struct oauth_reply *reply);
/* An answer that nobody here asked for. */
SUSPENDS void tokens_take_orphan(struct tokens *tokens, const struct oauth_reply *reply);
/* Begins a refresh; there is none under way. */
void tokens_fly(struct tokens *tokens, struct bytes account);

struct tokens_life tokens_life_of(const struct oauth_reply *reply);
/* What a no means, other than that consent is gone. */
void tokens_refused(const struct oauth_reply *reply, struct bytes provider,
		    struct failure *failure);

/* tokens.c */

uint64_t tokens_wall_s(void);
/* Is it good for a while yet? */
bool tokens_is_good(const struct tokens_life *life);
/* Not all of those that were fetched together are fetched together again. */
bool tokens_is_getting_old(const struct tokens_life *life, struct bytes key);

/* tokens_app.c */

/* Refreshes and set-backs are told apart by a key: an account's name, or this. */
bool tokens_is_app_key(struct bytes key);
SUSPENDS void tokens_refresh_app(struct tokens *tokens, struct bytes key);
SUSPENDS bool tokens_get_app(struct tokens *tokens, struct bytes provider, bool anew,
			     uint64_t deadline_ms, struct secret *out,
			     struct failure *failure);
void tokens_free_app(struct tokens *tokens);

/* tokens_flights.c */

const struct flight *tokens_flight_of(const struct tokens *tokens, struct bytes account);
/* A refresh has ended: who waits looks again. */
void tokens_land(struct flight *flight);
/* Begins one where none is under way, and waits for its end. */
SUSPENDS bool tokens_wait(struct tokens *tokens, struct bytes account,
			  uint64_t deadline_ms, struct failure *failure);

/*
 * The one of now was refused: is there to be another? Only one in a while, or those whom
 * the server refuses in any case would ask the provider each time; true notes it.
 */
bool tokens_is_to_renew(struct tokens *tokens, struct bytes account);

/* False: the last one failed, and it is too soon; *failure (NULL is fine) is its. */
bool tokens_may_fly(struct tokens *tokens, struct bytes account, struct failure *failure);
void tokens_set_back(struct tokens *tokens, struct bytes account,
		     const struct failure *failure);
void tokens_set_back_end(struct tokens *tokens, struct bytes account);
bool tokens_is_set_back(struct tokens *tokens, struct bytes account);

void tokens_free_flights(struct tokens *tokens);

/* tokens_seal.c: what: "secret" or "access" of this account, in this version. */

void tokens_seal_part(struct tokens *tokens, const struct registered *registered,
		      const char *what, struct bytes secret, struct buffer *out);
bool tokens_unseal_part(struct tokens *tokens, const struct registered *registered,
			const char *what, const struct buffer *sealed, struct secret *out,
			struct failure *failure);

#endif
