#include "proxy/rt/tls_ticket.h"

#include "proxy/base/memory.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#define PERIOD_S (6 * 60 * 60)
#define NAME_BYTES 16
#define IV_BYTES 16

/* What one period's tickets are sealed with. */
struct ticket_keys {
	unsigned char name[KEYED_HASH_BYTES]; // its first NAME_BYTES stand in the ticket
	unsigned char cipher[KEYED_HASH_BYTES];
	unsigned char mac[KEYED_HASH_BYTES];
};

static uint64_t period_now(void)
{
	return (uint64_t)time(NULL) / PERIOD_S;
}

static void derive(const struct tls_ticket_secret *secret, uint64_t period,
		   struct ticket_keys *out)
{
	const struct bytes when = { (const char *)&period, sizeof(period) };

	keyed_hash(secret->octets, bytes_of("ticket name"), when, out->name);
	keyed_hash(secret->octets, bytes_of("ticket cipher"), when, out->cipher);
	keyed_hash(secret->octets, bytes_of("ticket mac"), when, out->mac);
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_keys *keys)
{
	char digest[] = "sha256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, keys->mac,
						  sizeof(keys->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static bool seal(struct ticket_keys *keys, unsigned char *name, unsigned char *iv,
		 EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	memcpy(name, keys->name, NAME_BYTES);
	return RAND_bytes(iv, IV_BYTES) == 1 &&
	       EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys->cipher, iv) ==
		       1 &&
	       set_mac(mac, keys);
}

static bool unseal(struct ticket_keys *keys, const unsigned char *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	return EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys->cipher, iv) ==
		       1 &&
	       set_mac(mac, keys);
}

/* OpenSSL's answers: 1 good, 2 good and to be renewed, 0 unknown, -1 failed. */
static int open_ticket(const struct tls_ticket_secret *secret, const unsigned char *name,
		       const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const uint64_t now = period_now();
	struct ticket_keys keys;
	int answer = 0;

	for (uint64_t age = 0; age < 2 && answer == 0; age++) {
		derive(secret, now - age, &keys);
		if (CRYPTO_memcmp(name, keys.name, NAME_BYTES) == 0) {
			answer = unseal(&keys, iv, cipher, mac) ? 1 + (int)age : -1;
		}
	}
	memory_wipe(&keys, sizeof(keys));
	return answer;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
		     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	const struct tls_ticket_secret *secret =
		SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_keys keys;
	bool sealed;

	if (!sealing) {
		return open_ticket(secret, name, iv, cipher, mac);
	}
	derive(secret, period_now(), &keys);
	sealed = seal(&keys, name, iv, cipher, mac);
	memory_wipe(&keys, sizeof(keys));
	return sealed ? 1 : -1;
}

void tls_ticket_setup(SSL_CTX *context, const struct tls_ticket_secret *secret)
{
	SSL_CTX_set_num_tickets(context, 1); // nobody has two connections to resume
	SSL_CTX_set_app_data(context, (void *)(uintptr_t)secret);
	SSL_CTX_set_timeout(context, PERIOD_S);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
