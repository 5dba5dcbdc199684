/*
 * What is said over the control socket: an operator's command asks the keeper, the keeper
 * answers with rows and an end. One message a packet, a fixed header, typed fields. Both
 * decoders treat what they read as hostile: false, and the connection is closed.
 *
 * A new request is one or two enumerators and as many lines of the table in the .c file.
 *
 * Pure. Layout, all numbers little endian:
 *   header   version u8, type u8, two octets 0
 *   fields   by type: its numbers (u64), then its texts (u16 length, octets), each in the
 *            order of the enums
 * Nothing may follow the last field.
 */
#ifndef PROXY_IPC_ADMIN_MESSAGE_H
#define PROXY_IPC_ADMIN_MESSAGE_H

#include "protocol/buffer.h"

#define ADMIN_MESSAGE_VERSION 1
#define ADMIN_TEXT_MAX 8192
#define ADMIN_PACKET_MAX (60 * 1024)

enum admin_type {
	/* asked */
	ADMIN_ASK_SERVICE,    // -> SERVICE, LISTENER...
	ADMIN_ASK_PROBLEMS,   // SILENT_S (0: never) -> ACCOUNT..., COUNT: strangers
	ADMIN_ASK_LEGACY,     // -> LEGACY...
	ADMIN_ASK_REFERENCE,  // REFERENCE -> FAILURE..., newest first
	ADMIN_ASK_FAILURES,   // USER -> FAILURE..., newest first
	ADMIN_KICK,           // USER -> COUNT: sessions told to end
	ADMIN_FORGET,         // USER -> FORGOTTEN...
	ADMIN_ASK_REGISTERED, // USER (empty: all) -> REGISTERED..., DEVICE... of the one
	ADMIN_REGISTER,       // an account as in REGISTERED, SECRET, MODE -> END
	ADMIN_REGISTER_ALL,   // those that were said with ADMIN_MODE_COLLECT -> COUNT
	ADMIN_UNREGISTER,     // USER -> COUNT: sessions told to end
	ADMIN_ADD_DEVICE,     // a device as in DEVICE, SECRET (empty: make one) -> DEVICE
	ADMIN_REMOVE_DEVICE,  // USER, ID -> COUNT: sessions told to end
	ADMIN_CONSENT,        // USER -> CODE, PENDING..., END: the device flow (RFC 8628)
	ADMIN_GRANT,          // USER, SECRET: a refresh token -> END
	ADMIN_REKEY,          // SECRET: the new master key, empty: the old -> COUNT
	/* answered: rows, then one of these two */
	ADMIN_END,    // COUNT, by what was asked
	ADMIN_FAILED, // KIND, CAUSE, ADVICE
	/* rows */
	ADMIN_SERVICE,
	ADMIN_LISTENER,
	ADMIN_ACCOUNT,
	ADMIN_LEGACY,
	ADMIN_FAILURE,
	ADMIN_FORGOTTEN,
	ADMIN_REGISTERED,
	ADMIN_DEVICE,
	ADMIN_CODE,    // what the person has to type, and where
	ADMIN_PENDING, // not done yet
	/* asked */
	ADMIN_ASK_UNIQUE_IDS,    // -> UNIQUE_IDS...
	ADMIN_ACCEPT_UNIQUE_IDS, // DIGEST: of the configuration that may change them
	/* a row */
	ADMIN_UNIQUE_IDS, // what an account's are made by
	/* asked */
	ADMIN_INVITE, // USER -> INVITATION: to the consent page
	/* a row */
	ADMIN_INVITATION, // URL, UNTIL_S: a link
};
#define ADMIN_TYPES (ADMIN_INVITATION + 1)

enum admin_number {
	ADMIN_COUNT,
	ADMIN_KIND,      // enum failure_kind
	ADMIN_AT_S,      // Unix time, as every _S but SILENT_S
	ADMIN_REFERENCE, // of a -ERR
	ADMIN_SILENT_S,  // how long
	ADMIN_PROBLEMS,  // bits: enum admin_problem
	ADMIN_LAST_RIGHT_S,
	ADMIN_LAST_WRONG_S,
	ADMIN_LAST_LOST_S,  // a session with DELEs and no QUIT
	ADMIN_WRONG,        // wrong passwords since a right one
	ADMIN_UNANSWERED,   // sign-ins since then that the server could not judge
	ADMIN_LOST,         // sessions in a row that lost their DELEs
	ADMIN_TLS,          // enum keeper_tls; LISTENER: enum config_tls
	ADMIN_BEHIND_PROXY, // 1: a PROXY header is required
	ADMIN_TYPE,         // REGISTERED: how it signs in; DEVICE: how it is proven
	ADMIN_MODE,         // enum admin_mode
	ADMIN_HAS_SECRET,   // 1: one is stored
	ADMIN_STATE,        // of the consent: enum registered_consent, or NOT_NEEDED
	ADMIN_SINCE_S,      // of the consent; DEVICE: made
	ADMIN_UNTIL_S,      // its end, 0: not known, or none
	ADMIN_ID,           // of a device password
	ADMIN_RIGHTS,       // what it may not
	ADMIN_DEVICES,      // how many there are
	ADMIN_DIGITS,       // 1: made for a keypad
	ADMIN_DIGEST,
};
#define ADMIN_NUMBERS (ADMIN_DIGEST + 1)

enum admin_text {
	ADMIN_USER,
	ADMIN_ADDRESS, // "192.0.2.1", LISTENER: "192.0.2.1:995", SERVICE: of the web role
	ADMIN_ANSWER,  // what the client was told
	ADMIN_CAUSE,
	ADMIN_ADVICE,  // empty: none
	ADMIN_VERSION, // of the program
	ADMIN_WHAT,    // "failures"
	ADMIN_ROUTE,
	ADMIN_MAILBOX,
	ADMIN_SIGNS_IN_AS,
	ADMIN_ALIASES, // one a line
	ADMIN_PROVIDER,
	ADMIN_SECRET, // a password, a token: comes from operators, and goes to them once
	ADMIN_LABEL,
	ADMIN_FOLDER,
	ADMIN_NETWORKS, // one a line
	ADMIN_URL,
	ADMIN_URL_COMPLETE, // with the code in it
	ADMIN_USER_CODE,
	ADMIN_TEMPLATE, // of unique-ids
};
#define ADMIN_TEXTS (ADMIN_TEMPLATE + 1)

#define ADMIN_CONSENT_NOT_NEEDED 3 // the provider lets the gateway itself in

enum admin_mode {
	ADMIN_MODE_NEW,     // refused where there is one
	ADMIN_MODE_CHANGE,  // refused where there is none; empty texts stay as they are
	ADMIN_MODE_COLLECT, // kept until REGISTER_ALL, new or instead of what there is
	ADMIN_MODES
};

/* Why an account is listed. */
enum admin_problem {
	ADMIN_PROBLEM_WRONG = 1 << 0,      // its password is refused now
	ADMIN_PROBLEM_UNANSWERED = 1 << 1, // its server could not answer last time
	ADMIN_PROBLEM_SILENT = 1 << 2,
	ADMIN_PROBLEM_LOST = 1 << 3,    // DELEs and no QUIT
	ADMIN_PROBLEM_SUSPECT = 1 << 4, // workers died while it signed in
};

struct admin_message {
	enum admin_type type;
	uint64_t number[ADMIN_NUMBERS];
	struct bytes text[ADMIN_TEXTS]; // borrowed
};

/* Append one packet. False where a text is too long or out is full. */
bool admin_message_encode(const struct admin_message *message, struct buffer *out);

/* False: not a message that an operator (asked) or the keeper may send. */
bool admin_message_decode(struct bytes packet, bool asked, struct admin_message *out);

#endif
