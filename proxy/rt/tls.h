/*
 * TLS contexts, both sides (OpenSSL 3). Opaque, immutable after creation, shared by all
 * streams of the process. Freed after the last stream that used them is closed.
 */
#ifndef PROXY_RT_TLS_H
#define PROXY_RT_TLS_H

#include "proxy/base/failure.h"

#include <stddef.h>
#include <stdint.h>

enum tls_version {
	TLS_1_2,
	TLS_1_3,
	TLS_LEGACY, // 1.0, with the ciphers of its time
};

struct tls_certificate {
	const char *certificate; // PEM file, the chain, leaf first
	const char *key;         // PEM file
};

/*
 * The POP3 side. certificates: the first is the default, the others are picked by SNI
 * among the names they carry (exact or one leading wildcard label). Those with the same
 * names and keys of different kinds (RSA, ECDSA) stand side by side: a client gets the
 * one it can use. ALPN: "pop3", anything else offered is refused. No renegotiation, no
 * compression. FAILURE_PERMANENT names the file and what is wrong with it (absent,
 * unreadable, not PEM, key does not fit the certificate).
 */
struct tls_server *tls_server_new(const struct tls_certificate *certificates,
				  size_t count, enum tls_version minimum,
				  struct failure *failure);
void tls_server_free(struct tls_server *server);

/*
 * Tickets for resumption under keys made of this secret: who has the same one takes them
 * too. Without it each server object has keys of its own. Once, before any stream.
 */
#define TLS_TICKET_SECRET_BYTES 32
void tls_server_share_tickets(struct tls_server *server,
			      const unsigned char secret[TLS_TICKET_SECRET_BYTES]);

/* Unix time after which the certificate with this index is worth nothing; 0: none. */
uint64_t tls_server_valid_until_s(const struct tls_server *server, size_t index);

struct tls_client_settings {
	const char *ca_file;            // NULL: the system's
	const char *client_certificate; // NULL: none
	const char *client_key;
	const char *const *pins; // base64 of SHA-256 over SubjectPublicKeyInfo
	size_t pin_count;        // 0: any key; else the leaf's must be one of them
	bool any_certificate;    // nothing is verified: only for who is known otherwise
};

/*
 * The upstream side: chain and host name are verified (SAN, IP SAN for an address, SNI
 * for a name), TLS 1.2 or later. Verified sessions are kept and resumed. settings are
 * copied.
 */
struct tls_client *tls_client_new(const struct tls_client_settings *settings,
				  struct failure *failure);
void tls_client_free(struct tls_client *client);

#endif
