/*
 * Who a session was, so that what it leaves in memory is given to nobody else.
 */
#ifndef PROXY_MAILBOX_OWNER_H
#define PROXY_MAILBOX_OWNER_H

#include "protocol/sasl.h"
#include "proxy/rt/keyed_hash.h"
#include "proxy/upstream/upstream.h"

/* Borrowed. */
struct owner {
	const struct upstream *upstream;
	enum sasl_mechanism mechanism;
	struct bytes user; // upstream
	struct bytes secret;
	struct bytes account;         // the POP3 user
	bool registered;              // the keeper has let him in, by a secret of its own
	const struct address *client; // counts where the server was told of it
};

/* Of the credential and what it belongs to, under a key of this process. */
void owner_hash(const struct owner *owner, const unsigned char key[KEYED_HASH_BYTES],
		unsigned char out[KEYED_HASH_BYTES]);

/* The same POP3 user, however the letters are typed? */
bool owner_is_account(const char *own, struct bytes account);

#endif
