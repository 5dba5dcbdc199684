/*
 * A handshake with a client that failed: what kind of trouble it was, and what the client
 * had offered. For the log; the words are the client's.
 */
#ifndef PROXY_RT_TLS_OFFER_H
#define PROXY_RT_TLS_OFFER_H

#include "protocol/tls_hello.h"

enum tls_trouble {
	TLS_TROUBLE_OTHER,
	TLS_TROUBLE_SILENCE,  // not an octet came
	TLS_TROUBLE_NO_TLS,   // what came is no TLS
	TLS_TROUBLE_VERSION,  // none in common
	TLS_TROUBLE_CIPHER,   // no cipher, or no way to sign, in common
	TLS_TROUBLE_DISTRUST, // the client says that our certificate is no good to it
	TLS_TROUBLE_LEFT,     // it hung up on our answer, without a word
};

struct tls_offer {
	enum tls_trouble trouble;
	bool given;      // a ClientHello came; else the following is empty
	uint16_t newest; // as in tls_hello
	bool hopeless;   // all its ciphers are gone
	bool lacks_rsa;  // we have no RSA certificate to show
	struct buffer versions;
	struct buffer ciphers;
	struct buffer name;
	struct buffer protocols;
};

void tls_offer_free(struct tls_offer *offer); // NULL is fine

#endif
