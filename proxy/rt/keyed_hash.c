#include "proxy/rt/keyed_hash.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

/* Out of memory or of entropy: nothing sensible can go on. */
static void must(bool done)
{
	if (!done) {
		log_say(LOG_ERROR, "no hash", "OpenSSL cannot make one");
		abort();
	}
}

/* HMAC of HMACs: each part hashed by itself has a fixed length. */
void keyed_hash(const unsigned char key[KEYED_HASH_BYTES], struct bytes context,
		struct bytes secret, unsigned char out[KEYED_HASH_BYTES])
{
	unsigned char parts[2 * KEYED_HASH_BYTES];
	const struct bytes texts[2] = { context, secret };

	for (size_t i = 0; i < 2; i++) {
		const void *at = texts[i].len > 0 ? texts[i].at : "";

		must(HMAC(EVP_sha256(), key, KEYED_HASH_BYTES, at, texts[i].len,
			  parts + i * KEYED_HASH_BYTES, NULL) != NULL);
	}
	must(HMAC(EVP_sha256(), key, KEYED_HASH_BYTES, parts, sizeof(parts), out, NULL) !=
	     NULL);
	memory_wipe(parts, sizeof(parts));
}

bool keyed_hash_equal(const unsigned char a[KEYED_HASH_BYTES],
		      const unsigned char b[KEYED_HASH_BYTES])
{
	return CRYPTO_memcmp(a, b, KEYED_HASH_BYTES) == 0;
}

void keyed_hash_new_key(unsigned char key[KEYED_HASH_BYTES])
{
	must(RAND_bytes(key, KEYED_HASH_BYTES) == 1);
}
