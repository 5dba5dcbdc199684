/*
 * Signed assertions (RFC 7515, 7519, 7523): a client that proves itself with its
 * certificate's key, a Google service account that acts for a mailbox.
 */
#ifndef PROXY_OAUTH_JWT_H
#define PROXY_OAUTH_JWT_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"

#define JWT_MAX 8192

struct jwt_claims {
	const char *issuer;
	const char *subject; // NULL: none
	const char *audience;
	const char *scope; // NULL: none
	uint64_t now_s;    // wall clock; good for five minutes
};

/*
 * Appended to out (JWT_MAX), signed with RS256 by the RSA key in PEM. certificate_pem:
 * its SHA-256 thumbprint goes into the header, as Microsoft wants it; empty: none.
 * FAILURE_PERMANENT: no such key or certificate.
 */
bool jwt_sign(const struct jwt_claims *claims, struct bytes key_pem,
	      struct bytes certificate_pem, struct buffer *out, struct failure *failure);

#endif
