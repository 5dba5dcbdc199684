/*
 * Device passwords, as operators see, make and remove them.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/admin.h"
#include "proxy/keeper/password.h"
#include "proxy/keeper/proof.h"
#include "proxy/rt/offload.h"

#include <string.h>

/* secret: a new one, which is shown this once. */
SUSPENDS static bool say_device(struct admin_client *client, struct bytes account,
				const struct device *device, struct bytes secret)
{
	char address[ADDRESS_TEXT_MAX] = "";

	if (device->last_s > 0) {
		admin_address_words(device->last_address, address);
	}
	return admin_say(client,
			 &(struct admin_message){
				 .type = ADMIN_DEVICE,
				 .number[ADMIN_TYPE] = device->kind,
				 .number[ADMIN_ID] = device->id,
				 .number[ADMIN_RIGHTS] = device->rights,
				 .number[ADMIN_SINCE_S] = device->created_s,
				 .number[ADMIN_UNTIL_S] = device->until_s,
				 .number[ADMIN_LAST_RIGHT_S] = device->last_s,
				 .text[ADMIN_USER] = account,
				 .text[ADMIN_LABEL] = bytes_of(device->label),
				 .text[ADMIN_FOLDER] = bytes_of(device->folder),
				 .text[ADMIN_NETWORKS] = bytes_of(device->networks),
				 .text[ADMIN_ADDRESS] = bytes_of(address),
				 .text[ADMIN_SECRET] = secret,
			 });
}

SUSPENDS bool admin_say_devices(struct admin_client *client, struct bytes account)
{
	struct device device;
	uint32_t after = 0;
	bool goes_on = true;

	while (goes_on && device_next(client->keeper->store, account, after, &device)) {
		after = device.id;
		goes_on = say_device(client, account, &device, (struct bytes){ 0 });
		device_release(&device);
	}
	return goes_on;
}

struct hashing {
	struct bytes password;
	struct buffer hash;
	bool done;
};

static void hash(void *argument)
{
	struct hashing *hashing = argument;

	hashing->done = password_hash(hashing->password, &hashing->hash);
}

/* As proof.c unseals it. */
static struct bytes apop_context(struct bytes account, struct buffer *out)
{
	buffer_printf(out, "apop %.*s", (int)account.len, account.at);
	return buffer_bytes(out);
}

static void seal_apop(struct admin_client *client, struct bytes account,
		      struct bytes password, struct buffer *out)
{
	struct buffer context;

	buffer_init(&context, REGISTRY_TEXT_MAX + 16);
	vault_seal(client->keeper->vault, apop_context(account, &context), password, out);
	buffer_release(&context);
}

static bool unseal_apop(struct admin_client *client, struct bytes account,
			const struct device *device, struct secret *out,
			struct failure *failure)
{
	struct buffer context;
	bool opened;

	buffer_init(&context, REGISTRY_TEXT_MAX + 16);
	opened = vault_unseal(client->keeper->vault, apop_context(account, &context),
			      buffer_bytes(&device->proof), out, failure);
	buffer_release(&context);
	return opened;
}

static bool reseal(struct admin_client *client, struct bytes account,
		   const struct device *device, struct failure *failure)
{
	struct secret password = { 0 };
	struct buffer proof;
	bool done;

	if (!unseal_apop(client, account, device, &password, failure)) {
		return failure_prefix(failure, "account %.*s, device password %u",
				      (int)account.len, account.at, device->id);
	}
	buffer_init(&proof, REGISTRY_SECRET_MAX);
	seal_apop(client, account, secret_bytes(&password), &proof);
	secret_release(&password);
	done = device_set_proof(client->keeper->store, account, device->id,
				buffer_bytes(&proof));
	buffer_release(&proof);
	return done ||
	       failure_set(failure, FAILURE_TEMPORARY, "the store cannot be written");
}

bool admin_reseal_devices(struct admin_client *client, struct bytes account,
			  struct failure *failure)
{
	struct device device;
	uint32_t after = 0;
	bool all = true;

	while (device_next(client->keeper->store, account, after, &device)) {
		after = device.id;
		if (device.kind == DEVICE_APOP) {
			all = reseal(client, account, &device, failure) && all;
		}
		device_release(&device);
	}
	return all;
}

/* How it is proven later. NULL, or why not. */
SUSPENDS static const char *make_proof(struct admin_client *client, struct bytes account,
				       struct bytes password, struct device *device,
				       struct failure *failure)
{
	unsigned char keyed[KEYED_HASH_BYTES];
	struct hashing hashing = { .password = password };

	buffer_init(&device->proof, REGISTRY_SECRET_MAX);
	switch (device->kind) {
	case DEVICE_GENERATED:
		prover_hash(client->keeper->prover, account, password, keyed);
		buffer_append(&device->proof,
			      (struct bytes){ (char *)keyed, sizeof(keyed) });
		return NULL;
	case DEVICE_CHOSEN:
		buffer_init(&hashing.hash, PASSWORD_HASH_MAX);
		offload(hash, &hashing);
		buffer_append(&device->proof, buffer_bytes(&hashing.hash));
		buffer_release(&hashing.hash);
		return hashing.done ? NULL : "this system cannot hash passwords";
	case DEVICE_APOP:
		if (!vault_can_seal(client->keeper->vault, failure)) {
			return failure->text;
		}
		seal_apop(client, account, password, &device->proof);
		return NULL;
	case DEVICE_KINDS:
		break;
	}
	return "no such kind of password";
}

static const char *unfit_password(struct bytes password)
{
	if (password.len < PASSWORD_LEAST) {
		return "a chosen password has 8 characters at least";
	}
	if (password.len > PASSWORD_MAX) {
		return "a password has 255 octets at most: more does not fit a POP3 line";
	}
	for (size_t i = 0; i < password.len; i++) {
		if ((unsigned char)password.at[i] < ' ') {
			return "a password has no control characters";
		}
	}
	return NULL;
}

static const char *unfit_networks(struct bytes networks)
{
	const char *why = NULL;

	while (networks.len > 0 && !why) {
		const char *end = memchr(networks.at, '\n', networks.len);
		const size_t len = end ? (size_t)(end - networks.at) : networks.len;

		config_network_is((struct bytes){ networks.at, len }, &why);
		bytes_skip(&networks, len + 1);
	}
	return why;
}

static const char *take_device(const struct admin_message *message, struct device *device,
			       struct secret *password)
{
	const struct bytes given = message->text[ADMIN_SECRET];
	const char *why = unfit_networks(message->text[ADMIN_NETWORKS]);

	*device = (struct device){
		.label = memory_copy_text(message->text[ADMIN_LABEL]),
		.kind = (enum device_kind)message->number[ADMIN_TYPE],
		.rights = (unsigned)message->number[ADMIN_RIGHTS],
		.folder = memory_copy_text(message->text[ADMIN_FOLDER]),
		.networks = memory_copy_text(message->text[ADMIN_NETWORKS]),
		.until_s = message->number[ADMIN_UNTIL_S],
		.created_s = keeper_wall_s(),
	};
	if (why || message->number[ADMIN_TYPE] >= DEVICE_KINDS ||
	    message->number[ADMIN_RIGHTS] > (DEVICE_NO_DELETE | DEVICE_READ_ONLY)) {
		return why ? why : "no such kind of password, or right";
	}
	if (given.len == 0) {
		if (device->kind == DEVICE_CHOSEN) {
			device->kind = DEVICE_GENERATED;
		}
		password_generate(message->number[ADMIN_DIGITS] == 1, password);
		return NULL;
	}
	if (device->kind == DEVICE_GENERATED) {
		device->kind = DEVICE_CHOSEN;
	}
	secret_set(password, given);
	return unfit_password(given);
}

SUSPENDS static const char *save_device(struct admin_client *client,
					const struct registered *registered,
					struct device *device, struct bytes password,
					struct failure *failure)
{
	const struct bytes account = bytes_of(registered->account);
	const char *why;

	if (registered->kind == REGISTERED_PASS_THROUGH) {
		return "the account passes the client's own password on: it has no "
		       "device passwords";
	}
	why = make_proof(client, account, password, device, failure);
	if (!why && !device_add(client->keeper->store, account, device)) {
		return "not written: the account has 64 device passwords already, or the "
		       "disk is full";
	}
	keeper_tell_apop(client->keeper);
	return why;
}

SUSPENDS bool admin_add_device(struct admin_client *client,
			       const struct admin_message *message)
{
	struct registered registered;
	struct device device;
	struct secret password = { 0 };
	struct failure failure;
	const char *why;
	bool goes_on;

	if (!admin_find(client, message->text[ADMIN_USER], &registered)) {
		return admin_refuse(client,
				    "there is no such account (popbridge account list)");
	}
	why = take_device(message, &device, &password);
	why = why ? why
		  : save_device(client, &registered, &device, secret_bytes(&password),
				&failure);
	goes_on = why ? admin_refuse(client, why)
		      : say_device(client, bytes_of(registered.account), &device,
				   secret_bytes(&password)) &&
				  admin_end(client, 1);
	secret_release(&password);
	device_release(&device);
	registered_release(&registered);
	return goes_on;
}

SUSPENDS bool admin_remove_device(struct admin_client *client,
				  const struct admin_message *message)
{
	struct registered registered;
	bool removed;

	if (!admin_find(client, message->text[ADMIN_USER], &registered)) {
		return admin_refuse(client,
				    "there is no such account (popbridge account list)");
	}
	removed = device_remove(client->keeper->store, bytes_of(registered.account),
				(uint32_t)message->number[ADMIN_ID]);
	prover_forget(client->keeper->prover);
	keeper_tell_apop(client->keeper);
	registered_release(&registered);
	return removed ? admin_end(client,
				   admin_kick(client->admin, message->text[ADMIN_USER],
					      KEEPER_KICK_SESSIONS))
		       : admin_refuse(client,
				      "the account has no device password with that "
				      "number (popbridge account show)");
}
