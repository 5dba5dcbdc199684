/*
 * Device passwords: made, proven, compared.
 *
 * A generated one has more than 80 bits, so a keyed hash of it cannot be guessed from the
 * store. A chosen one may be anything, so it is hashed with yescrypt, which takes some
 * 20 ms on purpose: through offload(). Both comparisons take as long whatever differs.
 */
#ifndef PROXY_KEEPER_PASSWORD_H
#define PROXY_KEEPER_PASSWORD_H

#include "protocol/buffer.h"
#include "proxy/base/memory.h"
#include "proxy/rt/keyed_hash.h"

#define PASSWORD_MAX 255      // octets of a chosen one; more does not fit a POP3 line
#define PASSWORD_LEAST 8      // of a chosen one
#define PASSWORD_HASH_MAX 384 // of yescrypt, as crypt(5) spells it

/*
 * A new one, in groups: "k7mf-2xqd-..." without letters that look alike, or digits only
 * for keypads. Never twice the same.
 */
void password_generate(bool digits, struct secret *out);

/* A secret that nobody types, for links and cookies: 48 letters and digits, 237 bits. */
void password_make_token(struct secret *out);

/*
 * The keyed hash of a generated password. Case, hyphens and blanks do not count: people
 * type them.
 */
void password_proof(const unsigned char key[KEYED_HASH_BYTES], struct bytes account,
		    struct bytes password, unsigned char out[KEYED_HASH_BYTES]);

/* Blocks. False: the system's libcrypt has no yescrypt. */
bool password_hash(struct bytes password, struct buffer *out);

/* Blocks. Is it the one of this hash? */
bool password_fits(struct bytes password, struct bytes hash);

/* Same octets? In constant time for the same length. */
bool password_equal(struct bytes a, struct bytes b);

#endif
