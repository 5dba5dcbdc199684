#include "proxy/keeper/vault.h"

#include "protocol/base64.h"
#include "proxy/keeper/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define ID_BYTES 4
#define OVERHEAD (ID_BYTES + NONCE_BYTES + TAG_BYTES)
#define FILE_MAX 256
#define KEYS_MAX 8 // one, but while a rekey is under way

enum { KEYS, ADD_KEY, REWRAP, DROP_OLD };

static const char *const sql[] = {
	[KEYS] = "SELECT id, wrapped FROM vault_keys ORDER BY id",
	[ADD_KEY] = "INSERT INTO vault_keys VALUES(?, ?)",
	[REWRAP] = "UPDATE vault_keys SET wrapped = ?2 WHERE id = ?1",
	[DROP_OLD] = "DELETE FROM vault_keys WHERE id < ?",
};

const struct store_sql store_vault_sql = { sql, sizeof(sql) / sizeof(*sql) };
_Static_assert(sizeof(sql) / sizeof(*sql) <= STORE_STATEMENTS_MAX, "room for all");

struct key {
	uint32_t id;
	unsigned char octets[VAULT_KEY_BYTES];
};

struct vault {
	struct store *store;
	bool has_master;
	unsigned char master[VAULT_KEY_BYTES];
	struct key keys[KEYS_MAX]; // the last is the one of now
	size_t count;
};

static void fill_random(void *to, size_t len)
{
	if (getrandom(to, len, 0) != (ssize_t)len) {
		abort();
	}
}

/* ---- AES-256-GCM ---- */

/* Appends nonce, ciphertext, tag. */
static void encrypt(const unsigned char *key, struct bytes context, struct bytes plain,
		    struct buffer *out)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	unsigned char nonce[NONCE_BYTES];
	unsigned char tag[TAG_BYTES];
	int len;

	fill_random(nonce, sizeof(nonce));
	if (!cipher ||
	    !buffer_append(out, (struct bytes){ (char *)nonce, sizeof(nonce) }) ||
	    !buffer_reserve(out, plain.len + TAG_BYTES)) {
		abort(); // callers bound what they seal
	}
	unsigned char *to = (unsigned char *)out->data + out->len;

	if (EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    EVP_EncryptUpdate(cipher, NULL, &len, (const unsigned char *)context.at,
			      (int)context.len) != 1 ||
	    EVP_EncryptUpdate(cipher, to, &len, (const unsigned char *)plain.at,
			      (int)plain.len) != 1 ||
	    EVP_EncryptFinal_ex(cipher, to + len, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) != 1) {
		abort();
	}
	out->len += plain.len;
	buffer_append(out, (struct bytes){ (char *)tag, TAG_BYTES });
	EVP_CIPHER_CTX_free(cipher);
}

/* text: nonce, ciphertext, tag. out has room for what is between them. */
static bool decrypt(const unsigned char *key, struct bytes context, struct bytes text,
		    unsigned char *out)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	const unsigned char *nonce = (const unsigned char *)text.at;
	const size_t plain = text.len - NONCE_BYTES - TAG_BYTES;
	unsigned char tag[TAG_BYTES];
	int len;
	bool good;

	memcpy(tag, nonce + NONCE_BYTES + plain, TAG_BYTES);
	good = cipher &&
	       EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	       EVP_DecryptUpdate(cipher, NULL, &len, (const unsigned char *)context.at,
				 (int)context.len) == 1 &&
	       EVP_DecryptUpdate(cipher, out, &len, nonce + NONCE_BYTES, (int)plain) ==
		       1 &&
	       EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
	       EVP_DecryptFinal_ex(cipher, out + len, &len) == 1;
	EVP_CIPHER_CTX_free(cipher);
	return good;
}

/* ---- the keys ---- */

static const struct bytes key_context = { "popbridge data key", 18 };

static void wrap(const unsigned char *master, const struct key *key, struct buffer *out)
{
	encrypt(master, key_context,
		(struct bytes){ (const char *)key->octets, VAULT_KEY_BYTES }, out);
}

static bool unwrap(const unsigned char *master, struct bytes wrapped, struct key *key)
{
	return wrapped.len == NONCE_BYTES + VAULT_KEY_BYTES + TAG_BYTES &&
	       decrypt(master, key_context, wrapped, key->octets);
}

static bool parse_key(struct bytes text, unsigned char out[VAULT_KEY_BYTES])
{
	struct buffer octets;
	bool good;

	while (text.len > 0 && strchr("\r\n \t", text.at[text.len - 1])) {
		text.len--;
	}
	buffer_init(&octets, VAULT_KEY_BYTES);
	good = base64_decode(text, &octets) && octets.len == VAULT_KEY_BYTES;
	if (good) {
		memcpy(out, octets.data, VAULT_KEY_BYTES);
	}
	if (octets.data) {
		memory_wipe(octets.data, octets.size);
	}
	buffer_release(&octets);
	return good;
}

static const char how_to[] =
	"make one with: openssl rand -base64 32, in a file that only "
	"popbridge's user can read; keep a copy of it elsewhere";

static bool read_master(struct vault *vault, const char *path, struct failure *failure)
{
	char text[FILE_MAX];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	const int error = errno;

	if (fd >= 0) {
		close(fd);
	}
	if (len < 0) {
		return failure_set(failure, FAILURE_PERMANENT, "master-key %s: %s", path,
				   strerror(error));
	}
	vault->has_master = parse_key((struct bytes){ text, (size_t)len }, vault->master);
	memory_wipe(text, sizeof(text));
	if (!vault->has_master) {
		failure_set(failure, FAILURE_PERMANENT,
			    "master-key %s is not 32 octets in base64", path);
		return failure_advise(failure, how_to);
	}
	return true;
}

static bool lost_key(const struct vault *vault, struct failure *failure)
{
	failure_set(failure, FAILURE_PERMANENT,
		    vault->has_master
			    ? "the store's secrets were sealed with another master-key"
			    : "the store has sealed secrets, and no master-key is "
			      "configured");
	return failure_advise(failure,
			      "configure the master-key they were sealed with; if it is "
			      "lost, move the store away and let everybody consent anew");
}

static bool read_keys(struct vault *vault, struct failure *failure)
{
	sqlite3_stmt *row = store_statement(vault->store, STORE_VAULT, KEYS);

	while (store_next_row(vault->store, row)) {
		struct key *key = &vault->keys[vault->count];

		if (vault->count == KEYS_MAX || !vault->has_master ||
		    !unwrap(vault->master, store_text(row, 1), key)) {
			sqlite3_reset(row);
			return lost_key(vault, failure);
		}
		key->id = (uint32_t)store_number(row, 0);
		vault->count++;
	}
	return true;
}

/* Durable when true. */
static bool add_key(struct vault *vault)
{
	struct key *key = &vault->keys[vault->count];
	struct buffer wrapped;
	bool done;

	key->id = vault->count > 0 ? vault->keys[vault->count - 1].id + 1 : 1;
	fill_random(key->octets, VAULT_KEY_BYTES);
	buffer_init(&wrapped, OVERHEAD + VAULT_KEY_BYTES);
	wrap(vault->master, key, &wrapped);
	store_begin_durable(vault->store);
	sqlite3_stmt *add = store_writing(vault->store, STORE_VAULT, ADD_KEY);

	store_bind_number(add, 1, key->id);
	store_bind(add, 2, buffer_bytes(&wrapped));
	done = store_run(vault->store, add) && store_commit_durably(vault->store);
	buffer_release(&wrapped);
	vault->count += done;
	return done;
}

struct vault *vault_open(struct store *store, const char *key_file,
			 struct failure *failure)
{
	struct vault *vault = memory_new(sizeof(*vault));

	vault->store = store;
	if ((key_file && !read_master(vault, key_file, failure)) ||
	    !read_keys(vault, failure)) {
		vault_close(vault);
		return NULL;
	}
	if (vault->has_master && vault->count == 0 && !add_key(vault)) {
		failure_set(failure, FAILURE_PERMANENT, "the store cannot be written");
		vault_close(vault);
		return NULL;
	}
	return vault;
}

void vault_close(struct vault *vault)
{
	if (vault) {
		memory_wipe(vault, sizeof(*vault));
		free(vault);
	}
}

bool vault_can_seal(const struct vault *vault, struct failure *failure)
{
	if (!vault->has_master) {
		failure_set(failure, FAILURE_PERMANENT,
			    "no master-key is configured: secrets cannot be stored");
		return failure_advise(failure, how_to);
	}
	return true;
}

/* ---- records ---- */

void vault_seal(struct vault *vault, struct bytes context, struct bytes plain,
		struct buffer *out)
{
	if (vault->count == 0) {
		abort(); // callers ask vault_can_seal()
	}
	const struct key *key = &vault->keys[vault->count - 1];
	const char id[ID_BYTES] = { (char)key->id, (char)(key->id >> 8),
				    (char)(key->id >> 16), (char)(key->id >> 24) };

	buffer_append(out, (struct bytes){ id, ID_BYTES });
	encrypt(key->octets, context, plain, out);
}

static uint32_t id_of(struct bytes sealed)
{
	uint32_t id = 0;

	for (size_t i = 0; i < ID_BYTES; i++) {
		id |= (uint32_t)(unsigned char)sealed.at[i] << (8 * i);
	}
	return id;
}

static const struct key *key_of(const struct vault *vault, struct bytes sealed)
{
	for (size_t i = 0; sealed.len >= OVERHEAD && i < vault->count; i++) {
		if (vault->keys[i].id == id_of(sealed)) {
			return &vault->keys[i];
		}
	}
	return NULL;
}

bool vault_unseal(struct vault *vault, struct bytes context, struct bytes sealed,
		  struct secret *out, struct failure *failure)
{
	const struct key *key = key_of(vault, sealed);
	char *plain;
	bool good;

	if (!key || sealed.len > VAULT_RECORD_MAX) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "a stored secret cannot be read: its key is gone");
	}
	bytes_skip(&sealed, ID_BYTES);
	plain = memory_new(sealed.len);
	good = decrypt(key->octets, context, sealed, (unsigned char *)plain);
	if (good) {
		secret_set(out,
			   (struct bytes){ plain, sealed.len - NONCE_BYTES - TAG_BYTES });
	}
	memory_wipe(plain, sealed.len);
	free(plain);
	return good || failure_set(failure, FAILURE_PERMANENT,
				   "a stored secret is damaged, or not where it belongs");
}

bool vault_is_current(const struct vault *vault, struct bytes sealed)
{
	return vault->count > 0 &&
	       key_of(vault, sealed) == &vault->keys[vault->count - 1];
}

/* ---- new keys ---- */

static bool rewrap(struct vault *vault, const unsigned char *master)
{
	struct buffer wrapped;
	bool done = true;

	store_begin_durable(vault->store);
	buffer_init(&wrapped, OVERHEAD + VAULT_KEY_BYTES);
	for (size_t i = 0; i < vault->count && done; i++) {
		sqlite3_stmt *set = store_writing(vault->store, STORE_VAULT, REWRAP);

		buffer_clear(&wrapped);
		wrap(master, &vault->keys[i], &wrapped);
		store_bind_number(set, 1, vault->keys[i].id);
		store_bind(set, 2, buffer_bytes(&wrapped));
		done = store_run(vault->store, set);
	}
	buffer_release(&wrapped);
	return done && store_commit_durably(vault->store);
}

bool vault_rekey(struct vault *vault, struct bytes master, struct failure *failure)
{
	unsigned char key[VAULT_KEY_BYTES];

	if (!vault_can_seal(vault, failure)) {
		return false;
	}
	if (vault->count == KEYS_MAX) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "the last rekey is still under way");
	}
	if (master.len > 0) {
		if (!parse_key(master, key)) {
			failure_set(failure, FAILURE_PERMANENT,
				    "the new master key is not 32 octets in base64");
			return failure_advise(failure, how_to);
		}
		if (!rewrap(vault, key)) {
			return failure_set(failure, FAILURE_TEMPORARY,
					   "the store cannot be written");
		}
		memcpy(vault->master, key, VAULT_KEY_BYTES);
		memory_wipe(key, sizeof(key));
	}
	return add_key(vault) ||
	       failure_set(failure, FAILURE_TEMPORARY, "the store cannot be written");
}

bool vault_drop_old_keys(struct vault *vault)
{
	struct key *now = &vault->keys[vault->count - 1];
	sqlite3_stmt *drop;

	if (vault->count < 2) {
		return true;
	}
	store_begin_durable(vault->store);
	drop = store_writing(vault->store, STORE_VAULT, DROP_OLD);
	store_bind_number(drop, 1, now->id);
	if (!store_run(vault->store, drop) || !store_commit_durably(vault->store)) {
		return false;
	}
	vault->keys[0] = *now;
	memory_wipe(&vault->keys[1], sizeof(vault->keys) - sizeof(vault->keys[0]));
	vault->count = 1;
	return true;
}
