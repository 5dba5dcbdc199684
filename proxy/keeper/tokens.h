/*
 * Upstream secrets of registered accounts: stored passwords, and tokens, which are kept
 * fresh. One refresh at a time for an account; a refresh token that the provider has
 * rotated is on the disk before its access token is used.
 */
#ifndef PROXY_KEEPER_TOKENS_H
#define PROXY_KEEPER_TOKENS_H

#include "proxy/config/config.h"
#include "proxy/ipc/oauth_message.h"
#include "proxy/keeper/registry.h"
#include "proxy/keeper/vault.h"
#include "proxy/rt/task.h"

struct tokens;

struct tokens *tokens_new(struct store *store, struct vault *vault,
			  const struct config *config);
SUSPENDS void tokens_free(struct tokens *tokens); // NULL is fine

/* Another configuration: its providers count from now on. Borrowed. */
void tokens_configure(struct tokens *tokens, const struct config *config);

/* The oauth role is at the other end (taken over). */
SUSPENDS void tokens_connect(struct tokens *tokens, int fd);

/*
 * Each second or so. A provider's answer that was lost on its way may be had again for a
 * little while, with the same refresh token: nobody waits for a client for that.
 */
void tokens_retry(struct tokens *tokens);

/*
 * What goes upstream for this account: its password, or an access token that is good for
 * a minute at least. anew: the last one was refused there, so another one is wanted.
 * FAILURE_TEMPORARY: provider or oauth role cannot be reached. FAILURE_PERMANENT: consent
 * is needed, or the secret cannot be opened.
 */
SUSPENDS bool tokens_get(struct tokens *tokens, struct bytes account, bool anew,
			 uint64_t deadline_ms, struct secret *out,
			 struct failure *failure);

/*
 * One question to the oauth role. The reply's texts are good until tokens_answer_free();
 * NULL: FAILURE_TEMPORARY, FAILURE_CANCELLED. request->id is set here.
 */
struct tokens_answer {
	struct oauth_reply reply;
	char *packet; // owned; what the texts point into
	size_t packet_len;
	bool asked_again; // an oauth role died over the question
};

SUSPENDS struct tokens_answer *tokens_ask(struct tokens *tokens,
					  struct oauth_request *request,
					  uint64_t deadline_ms, struct failure *failure);
void tokens_answer_free(struct tokens_answer *answer); // NULL is fine

/*
 * A person has consented: the grant becomes the account's, on the disk, and the oauth
 * role may forget it. False: not written, or no such account.
 */
SUSPENDS bool tokens_grant(struct tokens *tokens, struct bytes account,
			   const struct oauth_reply *reply, struct failure *failure);

/* What this reply brought is on the disk, or is not to be: the oauth role may forget it.
 */
SUSPENDS void tokens_kept(struct tokens *tokens, const struct oauth_reply *reply);

/* Seals a secret for the account's record; version counts up. FAILURE_PERMANENT. */
bool tokens_seal(struct tokens *tokens, struct registered *registered,
		 struct bytes secret, struct failure *failure);
bool tokens_unseal(struct tokens *tokens, const struct registered *registered,
		   struct secret *out, struct failure *failure);

/* Seals everything of one account with the key of now. False: not written, unreadable. */
bool tokens_reseal(struct tokens *tokens, struct registered *registered,
		   struct failure *failure);

#endif
