/*
 * What workers and the keeper say to each other: one message a packet, a fixed header,
 * bounded fields. Both decoders treat what they read as hostile: false means that the
 * sender is broken or taken over, and its channel is closed.
 *
 * Pure. Layout, all numbers little endian:
 *   header   version u8, type u8, two octets 0, request u32
 *   fields   by type, in the order of the struct; a text is u16 length and its octets
 * Nothing may follow the last field.
 */
#ifndef PROXY_IPC_KEEPER_MESSAGE_H
#define PROXY_IPC_KEEPER_MESSAGE_H

#include "protocol/buffer.h"

#define KEEPER_MESSAGE_VERSION 1
#define KEEPER_TEXT_MAX 8192    // a lock's key, an account's name
#define KEEPER_ADDRESS_BYTES 16 // IPv6, or IPv4 mapped into it
#define KEEPER_HASH_BYTES 32    // keyed hash of a credential
#define KEEPER_LOGIN_DELAY_MAX_S (24 * 60 * 60)
#define KEEPER_WORDS_MAX 1024   // what was answered, a cause, an advice
#define KEEPER_SET_MAX 32768    // a UID set
#define KEEPER_SECRET_MAX 16384 // a password, a token
#define KEEPER_PIECE_MAX 32768  // of an index: each but the last is that long
#define KEEPER_PIECES_MAX 1024  // of one index

enum keeper_message_type {
	/* worker to keeper */
	KEEPER_HELLO,    // number: the worker's slot; the first message, once
	KEEPER_HOLD,     // key: a lock held since before this keeper started
	KEEPER_HELD_ALL, // every lock is declared; requests may follow
	KEEPER_LOCK,     // request, key, number: enum keeper_when_locked -> LOCKED
	KEEPER_UNLOCK,   // key
	KEEPER_ASK,   // request, address, account, hash: may it sign in now? -> VERDICT
	KEEPER_TELL,  // address, account, hash, number: enum keeper_outcome, tls
	KEEPER_ENDED, // account, number: retrieved, removed, lost_dele: a session is over
	KEEPER_FAILED, // address, account, number: reference, and what its -ERR is about
	KEEPER_KICKED, // request, number: so many sessions were told to end
	KEEPER_LEFT,   // key, account, number: UIDVALIDITY, set: flagged and not removed
	KEEPER_ASK_LEFT, // request, key, number: UIDVALIDITY -> LEFTOVERS
	KEEPER_LOGIN,    // request, key, number: seconds of LOGIN-DELAY: an account whose
			 // password was right signs in -> VERDICT: milliseconds too soon
	KEEPER_PROVE,    // request, address, account, secret, stamp, number: enum
			 // keeper_prove: is it a registered account's? -> CREDENTIAL
	/* keeper to worker */
	KEEPER_LOCKED,     // request, number: 1 granted, 0 somebody else holds it
	KEEPER_VERDICT,    // request, number: milliseconds to wait before trying;
			   // KEEPER_REFUSE: not at all now; KEEPER_SUSPECT: workers
			   // died over this account, not for a while
	KEEPER_TAKE_OVER,  // key: end the session that holds this lock
	KEEPER_KICK,       // request, number: enum keeper_kick_what, account -> KICKED
	KEEPER_LEFTOVERS,  // request, set
	KEEPER_CREDENTIAL, // request, number: enum keeper_proof, and what it says
	KEEPER_APOP,       // number: 1: there are passwords for APOP, so offer it
	/* either way; at the end, for old workers talk to a newer keeper */
	KEEPER_ASK_INDEX,  // worker: request, key, number: which piece -> INDEX
	KEEPER_INDEX,      // keeper: request, piece: of no octets: there is none
	KEEPER_KEEP_INDEX, // worker: request, key, account, number: which piece, piece
			   // -> KEPT; one that is not full is the last
	KEEPER_KEPT,       // keeper: request, number: 0: no use going on
	KEEPER_KNOWN, // worker: account, route, folder, unique_id: what its unique-ids
		      // are made by
};
#define KEEPER_TYPES (KEEPER_KNOWN + 1)

#define KEEPER_REFUSE UINT32_MAX
#define KEEPER_SUSPECT (UINT32_MAX - 1)
#define KEEPER_REFERENCE_MAX 0xffffff // six hexadecimal digits

enum keeper_when_locked { KEEPER_LOCK_REFUSE, KEEPER_LOCK_TAKE_OVER };

/* What came of a sign-in upstream. A client that hung up meanwhile: wrong. */
enum keeper_outcome {
	KEEPER_WRONG,
	KEEPER_RIGHT,
	KEEPER_NO_ANSWER, // the server could not say: down, slow, too busy
};

/* How a client signed in. */
enum keeper_tls { KEEPER_NO_TLS, KEEPER_TLS_1_0, KEEPER_TLS_1_1, KEEPER_TLS_MODERN };

/* What a worker wants proven. */
enum keeper_prove {
	KEEPER_PROVE_PASSWORD, // secret: a device password
	KEEPER_PROVE_APOP,     // secret: the digest over stamp (RFC 1939 section 7)
	KEEPER_PROVE_ANEW,     // as PASSWORD, and the server has refused the last token
	KEEPER_PROVES
};

/* What came of it. */
enum keeper_proof {
	KEEPER_UNREGISTERED, // no account of ours: the client's own password goes
			     // upstream
	KEEPER_PROVEN,       // and what goes upstream
	KEEPER_DISPROVEN,    // wrong password
	KEEPER_UNPROVABLE,   // kind: enum failure_kind; cause, advice
	KEEPER_PROOFS
};

enum keeper_credential_kind {
	KEEPER_OWN_PASSWORD, // the client's own goes upstream
	KEEPER_PASSWORD,
	KEEPER_TOKEN,
	KEEPER_CREDENTIAL_KINDS
};

enum keeper_rights { // bit flags: what a device may not
	KEEPER_NO_DELETE = 1 << 0,
	KEEPER_READ_ONLY = 1 << 1,
};

/* What of an account ends. */
enum keeper_kick_what {
	KEEPER_KICK_SESSIONS, // and what they left for the next one
	KEEPER_KICK_REMAINS,  // only that
};

struct keeper_message {
	enum keeper_message_type type;
	uint32_t request; // 0 where none
	uint32_t number;
	uint32_t lost_dele; // ENDED: messages marked with DELE that no QUIT deleted
	uint32_t removed;   // ENDED: messages deleted by QUIT
	uint32_t kind;      // FAILED: enum failure_kind
	enum keeper_tls tls;
	unsigned char address[KEEPER_ADDRESS_BYTES];
	bool shared_address; // ASK, TELL: many people share it (NAT, balancer)
	unsigned char hash[KEEPER_HASH_BYTES];
	struct bytes key;                       // borrowed from the packet
	struct bytes account;                   // borrowed from the packet, as all texts
	struct bytes answer, cause, advice;     // FAILED: to the client; to the operator
	struct bytes set;                       // of UIDs
	struct bytes piece;                     // of an index
	enum keeper_credential_kind credential; // CREDENTIAL, as the next
	uint32_t rights;                        // enum keeper_rights
	struct bytes secret, stamp;             // PROVE; secret: CREDENTIAL's, too
	struct bytes mailbox, route, folder;    // CREDENTIAL; the last two may be empty.
						// KNOWN: the name that chose the route,
						// its folder, empty: another one
	struct bytes unique_id;                 // KNOWN: the route's template
};

/* Append one packet. False where a text is too long, or a lock's key empty. */
bool keeper_message_encode(const struct keeper_message *message, struct buffer *out);

/* False: not a message that a worker (from_worker) or the keeper may send. */
bool keeper_message_decode(struct bytes packet, bool from_worker,
			   struct keeper_message *out);

#endif
