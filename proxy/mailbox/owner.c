#include "proxy/mailbox/owner.h"

#include "protocol/buffer.h"

#include <strings.h>

#define OWNER_MAX 2048 // octets of an owner's description

/* What the credential belongs to: without the user one account's would fit another's. */
void owner_hash(const struct owner *owner, const unsigned char key[KEYED_HASH_BYTES],
		unsigned char out[KEYED_HASH_BYTES])
{
	const bool told = owner->upstream->route->forward_client == CONFIG_FORWARD_ID &&
			  owner->client;
	char address[ADDRESS_TEXT_MAX] = "";
	struct buffer context;

	if (told) {
		address_text(owner->client, address);
	}
	buffer_init(&context, OWNER_MAX);
	if (!buffer_printf(&context, "%d\n%s\n%.*s", (int)owner->mechanism, address,
			   (int)owner->user.len, owner->user.at)) {
		keyed_hash_new_key(out); // like no other
	} else {
		keyed_hash(key, buffer_bytes(&context), owner->secret, out);
	}
	buffer_release(&context);
}

bool owner_is_account(const char *own, struct bytes account)
{
	const struct bytes text = bytes_of(own);

	return text.len == account.len && strncasecmp(own, account.at, account.len) == 0;
}
