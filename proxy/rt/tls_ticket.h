/*
 * Session tickets of the POP3 side (RFC 8446 2.2, RFC 5077): a client that comes back
 * spares both sides the certificate and its signature.
 *
 * All workers make the same keys of one secret and the time, so a ticket of one is good
 * at the others and after a worker was replaced. A key is used for six hours and taken
 * for six more. A ticket carries no sign-in: who resumes still has to give the password.
 */
#ifndef PROXY_RT_TLS_TICKET_H
#define PROXY_RT_TLS_TICKET_H

#include "proxy/rt/keyed_hash.h"

#include <openssl/ssl.h>

struct tls_ticket_secret {
	unsigned char octets[KEYED_HASH_BYTES];
};

/* secret: borrowed as long as the context lives. */
void tls_ticket_setup(SSL_CTX *context, const struct tls_ticket_secret *secret);

#endif
