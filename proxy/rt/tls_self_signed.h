/*
 * A certificate of our own, for those who have none yet. Clients cannot verify it; the
 * logged fingerprint lets a person compare.
 */
#ifndef PROXY_RT_TLS_SELF_SIGNED_H
#define PROXY_RT_TLS_SELF_SIGNED_H

#include "proxy/base/failure.h"

/* Its name in the state directory: key and certificate in one file, so they always fit.
 */
#define TLS_SELF_SIGNED_FILE "self-signed.pem"

/*
 * ECDSA P-256, ten years, for this host's name; its fingerprint is logged. One that is in
 * the directory and has not expired is kept. The directory is made where it is missing.
 * Blocks: before the loop runs. FAILURE_PERMANENT with what to do.
 */
bool tls_self_signed_ensure(const char *directory, struct failure *failure);

#endif
