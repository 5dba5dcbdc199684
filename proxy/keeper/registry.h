/*
 * Registered accounts: POP3 users whose mail is elsewhere, who sign in there by other
 * means than the password they say here; and the passwords their devices say instead.
 * Part of the store; writes are on the disk when a function here returns true.
 */
#ifndef PROXY_KEEPER_REGISTRY_H
#define PROXY_KEEPER_REGISTRY_H

#include "proxy/keeper/store.h"

#define REGISTRY_TEXT_MAX 512     // octets of a name
#define REGISTRY_SECRET_MAX 20000 // octets of a sealed secret
#define REGISTRY_DEVICES_MAX 64   // device passwords of one account

enum registered_kind {
	REGISTERED_PASS_THROUGH, // the client's own password goes upstream
	REGISTERED_PASSWORD,     // a stored one does
	REGISTERED_OAUTH,        // a token of the provider's does
	REGISTERED_KINDS
};

enum registered_consent {
	CONSENT_NONE,   // nobody has consented yet
	CONSENT_GOOD,   //
	CONSENT_NEEDED, // it was taken back or ran out: consent_text says why
};

/* All texts owned; a zeroed one is valid and empty. */
struct registered {
	char *account;     // the POP3 name, in lower case
	char *route;       // matched against routes[].match instead of account; "": that
	char *mailbox;     // the user upstream
	char *signs_in_as; // who has to consent; "": the mailbox
	char *aliases;     // who may as well, one a line
	enum registered_kind kind;
	char *provider;
	uint64_t version;     // of the secret: counts up, and is part of its context
	struct buffer secret; // sealed: upstream password or refresh token; empty: none
	struct buffer access; // sealed access token; empty: none
	uint64_t access_from_s, access_until_s; // wall clock
	enum registered_consent consent;
	char *consent_text;
	uint64_t consent_since_s;
	uint64_t consent_until_s; // 0: the provider does not say
	uint64_t created_s;
};

void registered_release(struct registered *registered);

/* The name as it is kept and looked up: ASCII letters in lower case. */
bool registry_canonical(struct bytes account, struct buffer *out);

/* False: not registered. account is canonical. */
bool registry_find(struct store *store, struct bytes account, struct registered *out);

/* The first behind that name ("" for the first of all). */
bool registry_next(struct store *store, struct bytes after, struct registered *out);

uint64_t registry_count(struct store *store);

/* How consents stand, of all accounts. */
struct registry_consents {
	uint64_t needed;      // accounts that need it anew
	uint64_t first_end_s; // of those given; 0: none ends
	uint64_t ending;      // given, and end before soon_s
	char first_account[REGISTRY_TEXT_MAX];
};

void registry_count_consents(struct store *store, uint64_t soon_s,
			     struct registry_consents *out);

/* New, or instead of what there is. False: not written. */
bool registry_save(struct store *store, const struct registered *registered);

/* With its device passwords. */
bool registry_remove(struct store *store, struct bytes account);

/* What registry_save() and registry_remove() do, many at once and all or nothing. */
bool registry_begin(struct store *store);
bool registry_end(struct store *store, bool keep);

enum device_kind {
	DEVICE_GENERATED, // proof: keyed hash; the password has 80 bits and more
	DEVICE_CHOSEN,    // proof: yescrypt, as crypt(5) spells it
	DEVICE_APOP,      // proof: the sealed password itself (RFC 1939 section 7)
	DEVICE_KINDS
};

enum device_rights { // bit flags
	DEVICE_NO_DELETE = 1 << 0,
	DEVICE_READ_ONLY = 1 << 1, // neither deletes nor marks as read
};

/* All texts owned. */
struct device {
	uint32_t id; // from 1, never used again within an account
	char *label;
	enum device_kind kind;
	struct buffer proof;
	unsigned rights;            // enum device_rights
	char *folder;               // "": the route's
	char *networks;             // one a line; "": from everywhere
	uint64_t until_s;           // 0: for good
	uint64_t created_s, last_s; // last_s 0: never used
	unsigned char last_address[KEEPER_ADDRESS_BYTES];
};

void device_release(struct device *device);

/* The first with a greater id (0: the first of all). */
bool device_next(struct store *store, struct bytes account, uint32_t after,
		 struct device *out);

/* Sets device->id. False: not written, or too many. */
bool device_add(struct store *store, struct bytes account, struct device *device);

/* False: there is none, or not written. */
bool device_remove(struct store *store, struct bytes account, uint32_t id);

/* The same password, proven otherwise. False: there is none, or not written. */
bool device_set_proof(struct store *store, struct bytes account, uint32_t id,
		      struct bytes proof);

/* Is there any of kind DEVICE_APOP? */
bool device_any_apop(struct store *store);

/*
 * An account's invitation to the consent page, by a hash of its secret: one at a time, so
 * a new one ends the one before. False: not written.
 */
bool invitation_put(struct store *store, struct bytes account,
		    const unsigned char hash[STORE_KEY_BYTES], uint64_t until_s);

/* Whose it is (canonical). False: there is none, or its time is over. */
bool invitation_find(struct store *store, const unsigned char hash[STORE_KEY_BYTES],
		     uint64_t now_s, struct buffer *account);

/* It is good no more, and that is on the disk. False: it was not there, or not written.
 */
bool invitation_take(struct store *store, const unsigned char hash[STORE_KEY_BYTES]);

/* Collected, like statistics. */
void device_used(struct store *store, struct bytes account, uint32_t id,
		 const unsigned char address[KEEPER_ADDRESS_BYTES], uint64_t now_s);

#endif
