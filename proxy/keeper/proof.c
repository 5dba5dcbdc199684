/*
 * All goes well: the account is not registered, or one of its devices has this password.
 * A chosen password's hash takes 20 ms on purpose, on another thread, and few at a time;
 * one that fitted is remembered for some minutes as a keyed hash, so that a device that
 * polls each minute does not cost that each time. A wrong password touches nothing else:
 * neither a stored secret nor the provider.
 */
#include "proxy/keeper/proof.h"

#include "proxy/base/memory.h"
#include "proxy/keeper/password.h"
#include "proxy/rt/offload.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 4096   // proofs under way, of all workers
#define HASHES_MAX 64   // yescrypt under way or waiting
#define REMEMBERED 4096 // places; the newest takes an older one's
#define REMEMBERED_MS (5 * 60 * 1000)
#define ANSWER_MS 40000 // workers wait as long at most
#define DIGEST_TEXT 32  // of MD5, in hexadecimal

struct remembered {
	unsigned char hash[KEYED_HASH_BYTES]; // of account and password
	uint32_t device;
	uint64_t until_ms;
};

struct prover {
	struct keeper *keeper;
	unsigned char device_key[KEYED_HASH_BYTES]; // of generated passwords: the store's
	unsigned char cache_key[KEYED_HASH_BYTES];  // of this process
	struct remembered *remembered;
	unsigned generation; // counts the changes of accounts
	size_t open;
	size_t hashes;
	struct gate ended;
};

/* One question, with copies of its texts. */
struct proof {
	struct prover *prover;
	uint32_t worker;
	uint32_t request;
	enum keeper_prove how;
	unsigned char address[KEEPER_ADDRESS_BYTES];
	struct buffer account; // canonical
	struct secret secret;
	char *stamp;   // owned
	bool too_many; // not all passwords could be tried
};

/* A comparison on another thread, with copies. */
struct comparison {
	struct bytes password, hash;
	bool fits;
};

struct prover *prover_new(struct keeper *keeper,
			  const unsigned char key[KEYED_HASH_BYTES])
{
	struct prover *prover = memory_new(sizeof(*prover));

	prover->keeper = keeper;
	memcpy(prover->device_key, key, KEYED_HASH_BYTES);
	keyed_hash_new_key(prover->cache_key);
	prover->remembered = memory_new_array(REMEMBERED, sizeof(*prover->remembered));
	return prover;
}

void prover_hash(const struct prover *prover, struct bytes account, struct bytes password,
		 unsigned char out[KEYED_HASH_BYTES])
{
	password_proof(prover->device_key, account, password, out);
}

void prover_forget(struct prover *prover)
{
	memset(prover->remembered, 0, REMEMBERED * sizeof(*prover->remembered));
	prover->generation++;
}

/* ---- what was proven lately ---- */

static struct remembered *place_of(struct prover *prover,
				   const unsigned char hash[KEYED_HASH_BYTES])
{
	return &prover->remembered[(hash[0] | hash[1] << 8) % REMEMBERED];
}

static uint32_t recall(struct prover *prover, const unsigned char hash[KEYED_HASH_BYTES])
{
	const struct remembered *place = place_of(prover, hash);

	return place->until_ms > loop_now_ms() &&
			       password_equal((struct bytes){ (const char *)place->hash,
							      KEYED_HASH_BYTES },
					      (struct bytes){ (const char *)hash,
							      KEYED_HASH_BYTES })
		       ? place->device
		       : 0;
}

static void remember(struct prover *prover, const unsigned char hash[KEYED_HASH_BYTES],
		     uint32_t device)
{
	struct remembered *place = place_of(prover, hash);

	memcpy(place->hash, hash, KEYED_HASH_BYTES);
	place->device = device;
	place->until_ms = loop_deadline_ms(REMEMBERED_MS);
}

/* ---- one device ---- */

static void compare(void *argument)
{
	struct comparison *comparison = argument;

	comparison->fits = password_fits(comparison->password, comparison->hash);
}

SUSPENDS static bool fits_hash(struct proof *proof, const struct device *device)
{
	struct prover *prover = proof->prover;
	struct comparison comparison = { secret_bytes(&proof->secret),
					 buffer_bytes(&device->proof), false };

	if (prover->hashes >= HASHES_MAX) {
		proof->too_many = true; // a flood of guesses: that is not a wrong one
		return false;
	}
	prover->hashes++;
	offload(compare, &comparison);
	prover->hashes--;
	return comparison.fits;
}

static bool fits_generated(const struct proof *proof, const struct device *device)
{
	unsigned char hash[KEYED_HASH_BYTES];

	password_proof(proof->prover->device_key, buffer_bytes(&proof->account),
		       secret_bytes(&proof->secret), hash);
	return password_equal((struct bytes){ (char *)hash, sizeof(hash) },
			      buffer_bytes(&device->proof));
}

/* RFC 1939 section 7: MD5 of the greeting's stamp and the password, in hexadecimal. */
static bool is_digest(struct bytes digest, const char *stamp, struct bytes password)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char octets[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned len = 0;

	if (context && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(context, stamp, strlen(stamp)) == 1 &&
	    EVP_DigestUpdate(context, password.at, password.len) == 1) {
		EVP_DigestFinal_ex(context, octets, &len);
	}
	EVP_MD_CTX_free(context);
	for (unsigned i = 0; i < len; i++) {
		snprintf(text + (size_t)2 * i, 3, "%02x", octets[i]);
	}
	return len > 0 && password_equal((struct bytes){ text, DIGEST_TEXT }, digest);
}

static bool unseal_apop(const struct proof *proof, const struct device *device,
			struct secret *out)
{
	struct buffer context;
	struct failure ignored;
	bool opened;

	buffer_init(&context, REGISTRY_TEXT_MAX + 16);
	buffer_printf(&context, "apop %.*s", (int)proof->account.len,
		      proof->account.data);
	opened = vault_unseal(proof->prover->keeper->vault, buffer_bytes(&context),
			      buffer_bytes(&device->proof), out, &ignored);
	buffer_release(&context);
	return opened;
}

/* A digest over the greeting's stamp, also when a token is wanted anew. */
static bool is_by_digest(const struct proof *proof)
{
	return proof->how == KEEPER_PROVE_APOP || *proof->stamp;
}

static bool fits_apop(const struct proof *proof, const struct device *device)
{
	struct secret password = { 0 };
	const struct bytes said = secret_bytes(&proof->secret);
	bool fits = unseal_apop(proof, device, &password);

	fits = fits && (is_by_digest(proof)
				? is_digest(said, proof->stamp, secret_bytes(&password))
				: password_equal(said, secret_bytes(&password)));
	secret_release(&password);
	return fits;
}

SUSPENDS static bool fits(struct proof *proof, const struct device *device)
{
	switch (device->kind) {
	case DEVICE_GENERATED:
		return !is_by_digest(proof) && fits_generated(proof, device);
	case DEVICE_CHOSEN:
		return !is_by_digest(proof) && fits_hash(proof, device);
	case DEVICE_APOP:
		return fits_apop(proof, device);
	case DEVICE_KINDS:
		break;
	}
	return false;
}

static bool may_come_from(const struct device *device,
			  const unsigned char address[KEEPER_ADDRESS_BYTES])
{
	struct bytes rest = bytes_of(device->networks);
	bool any = rest.len == 0;

	while (rest.len > 0 && !any) {
		const char *end = memchr(rest.at, '\n', rest.len);
		const size_t len = end ? (size_t)(end - rest.at) : rest.len;

		any = config_network_has((struct bytes){ rest.at, len }, address);
		bytes_skip(&rest, len + 1);
	}
	return any;
}

/* The one whose password it is; cheap ones are tried before chosen ones. */
SUSPENDS static bool find_fitting(struct proof *proof, bool chosen, struct device *out)
{
	struct store *store = proof->prover->keeper->store;
	const struct bytes account = buffer_bytes(&proof->account);
	uint32_t after = 0;

	while (device_next(store, account, after, out)) {
		after = out->id;
		if ((out->kind == DEVICE_CHOSEN) == chosen && fits(proof, out)) {
			return true;
		}
		device_release(out);
	}
	return false;
}

static bool find_recalled(struct proof *proof, uint32_t id, struct device *out)
{
	return id > 0 &&
	       device_next(proof->prover->keeper->store, buffer_bytes(&proof->account),
			   id - 1, out) &&
	       out->id == id;
}

/* While a hash was computed the password may have been removed, or been made another. */
static bool is_still_there(struct proof *proof, const struct device *device)
{
	struct device now = { 0 };
	const bool is_there =
		find_recalled(proof, device->id, &now) &&
		bytes_equal(buffer_bytes(&now.proof), buffer_bytes(&device->proof));

	device_release(&now);
	return is_there;
}

/* The right password is not enough. */
static bool is_good_now(const struct proof *proof, const struct device *device,
			struct failure *failure)
{
	if (device->until_s != 0 && keeper_wall_s() >= device->until_s) {
		failure_set(failure, FAILURE_AUTH, "device password %u (%s) has expired",
			    device->id, device->label);
		return failure_advise(failure, "popbridge account password makes another "
					       "one");
	}
	if (!may_come_from(device, proof->address)) {
		failure_set(failure, FAILURE_AUTH,
			    "device password %u (%s) is not for where this client is",
			    device->id, device->label);
		return failure_advise(failure, "popbridge account show lists the "
					       "networks it is for");
	}
	return true;
}

/* False: none of them, or not from there, or too late. */
SUSPENDS static bool find_device(struct proof *proof, struct device *out,
				 struct failure *failure)
{
	struct prover *prover = proof->prover;
	const unsigned generation = prover->generation;
	unsigned char hash[KEYED_HASH_BYTES];
	bool found;

	keyed_hash(prover->cache_key, buffer_bytes(&proof->account),
		   secret_bytes(&proof->secret), hash);
	found = !is_by_digest(proof) && find_recalled(proof, recall(prover, hash), out);
	if (!found) {
		device_release(out);
		found = find_fitting(proof, false, out) || find_fitting(proof, true, out);
		if (found && generation != prover->generation) {
			found = is_still_there(proof, out);
		} else if (found && !is_by_digest(proof)) {
			remember(prover, hash, out->id);
		}
	}
	if (!found) {
		device_release(out);
		failure_set(failure, FAILURE_AUTH,
			    "not one of the account's device passwords");
		return failure_advise(failure, "popbridge account show lists them; "
					       "popbridge account password makes another "
					       "one");
	}
	if (is_good_now(proof, out, failure)) {
		device_used(prover->keeper->store, buffer_bytes(&proof->account), out->id,
			    proof->address, keeper_wall_s());
		return true;
	}
	device_release(out);
	return false;
}

/* ---- the answer ---- */

/* To the operator. */
static void explain(struct keeper_message *answer, const struct failure *failure)
{
	answer->kind = failure->kind;
	answer->cause = bytes_of(failure->text);
	answer->advice = bytes_of(failure->advice ? failure->advice : "");
}

SUSPENDS static void give(struct proof *proof, const struct registered *registered,
			  const struct device *device, struct keeper_message *answer,
			  struct secret *secret, struct failure *failure)
{
	static const enum keeper_credential_kind kinds[REGISTERED_KINDS] = {
		[REGISTERED_PASS_THROUGH] = KEEPER_OWN_PASSWORD,
		[REGISTERED_PASSWORD] = KEEPER_PASSWORD,
		[REGISTERED_OAUTH] = KEEPER_TOKEN,
	};

	answer->number = KEEPER_PROVEN;
	answer->credential = kinds[registered->kind];
	answer->mailbox = bytes_of(registered->mailbox);
	answer->route = bytes_of(registered->route);
	answer->folder = bytes_of(device->folder ? device->folder : "");
	answer->rights = device->rights;
	if (!tokens_get(proof->prover->keeper->tokens, buffer_bytes(&proof->account),
			proof->how == KEEPER_PROVE_ANEW, loop_deadline_ms(ANSWER_MS),
			secret, failure)) {
		answer->number = KEEPER_UNPROVABLE;
		explain(answer, failure);
	}
	answer->secret = secret_bytes(secret);
}

static void send_answer(const struct proof *proof, const struct keeper_message *answer)
{
	struct worker *worker = keeper_worker_by_id(proof->prover->keeper, proof->worker);

	if (worker) {
		outbox_put(&worker->outbox, answer);
	}
}

/* Nobody's password is wrong because of it. */
static void refuse_for_now(struct keeper_message *answer)
{
	answer->number = KEEPER_UNPROVABLE;
	answer->kind = FAILURE_TEMPORARY;
	answer->cause = bytes_of("too many sign-ins are being proven at the moment");
	answer->advice = bytes_of("it passes by itself, unless somebody guesses "
				  "passwords: popbridge status shows how many fail");
}

/* Again, after something waited: it may be another. */
static bool find_account(const struct proof *proof, struct registered *registered)
{
	registered_release(registered);
	return registry_find(proof->prover->keeper->store, buffer_bytes(&proof->account),
			     registered);
}

SUSPENDS static void prove(struct proof *proof)
{
	struct keeper_message answer = { .type = KEEPER_CREDENTIAL,
					 .request = proof->request,
					 .number = KEEPER_UNREGISTERED };
	struct registered registered = { 0 };
	struct device device = { 0 };
	struct secret secret = { 0 };
	struct failure failure;

	if (find_account(proof, &registered)) {
		answer.number = KEEPER_DISPROVEN;
		if (registered.kind == REGISTERED_PASS_THROUGH ||
		    (find_device(proof, &device, &failure) &&
		     (find_account(proof, &registered) ||
		      failure_set(&failure, FAILURE_AUTH, "the account was removed")))) {
			give(proof, &registered, &device, &answer, &secret, &failure);
		} else if (proof->too_many) {
			refuse_for_now(&answer);
		} else {
			explain(&answer, &failure);
		}
	}
	send_answer(proof, &answer);
	secret_release(&secret);
	device_release(&device);
	registered_release(&registered);
}

static void free_proof(struct proof *proof)
{
	buffer_release(&proof->account);
	secret_release(&proof->secret);
	free(proof->stamp);
	free(proof);
}

SUSPENDS static void run(void *argument)
{
	struct proof *proof = argument;
	struct prover *prover = proof->prover;

	prove(proof);
	free_proof(proof);
	prover->open--;
	gate_open(&prover->ended);
}

void prover_take(struct prover *prover, struct worker *worker,
		 const struct keeper_message *message)
{
	struct proof *proof;

	if (prover->open >= OPEN_MAX) {
		struct keeper_message answer = { .type = KEEPER_CREDENTIAL,
						 .request = message->request };

		refuse_for_now(&answer);
		outbox_put(&worker->outbox, &answer);
		return;
	}
	proof = memory_new(sizeof(*proof));
	proof->prover = prover;
	proof->worker = worker->id;
	proof->request = message->request;
	proof->how = (enum keeper_prove)message->number;
	memcpy(proof->address, message->address, KEEPER_ADDRESS_BYTES);
	buffer_init(&proof->account, KEEPER_TEXT_MAX);
	registry_canonical(message->account, &proof->account);
	secret_set(&proof->secret, message->secret);
	proof->stamp = memory_copy_text(message->stamp);
	prover->open++;
	task_start(run, proof);
}

SUSPENDS void prover_free(struct prover *prover)
{
	struct failure ignored;

	if (!prover) {
		return;
	}
	while (prover->open > 0 &&
	       gate_wait(&prover->ended, loop_deadline_ms(2 * ANSWER_MS), &ignored)) {
	}
	memory_wipe(prover->cache_key, KEYED_HASH_BYTES);
	free(prover->remembered);
	free(prover);
}
