#include "proxy/rt/pem_expiry.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

static uint64_t first_end(BIO *from)
{
	X509 *certificate = from ? PEM_read_bio_X509(from, NULL, NULL, NULL) : NULL;
	struct tm until;
	uint64_t until_s = 0;

	if (certificate &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &until) == 1) {
		until_s = (uint64_t)timegm(&until);
	}
	X509_free(certificate);
	BIO_free(from);
	ERR_clear_error();
	return until_s;
}

uint64_t pem_expiry_s(struct bytes pem)
{
	return pem.len > 0 && pem.len <= INT_MAX
		       ? first_end(BIO_new_mem_buf(pem.at, (int)pem.len))
		       : 0;
}

uint64_t pem_expiry_of_file_s(const char *path)
{
	return first_end(BIO_new_file(path, "r"));
}
