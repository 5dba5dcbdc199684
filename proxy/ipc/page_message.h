/*
 * What the web role asks the keeper for people at the consent page, and its answers. One
 * message a packet, a fixed header, typed fields. Both decoders treat what they read as
 * hostile: false, and the channel is closed.
 *
 * A visitor is known by a session, a secret in his browser's cookie that the keeper made;
 * what changes anything brings the session's form word, too, that only our pages have.
 *
 * Pure. Layout, all numbers little endian:
 *   header   version u8, type u8, two octets 0, id u32: the asker's, given back
 *   fields   by type: its numbers (u64), then its texts (u16 length, octets), each in the
 *            order of the enums
 * Nothing may follow the last field.
 */
#ifndef PROXY_IPC_PAGE_MESSAGE_H
#define PROXY_IPC_PAGE_MESSAGE_H

#include "protocol/buffer.h"

#define PAGE_MESSAGE_VERSION 1
#define PAGE_TEXT_MAX 4096
#define PAGE_PACKET_MAX (48 * 1024)
#define PAGE_LABEL_MAX 64 // octets of what a device password is called

enum page_type {
	/* asked; each is answered by rows and one of the last three */
	PAGE_SEE,      // INVITATION -> ACCOUNT
	PAGE_START,    // INVITATION, which is good no more -> GO
	PAGE_CALLBACK, // SESSION, STATE, CODE, ISSUER, ERROR, TEXT
	PAGE_LOOK,     // SESSION -> ACCOUNT, DEVICE...
	PAGE_AGAIN,    // SESSION, FORM -> GO
	PAGE_ADD,      // SESSION, FORM, LABEL: a device password, shown by the next LOOK
	PAGE_REMOVE,   // SESSION, FORM, ID
	PAGE_LEAVE,    // SESSION, FORM
	/* rows */
	PAGE_ACCOUNT, // SIGNED_IN, ACCOUNT, PERSON, PROVIDER; of a LOOK: FORM, SECRET
	PAGE_DEVICE,
	/* ends */
	PAGE_DONE,
	PAGE_GO,      // SESSION (of a START), URL: the provider's, for the browser
	PAGE_REFUSED, // WHY, TEXT: more, for the person; may quote the provider
};
#define PAGE_TYPES (PAGE_REFUSED + 1)

enum page_number {
	PAGE_WHY,       // enum page_why
	PAGE_SIGNED_IN, // 1: the person has consented in this session
	PAGE_ID,
	PAGE_SINCE_S, // Unix time, as the next: made
	PAGE_LAST_S,  // used; 0: never
};
#define PAGE_NUMBERS (PAGE_LAST_S + 1)

enum page_text {
	PAGE_INVITATION,
	PAGE_SESSION,
	PAGE_FORM,
	PAGE_STATE,
	PAGE_CODE,
	PAGE_ISSUER,
	PAGE_ERROR, // the provider's code for why there is no CODE
	PAGE_TEXT,
	PAGE_LABEL,
	PAGE_USER,   // the account: the POP3 name
	PAGE_PERSON, // who has to consent
	PAGE_PROVIDER,
	PAGE_SECRET, // a device password, the one time it is shown; empty: none
	PAGE_URL,
};
#define PAGE_TEXTS (PAGE_URL + 1)

enum page_why {
	PAGE_NO_INVITATION, // unknown, used already, too old
	PAGE_NO_SESSION,    // none, or over
	PAGE_OTHER_FORM,    // not one of our pages
	PAGE_NOT_NOW,       // not signed in, or the sign-in is over already
	PAGE_DENIED,        // the person, or the provider, said no
	PAGE_OTHER_PERSON,  // TEXT: who signed in
	PAGE_NO_CONSENT,    // TEXT: why the provider's answer is not taken
	PAGE_LATER,         // somebody does not answer
	PAGE_TOO_MANY,      // device passwords
	PAGE_WHYS
};

struct page_message {
	enum page_type type;
	uint32_t id;
	uint64_t number[PAGE_NUMBERS];
	struct bytes text[PAGE_TEXTS]; // borrowed
};

/* Append one packet. False where a text is too long or out is full. */
bool page_message_encode(const struct page_message *message, struct buffer *out);

/* False: not a message that the web role (asked) or the keeper may send. */
bool page_message_decode(struct bytes packet, bool asked, struct page_message *out);

#endif
