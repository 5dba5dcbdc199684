/*
 * Secrets at rest: AES-256-GCM over each record, with a random nonce, bound to the place
 * it belongs to, so that no record can be moved to another. The data key is in the store,
 * wrapped by a master key that is not: who has a copy of the store alone has no secret.
 *
 *   sealed record   key id u32 (little endian), nonce 12, ciphertext, tag 16
 */
#ifndef PROXY_KEEPER_VAULT_H
#define PROXY_KEEPER_VAULT_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/store.h"

#define VAULT_KEY_BYTES 32
#define VAULT_RECORD_MAX (32 * 1024) // octets of a sealed record

struct vault;

/*
 * key_file: base64 of 32 octets, NULL for none; then no secret can be sealed.
 * FAILURE_PERMANENT: the file is no key, or not the one that the store's secrets were
 * sealed with, or it is missing although there are sealed secrets.
 */
struct vault *vault_open(struct store *store, const char *key_file,
			 struct failure *failure);
void vault_close(struct vault *vault); // NULL is fine

/* FAILURE_PERMANENT: there is no master key; the advice says how to make one. */
bool vault_can_seal(const struct vault *vault, struct failure *failure);

/* context: whose secret and which, so that it opens nowhere else. Appends to out. */
void vault_seal(struct vault *vault, struct bytes context, struct bytes plain,
		struct buffer *out);

/* FAILURE_PERMANENT: damaged, of another place, or its key is gone. */
bool vault_unseal(struct vault *vault, struct bytes context, struct bytes sealed,
		  struct secret *out, struct failure *failure);

/* Was it sealed with the data key of now? */
bool vault_is_current(const struct vault *vault, struct bytes sealed);

/*
 * A new data key for all that is sealed from now on; the old ones still open what they
 * sealed. master: base64 of a new master key to wrap them all with; empty: the old one.
 * Durable when true. FAILURE_PERMANENT: no key; FAILURE_TEMPORARY: not written.
 */
bool vault_rekey(struct vault *vault, struct bytes master, struct failure *failure);

/* Nothing is sealed with an old data key any more: they are erased. */
bool vault_drop_old_keys(struct vault *vault);

#endif
