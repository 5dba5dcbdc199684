/*
 * HMAC-SHA256: for telling whether two secrets are the same without showing either.
 */
#ifndef PROXY_RT_KEYED_HASH_H
#define PROXY_RT_KEYED_HASH_H

#include "protocol/bytes.h"

#define KEYED_HASH_BYTES 32

/* Of what belongs to context: both lengths count, so no two pairs run together. */
void keyed_hash(const unsigned char key[KEYED_HASH_BYTES], struct bytes context,
		struct bytes secret, unsigned char out[KEYED_HASH_BYTES]);

/* Are they the same? Takes as long where they differ early. */
bool keyed_hash_equal(const unsigned char a[KEYED_HASH_BYTES],
		      const unsigned char b[KEYED_HASH_BYTES]);

/* A new key. */
void keyed_hash_new_key(unsigned char key[KEYED_HASH_BYTES]);

#endif
