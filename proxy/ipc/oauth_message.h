/*
 * What the keeper asks the oauth role, and its answers: one message a packet, a fixed
 * header, bounded fields. Either side treats what it reads as hostile.
 *
 * Pure. All numbers little endian; a text is u16 length and its octets:
 *   header   version u8, what u8 (enum oauth_what; answers: 0x80), two octets 0, id u32
 *   fields   of struct oauth_request or oauth_reply, all of them, in order
 * Nothing may follow the last field.
 */
#ifndef PROXY_IPC_OAUTH_MESSAGE_H
#define PROXY_IPC_OAUTH_MESSAGE_H

#include "protocol/buffer.h"

#define OAUTH_MESSAGE_VERSION 1
#define OAUTH_TEXT_MAX (16 * 1024) // a token
#define OAUTH_IDENTITY_MAX 256

enum oauth_what {
	OAUTH_REFRESH,         // secret: refresh token
	OAUTH_DEVICE_START,    // RFC 8628 3.1
	OAUTH_DEVICE_POLL,     // secret: device code
	OAUTH_AUTHORIZE_URL,   // redirect, state, nonce, challenge: -> url
	OAUTH_CODE,            // secret: the code; redirect, verifier, nonce, issuer
	OAUTH_APP_TOKEN,       // client credentials (RFC 6749 4.4, 7523 2.2)
	OAUTH_SERVICE_ACCOUNT, // subject: the mailbox (RFC 7523 2.1)
	OAUTH_REVOKE,          // secret: refresh token (RFC 7009)
	OAUTH_KEPT,            // no question: what was answered to this id and tag is
			       // stored
	OAUTH_WHATS
};

/* All texts borrowed; empty where the question has no use for them. */
struct oauth_request {
	enum oauth_what what;
	uint32_t id;      // of the asker's choice
	struct bytes tag; // given back with the answer, even to another keeper
	struct bytes provider;
	struct bytes secret;
	struct bytes subject;
	struct bytes redirect;
	struct bytes
		verifier; // PKCE (RFC 7636): the verifier; AUTHORIZE_URL: the challenge
	struct bytes state;
	struct bytes nonce;
	struct bytes issuer; // of RFC 9207's iss parameter
	struct bytes hint;   // AUTHORIZE_URL: who should sign in
};

enum oauth_verdict {
	OAUTH_GRANTED,
	OAUTH_PENDING,        // device flow: the person is not done
	OAUTH_SLOW_DOWN,      // the same, and ask less often
	OAUTH_DENIED,         // the person said no
	OAUTH_EXPIRED,        // the device code's time is over
	OAUTH_INVALID_GRANT,  // the token or code is good no more: consent is needed
	OAUTH_INVALID_CLIENT, // the gateway's own registration is refused
	OAUTH_TEMPORARY,      // ask again later
	OAUTH_REFUSED,        // any other no: somebody has to change something
	OAUTH_VERDICTS
};

struct oauth_reply {
	uint32_t id;
	uint32_t verdict; // enum oauth_verdict
	uint32_t expires_s;
	uint32_t refresh_expires_s;
	uint32_t interval_s;
	struct bytes tag;
	struct bytes access_token;
	struct bytes refresh_token;
	struct bytes identity;
	struct bytes device_code;
	struct bytes user_code;
	struct bytes url;          // the person's: verification or authorization
	struct bytes url_complete; // with the code in it
	struct bytes text;         // why not; printable
};

/* Append one packet. False where a text is too long. */
bool oauth_request_encode(const struct oauth_request *request, struct buffer *out);
bool oauth_reply_encode(const struct oauth_reply *reply, struct buffer *out);

/* False: not such a message. Texts are borrowed from the packet. */
bool oauth_request_decode(struct bytes packet, struct oauth_request *out);
bool oauth_reply_decode(struct bytes packet, struct oauth_reply *out);

#endif
