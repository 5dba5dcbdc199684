#include "proxy/keeper/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define GROUP 4
#define TOKEN_LETTERS 48 // a PKCE verifier has 43 at least (RFC 7636 4.1)

struct alphabet {
	const char *letters;
	unsigned count;
	unsigned length;
};

/* 20 times log2(31) are 99 bits, 28 times log2(10) are 93. */
static const struct alphabet typeable = { "abcdefghjkmnpqrstuvwxyz23456789", 31, 20 };
static const struct alphabet keypad = { "0123456789", 10, 28 };

/* Each letter as likely as any other: octets beyond the last whole run are thrown away.
 */
static char random_letter(const struct alphabet *alphabet)
{
	const unsigned limit = 256 - 256 % alphabet->count;
	unsigned char octet;

	do {
		if (getrandom(&octet, 1, 0) != 1) {
			abort();
		}
	} while (octet >= limit);
	return alphabet->letters[octet % alphabet->count];
}

void password_make_token(struct secret *out)
{
	char text[TOKEN_LETTERS];

	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = random_letter(&typeable);
	}
	secret_set(out, (struct bytes){ text, sizeof(text) });
	memory_wipe(text, sizeof(text));
}

void password_generate(bool digits, struct secret *out)
{
	const struct alphabet *alphabet = digits ? &keypad : &typeable;
	char text[64];
	size_t len = 0;

	for (unsigned i = 0; i < alphabet->length; i++) {
		if (i > 0 && i % GROUP == 0) {
			text[len++] = '-';
		}
		text[len++] = random_letter(alphabet);
	}
	secret_set(out, (struct bytes){ text, len });
	memory_wipe(text, sizeof(text));
}

void password_proof(const unsigned char key[KEYED_HASH_BYTES], struct bytes account,
		    struct bytes password, unsigned char out[KEYED_HASH_BYTES])
{
	char bare[PASSWORD_MAX];
	size_t len = 0;

	for (size_t i = 0; i < password.len && len < sizeof(bare); i++) {
		const char c = password.at[i];

		if (c != '-' && c != ' ') {
			bare[len++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		}
	}
	keyed_hash(key, account, (struct bytes){ bare, len }, out);
	memory_wipe(bare, sizeof(bare));
}

/* crypt(3) wants a string, and a NUL would end it early. */
static char *as_string(struct bytes password)
{
	return password.len > 0 && password.len <= PASSWORD_MAX &&
			       !memchr(password.at, '\0', password.len)
		       ? memory_copy_text(password)
		       : NULL;
}

/* What crypt(3) makes of it; wiped and freed by release(). */
struct crypting {
	char *phrase;
	void *data;
	int size;
};

static const char *run(struct crypting *crypting, struct bytes password,
		       const char *setting)
{
	*crypting = (struct crypting){ .phrase = as_string(password) };
	return crypting->phrase ? crypt_ra(crypting->phrase, setting, &crypting->data,
					   &crypting->size)
				: NULL;
}

static void release(struct crypting *crypting)
{
	if (crypting->phrase) {
		memory_wipe(crypting->phrase, strlen(crypting->phrase));
	}
	if (crypting->data) {
		memory_wipe(crypting->data, (size_t)crypting->size);
	}
	free(crypting->phrase);
	free(crypting->data);
}

bool password_hash(struct bytes password, struct buffer *out)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypting crypting;
	const char *hash;
	bool done;

	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting))) {
		return false;
	}
	hash = run(&crypting, password, setting);
	done = hash && buffer_append(out, bytes_of(hash));
	release(&crypting);
	return done;
}

bool password_fits(struct bytes password, struct bytes hash)
{
	char setting[PASSWORD_HASH_MAX];
	struct crypting crypting;
	const char *again;
	bool fits;

	if (hash.len == 0 || hash.len >= sizeof(setting)) {
		return false;
	}
	memcpy(setting, hash.at, hash.len);
	setting[hash.len] = '\0';
	again = run(&crypting, password, setting);
	fits = again && again[0] != '*' && password_equal(bytes_of(again), hash);
	release(&crypting);
	return fits;
}

bool password_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && CRYPTO_memcmp(a.at, b.at, a.len) == 0;
}
