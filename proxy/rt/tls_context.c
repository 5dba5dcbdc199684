#include "proxy/rt/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason ? reason : "no reason given";
}

/* First whether it can be read at all. */
bool tls_file_failure(const char *file, const char *wanted, struct failure *failure)
{
	if (faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) != 0) {
		return failure_set(failure, FAILURE_PERMANENT, "%s: %s", file,
				   strerror(errno));
	}
	int first = ERR_GET_REASON(ERR_peek_error());
	if (first == PEM_R_NO_START_LINE || first == X509_R_NO_CERTIFICATE_OR_CRL_FOUND) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "%s: no %s in PEM form there", file, wanted);
	}
	return failure_set(failure, FAILURE_PERMANENT, "%s: not usable as %s: %s", file,
			   wanted, tls_reason());
}

SSL_CTX *tls_context_new(const SSL_METHOD *method, int minimum, struct failure *failure)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(method);
	if (!context || SSL_CTX_set_min_proto_version(context, minimum) != 1) {
		SSL_CTX_free(context);
		failure_set(failure, FAILURE_PERMANENT, "OpenSSL: %s", tls_reason());
		return NULL;
	}
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
					  SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* So that SSL_read() comes back to us between messages that carry no data. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	return context;
}

SSL *tls_context_session(SSL_CTX *context, int fd, struct failure *failure)
{
	ERR_clear_error();
	SSL *ssl = SSL_new(context);
	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		failure_set(failure, FAILURE_TEMPORARY, "OpenSSL: %s", tls_reason());
		return NULL;
	}
	return ssl;
}

/* Nobody is there to be asked. */
static int no_passphrase(char *buffer, int size, int writing, void *argument)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)argument;
	return 0;
}

/* The certificates of a PEM text, leaf first; whatever else stands there is skipped. */
static bool read_chain(BIO *text, struct tls_pair *pair)
{
	X509 *next;

	pair->leaf = PEM_read_bio_X509_AUX(text, NULL, no_passphrase, NULL);
	pair->chain = sk_X509_new_null();
	if (!pair->leaf || !pair->chain) {
		return false;
	}
	while ((next = PEM_read_bio_X509(text, NULL, no_passphrase, NULL))) {
		if (!sk_X509_push(pair->chain, next)) {
			X509_free(next);
			return false;
		}
	}
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; // its end
}

bool tls_pair_read(struct tls_pair *pair, const struct tls_certificate *files,
		   struct failure *failure)
{
	bool good;

	*pair = (struct tls_pair){ 0 };
	ERR_clear_error();
	BIO *text = BIO_new_file(files->certificate, "r");
	good = text && read_chain(text, pair);
	BIO_free(text);
	if (!good) {
		return tls_file_failure(files->certificate, "certificate", failure);
	}
	ERR_clear_error();
	text = BIO_new_file(files->key, "r");
	pair->key =
		text ? PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL) : NULL;
	BIO_free(text);
	return pair->key || tls_file_failure(files->key, "private key", failure);
}

void tls_pair_release(struct tls_pair *pair)
{
	X509_free(pair->leaf);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
	*pair = (struct tls_pair){ 0 };
}

bool tls_context_show(SSL_CTX *context, const struct tls_pair *pair,
		      const struct tls_certificate *files, struct failure *failure)
{
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(context, pair->leaf, pair->key, pair->chain, 1) ==
	    1) {
		return true;
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PRIVATE_KEY_MISMATCH) {
		return failure_set(
			failure, FAILURE_PERMANENT,
			"%s: this key does not belong to the certificate in %s",
			files->key, files->certificate);
	}
	return tls_file_failure(files->certificate, "certificate", failure);
}
