/*
 * Base64 (RFC 4648 section 4) for SASL, base64url for OAuth2: strict. No line breaks, no
 * blanks, right padding, unused bits zero. Pure.
 */
#ifndef PROTOCOL_BASE64_H
#define PROTOCOL_BASE64_H

#include "protocol/buffer.h"

/* Append the encoding of raw. False where out is full. */
bool base64_encode(struct bytes raw, struct buffer *out);

/* The same in base64url, without padding (RFC 7515 2). */
bool base64_encode_url(struct bytes raw, struct buffer *out);

/* Append the decoding of text. False where text is not base64 or out is full. */
bool base64_decode(struct bytes text, struct buffer *out);

#endif
