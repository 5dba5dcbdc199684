/*
 * TLS sessions with servers, kept so that the next connection resumes one (RFC 8446 2.2)
 * instead of verifying a certificate anew.
 *
 * Only sessions whose chain and host name were verified are kept, each under the very
 * name that was verified, within one context: so under the same CA, client certificate
 * and pins, which are checked again each time. No longer than an hour, so that a
 * certificate that ran out does not stay good. No early data is ever sent.
 */
#ifndef PROXY_RT_TLS_RESUME_H
#define PROXY_RT_TLS_RESUME_H

#include "proxy/base/failure.h"

#include <openssl/ssl.h>
#include <stdint.h>

#define TLS_RESUME_KEPT 8 // connections that begin at the same time; a ticket serves one

struct tls_kept_session {
	SSL_SESSION *session; // owned
	char *host;           // owned: whom its certificate was verified to name
	uint64_t since_ms;
};

/* Zeroed is valid. */
struct tls_resume {
	struct tls_kept_session kept[TLS_RESUME_KEPT]; // NULL sessions: free
};

/* Sessions of this context are kept from now on. resume outlives the context. */
void tls_resume_setup(struct tls_resume *resume, SSL_CTX *context);
void tls_resume_release(struct tls_resume *resume);

/* Before the handshake, the expected host is set: resume a session where one is kept. */
void tls_resume_offer(struct tls_resume *resume, SSL *ssl);

#endif
