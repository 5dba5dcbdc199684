/*
 * What a TLS client offers: its ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2), or the
 * one that clients of the last century send in the form of SSL 2.0 (RFC 5246 E.2). For
 * telling people why a handshake failed; nothing is decided by it.
 *
 * Pure. The message is untrusted, and may be cut short: what stands there is taken, what
 * does not is empty. All results borrow from it.
 */
#ifndef PROTOCOL_TLS_HELLO_H
#define PROTOCOL_TLS_HELLO_H

#include "protocol/buffer.h"

enum {
	TLS_HELLO_SSL_2_0 = 0x0002,
	TLS_HELLO_SSL_3_0 = 0x0300,
	TLS_HELLO_1_0 = 0x0301,
	TLS_HELLO_1_1 = 0x0302,
	TLS_HELLO_1_2 = 0x0303,
	TLS_HELLO_1_3 = 0x0304,
};

struct tls_hello {
	uint16_t newest; // the newest version it knows
	struct bytes
		versions;     // supported_versions, two octets each; empty: all to newest
	size_t cipher_octets; // of one cipher: 2, in the form of SSL 2.0 3
	struct bytes ciphers; // as many octets each
	struct bytes name;    // the server it means (SNI)
	struct bytes protocols; // ALPN: names, each behind its length
};

/*
 * message: from the handshake type on. old_form: it came in a record of SSL 2.0. False:
 * no ClientHello.
 */
bool tls_hello_parse(struct bytes message, bool old_form, struct tls_hello *out);

/* The next cipher, in the client's order. False: no more. */
bool tls_hello_next_cipher(const struct tls_hello *hello, struct bytes *rest,
			   uint32_t *out);

/*
 * "RC4-SHA" for a cipher that OpenSSL 3 does not have any more (RC4, DES, 3DES, RC2,
 * IDEA, export); NULL for any other.
 */
const char *tls_hello_gone_cipher(uint32_t cipher);

/* Is it no cipher but a signal (RFC 5746, 7507), or there to be ignored (RFC 8701)? */
bool tls_hello_is_signal(uint32_t cipher);

/* There are ciphers, and all are gone. */
bool tls_hello_is_hopeless(const struct tls_hello *hello);

/* "TLS 1.2"; "0x7f1c" for a version nobody knows. Static, or in out. */
const char *tls_hello_version_name(uint16_t version, char out[8]);

/* "TLS 1.3, TLS 1.2", or "up to TLS 1.0". */
void tls_hello_write_versions(const struct tls_hello *hello, struct buffer *out);

/* "pop3, h2": the octets are the client's. */
void tls_hello_write_protocols(const struct tls_hello *hello, struct buffer *out);

#endif
