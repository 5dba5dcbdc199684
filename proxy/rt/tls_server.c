#include "proxy/base/memory.h"
#include "proxy/rt/tls_context.h"
#include "proxy/rt/tls_session.h"
#include "proxy/rt/tls_ticket.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * What TLS before 1.2 needs: SHA-1 signatures, which only level 0 lets through. Some of
 * its clients cannot do Diffie-Hellman with more than 1024 bits: it comes last.
 */
#define LEGACY_CIPHERS "DEFAULT:+kDHE:@SECLEVEL=0"

struct tls_server {
	SSL_CTX **contexts; // owned; one for each set of names, the first is the default
	size_t count;
	uint64_t *until_s; // owned; one for each certificate
	size_t certificate_count;
	struct tls_ticket_secret ticket_secret;
};

static int choose_certificate(SSL *ssl, int *alert, void *argument)
{
	const struct tls_server *server = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	for (size_t i = 0; name && i < server->count; i++) {
		X509 *certificate = SSL_CTX_get0_certificate(server->contexts[i]);
		if (X509_check_host(certificate, name, 0,
				    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, server->contexts[i]);
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK; // an unknown name gets the default
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *argument)
{
	static const unsigned char ours[] = { 4, 'p', 'o', 'p', '3' };
	unsigned char *chosen;
	(void)ssl;
	(void)argument;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours), in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED) {
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int oldest_version(enum tls_version minimum)
{
	switch (minimum) {
	case TLS_LEGACY:
		return TLS1_VERSION;
	case TLS_1_2:
		return TLS1_2_VERSION;
	case TLS_1_3:
		return TLS1_3_VERSION;
	}
	return TLS1_2_VERSION;
}

static SSL_CTX *server_context_new(struct tls_server *server, enum tls_version minimum,
				   struct failure *failure)
{
	static const unsigned char id[] = "popbridge";
	SSL_CTX *context =
		tls_context_new(TLS_server_method(), oldest_version(minimum), failure);
	if (!context) {
		return NULL;
	}
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1);
	SSL_CTX_set_dh_auto(context, 1);
	SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
	SSL_CTX_set_tlsext_servername_arg(context, server);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (minimum == TLS_LEGACY &&
	    SSL_CTX_set_cipher_list(context, LEGACY_CIPHERS) != 1) {
		failure_set(failure, FAILURE_PERMANENT, "OpenSSL: %s", tls_reason());
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static bool has_name(const GENERAL_NAMES *names, GENERAL_NAME *wanted)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), wanted) == 0) {
			return true;
		}
	}
	return false;
}

/* The same names, in any order; without any the subject has to be the same. */
static bool same_names(X509 *a, X509 *b)
{
	GENERAL_NAMES *of_a = X509_get_ext_d2i(a, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAMES *of_b = X509_get_ext_d2i(b, NID_subject_alt_name, NULL, NULL);
	bool same = of_a && of_b ? sk_GENERAL_NAME_num(of_a) == sk_GENERAL_NAME_num(of_b)
				 : !of_a && !of_b &&
					   X509_NAME_cmp(X509_get_subject_name(a),
							 X509_get_subject_name(b)) == 0;
	for (int i = 0; same && of_a && i < sk_GENERAL_NAME_num(of_a); i++) {
		same = has_name(of_b, sk_GENERAL_NAME_value(of_a, i));
	}
	GENERAL_NAMES_free(of_a);
	GENERAL_NAMES_free(of_b);
	return same;
}

/* Does the context show a certificate with a key of this kind already? */
static bool has_kind(SSL_CTX *context, const EVP_PKEY *key)
{
	long more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST);

	while (more == 1) {
		if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(context)) ==
		    EVP_PKEY_get_base_id(key)) {
			return true;
		}
		more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT);
	}
	return false;
}

/* The context that has the same names and lacks a key of this kind; NULL: none. */
static SSL_CTX *beside(const struct tls_server *server, const struct tls_pair *pair)
{
	for (size_t i = 0; i < server->count; i++) {
		SSL_CTX *context = server->contexts[i];

		if (same_names(SSL_CTX_get0_certificate(context), pair->leaf) &&
		    !has_kind(context, pair->key)) {
			return context;
		}
	}
	return NULL;
}

/* Unix time after which a certificate is worth nothing; 0: nobody knows. */
static uint64_t end_of(const X509 *certificate)
{
	struct tm until;
	return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &until) == 1
		       ? (uint64_t)timegm(&until)
		       : 0;
}

static bool add_pair(struct tls_server *server, const struct tls_pair *pair,
		     const struct tls_certificate *files, enum tls_version minimum,
		     struct failure *failure)
{
	SSL_CTX *context = beside(server, pair);

	if (!context) {
		context = server_context_new(server, minimum, failure);
		if (!context) {
			return false;
		}
		server->contexts[server->count++] = context;
	}
	server->until_s[server->certificate_count++] = end_of(pair->leaf);
	return tls_context_show(context, pair, files, failure);
}

struct tls_server *tls_server_new(const struct tls_certificate *certificates,
				  size_t count, enum tls_version minimum,
				  struct failure *failure)
{
	struct tls_server *server = memory_new(sizeof(*server));
	bool good = true;

	server->contexts = memory_new_array(count, sizeof(SSL_CTX *));
	server->until_s = memory_new_array(count, sizeof(*server->until_s));
	for (size_t i = 0; good && i < count; i++) {
		struct tls_pair pair;

		good = tls_pair_read(&pair, &certificates[i], failure) &&
		       add_pair(server, &pair, &certificates[i], minimum, failure);
		tls_pair_release(&pair);
	}
	if (!good) {
		tls_server_free(server);
		return NULL;
	}
	return server;
}

uint64_t tls_server_valid_until_s(const struct tls_server *server, size_t index)
{
	return index < server->certificate_count ? server->until_s[index] : 0;
}

void tls_server_share_tickets(struct tls_server *server,
			      const unsigned char secret[TLS_TICKET_SECRET_BYTES])
{
	memcpy(server->ticket_secret.octets, secret, TLS_TICKET_SECRET_BYTES);
	for (size_t i = 0; i < server->count; i++) {
		tls_ticket_setup(server->contexts[i], &server->ticket_secret);
	}
}

void tls_server_free(struct tls_server *server)
{
	if (server) {
		memory_wipe(&server->ticket_secret, sizeof(server->ticket_secret));
		for (size_t i = 0; i < server->count; i++) {
			SSL_CTX_free(server->contexts[i]);
		}
		free(server->contexts);
		free(server->until_s);
		free(server);
	}
}

SSL *tls_server_session(struct tls_server *server, int fd, struct failure *failure)
{
	SSL *ssl = tls_context_session(server->contexts[0], fd, failure);
	if (ssl) {
		SSL_set_accept_state(ssl);
	}
	return ssl;
}
