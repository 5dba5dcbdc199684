/*
 * What both sides of TLS have in common. Only for tls_*.c.
 */
#ifndef PROXY_RT_TLS_CONTEXT_H
#define PROXY_RT_TLS_CONTEXT_H

#include "proxy/rt/tls.h"

#include <openssl/ssl.h>

/* What OpenSSL complained about last, in its own words. */
const char *tls_reason(void);

/* A file OpenSSL did not take: the failure says why. wanted: what it should hold. */
bool tls_file_failure(const char *file, const char *wanted, struct failure *failure);

/* Idle sessions hold no buffers. minimum: as in TLS1_2_VERSION. NULL: see failure. */
SSL_CTX *tls_context_new(const SSL_METHOD *method, int minimum, struct failure *failure);

/* One session of it on a socket; NULL: see failure. */
SSL *tls_context_session(SSL_CTX *context, int fd, struct failure *failure);

/* A certificate, what leads from it to the root, and its key. Zeroed is valid. */
struct tls_pair {
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

/* *pair is to be released in either case. */
bool tls_pair_read(struct tls_pair *pair, const struct tls_certificate *files,
		   struct failure *failure);
void tls_pair_release(struct tls_pair *pair);

/* Shows the pair: beside those with keys of other kinds. files: for the failure. */
bool tls_context_show(SSL_CTX *context, const struct tls_pair *pair,
		      const struct tls_certificate *files, struct failure *failure);

#endif
