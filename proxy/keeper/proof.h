/*
 * Is this one of the account's device passwords, and what goes upstream for it?
 */
#ifndef PROXY_KEEPER_PROOF_H
#define PROXY_KEEPER_PROOF_H

#include "proxy/keeper/keeper_internal.h"
#include "proxy/rt/keyed_hash.h"

struct prover;

struct prover *prover_new(struct keeper *keeper,
			  const unsigned char key[KEYED_HASH_BYTES]);
SUSPENDS void prover_free(struct prover *prover); // NULL is fine

/* KEEPER_PROVE: answered by a task of its own; at once where too many are open. */
void prover_take(struct prover *prover, struct worker *worker,
		 const struct keeper_message *message);

/* An account has changed: what was proven before counts no more. */
void prover_forget(struct prover *prover);

/* The keyed hash of a generated password, for the registry. */
void prover_hash(const struct prover *prover, struct bytes account, struct bytes password,
		 unsigned char out[KEYED_HASH_BYTES]);

#endif
