/*
 * One TLS session of a stream: made by a context, told apart when it fails. Only for
 * stream.c; the socket is OpenSSL's own BIO, so a call reads and writes directly.
 */
#ifndef PROXY_RT_TLS_SESSION_H
#define PROXY_RT_TLS_SESSION_H

#include "protocol/buffer.h"
#include "proxy/rt/tls.h"
#include "proxy/rt/tls_offer.h"

#include <openssl/ssl.h>

/* NULL, with a failure, where OpenSSL refuses. */
SSL *tls_server_session(struct tls_server *server, int fd, struct failure *failure);
SSL *tls_client_session(struct tls_client *client, int fd, const char *host,
			struct failure *failure);

/* After the handshake: is the peer's key one of the pins? True where there are none. */
bool tls_client_pinned(const struct tls_client *client, SSL *ssl,
		       struct failure *failure);

/* Once that is settled: of the peer's chain only its own certificate is kept. */
void tls_client_drop_chain(SSL *ssl);

/*
 * Why SSL_read(), SSL_write() or SSL_do_handshake() returned result; socket_error is
 * errno right after it. Returns false.
 */
bool tls_session_failure(SSL *ssl, int result, int socket_error, struct failure *failure);
/* The same for a handshake. host: whom we called, NULL on the server side. */
bool tls_handshake_failure(SSL *ssl, int result, int socket_error, const char *host,
			   struct failure *failure);
/* What kind of trouble OpenSSL's error queue speaks of. */
enum tls_trouble tls_handshake_trouble(void);

/* tls_offer.c: the client's first message, kept during a handshake. */
struct tls_client_hello {
	struct buffer message; // from the handshake type on, maybe not all of it
	bool old_form;         // SSL 2.0's
};

void tls_client_hello_keep(SSL *ssl, struct tls_client_hello *kept);
void tls_client_hello_forget(SSL *ssl, struct tls_client_hello *kept);

/* After a handshake failed. Owned by the caller. */
struct tls_offer *tls_offer_new(SSL *ssl, const struct tls_client_hello *kept);

#endif
