/*
 * When a certificate ends.
 */
#ifndef PROXY_RT_PEM_EXPIRY_H
#define PROXY_RT_PEM_EXPIRY_H

#include "protocol/bytes.h"

/* Unix time after which the first certificate in the PEM is worth nothing; 0: no such. */
uint64_t pem_expiry_s(struct bytes pem);

/* The same, of a file. */
uint64_t pem_expiry_of_file_s(const char *path);

#endif
