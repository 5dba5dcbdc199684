/*
 * SASL messages as values: PLAIN (RFC 4616), LOGIN, XOAUTH2 (Google, Microsoft),
 * OAUTHBEARER (RFC 7628). Decoded from a client, encoded for an upstream.
 *
 * Pure; works on messages after base64 is taken off. A value is refused where it
 * holds CR, LF or NUL, and for the OAuth mechanisms 0x01: such an octet could become
 * an IMAP command or a field of its own.
 */
#ifndef PROTOCOL_SASL_H
#define PROTOCOL_SASL_H

#include "protocol/buffer.h"

enum sasl_mechanism {
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_XOAUTH2,
	SASL_OAUTHBEARER,
};
#define SASL_MECHANISMS 4

/* "PLAIN" ...: a static upper case string. */
const char *sasl_mechanism_name(enum sasl_mechanism mechanism);

/* In any case. False: none of ours. */
bool sasl_mechanism_parse(struct bytes name, enum sasl_mechanism *out);

struct sasl_identity {
	struct bytes user;   // 1 octet or more, borrowed from the message
	struct bytes secret; // password or bearer token, 1 octet or more, borrowed
};

/*
 * One whole message of PLAIN, XOAUTH2 or OAUTHBEARER (LOGIN has no message of its
 * own). PLAIN: the authorization identity is empty or equal to the user.
 * OAUTHBEARER: GS2 header "n,a=user," (=2C and =3D decoded in place, so message is
 * written to) or "n,," with a user= field refused; host and port fields are
 * accepted and dropped (RFC 7628 3.1: rebuilt for the upstream). False: malformed.
 */
bool sasl_decode(enum sasl_mechanism mechanism, struct buffer *message,
		 struct sasl_identity *out);

/* No CR, LF, NUL; for the OAuth mechanisms no 0x01. What every credential must be. */
bool sasl_is_safe(enum sasl_mechanism mechanism, struct bytes value);

/*
 * Append the raw message for an upstream. host and port matter to OAUTHBEARER only.
 * False where out is full, a value is unsafe, or mechanism is LOGIN.
 */
bool sasl_encode(enum sasl_mechanism mechanism, const struct sasl_identity *identity,
		 struct bytes host, uint16_t port, struct buffer *out);

#endif
