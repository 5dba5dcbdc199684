#include "proxy/rt/tls.h"

#include "proxy/base/memory.h"
#include "proxy/rt/tls_resume.h"
#include "proxy/rt/tls_session.h"
#include "proxy/rt/tls_ticket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIN_LEN 44 // SHA-256 in base64

struct tls_server {
	SSL_CTX **contexts; // one a certificate, the first is the default
	size_t count;
	struct tls_ticket_secret ticket_secret;
};

struct tls_client {
	SSL_CTX *context;
	struct tls_resume resume;
	char (*pins)[PIN_LEN + 1];
	size_t pin_count;
};

/* What OpenSSL complained about last, in its own words. */
static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason ? reason : "no reason given";
}

/* A file OpenSSL did not take: say so, and first whether it can be read at all. */
static bool file_failure(const char *file, const char *wanted, struct failure *failure)
{
	if (access(file, R_OK) != 0) {
		return failure_set(failure, FAILURE_PERMANENT, "%s: %s", file,
				   strerror(errno));
	}
	int first = ERR_GET_REASON(ERR_peek_error());
	if (first == PEM_R_NO_START_LINE || first == X509_R_NO_CERTIFICATE_OR_CRL_FOUND) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "%s: no %s in PEM form there", file, wanted);
	}
	return failure_set(failure, FAILURE_PERMANENT, "%s: not usable as %s: %s", file,
			   wanted, last_reason());
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

static bool use_certificate(SSL_CTX *context, const char *certificate, const char *key,
			    struct failure *failure)
{
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
		return file_failure(certificate, "certificate", failure);
	}
	bool ok = SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
	if (ok && SSL_CTX_check_private_key(context) == 1) {
		return true;
	}
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	if (ok || reason == X509_R_KEY_VALUES_MISMATCH ||
	    reason == X509_R_KEY_TYPE_MISMATCH) {
		return failure_set(
			failure, FAILURE_PERMANENT,
			"%s: this key does not belong to the certificate in %s", key,
			certificate);
	}
	return file_failure(key, "private key", failure);
}

/* What both sides have in common: idle sessions hold no buffers. */
static SSL_CTX *context_new(const SSL_METHOD *method, int minimum,
			    struct failure *failure)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(method);
	if (!context || SSL_CTX_set_min_proto_version(context, minimum) != 1) {
		SSL_CTX_free(context);
		failure_set(failure, FAILURE_PERMANENT, "OpenSSL: %s", last_reason());
		return NULL;
	}
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
					  SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	return context;
}

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

static int openssl_version(enum tls_version version)
{
	switch (version) {
	case TLS_1_0:
		return TLS1_VERSION;
	case TLS_1_2:
		return TLS1_2_VERSION;
	case TLS_1_3:
		return TLS1_3_VERSION;
	}
	return TLS1_2_VERSION;
}

static bool server_context_setup(SSL_CTX *context, struct tls_server *server,
				 const struct tls_certificate *certificate,
				 enum tls_version minimum, struct failure *failure)
{
	static const unsigned char session_id_context[] = "popbridge";
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_id_context(context, session_id_context,
				       sizeof(session_id_context) - 1);
	SSL_CTX_set_dh_auto(context, 1);
	SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
	SSL_CTX_set_tlsext_servername_arg(context, server);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	/* TLS before 1.2 signs with SHA-1, which only level 0 lets through. */
	if (minimum == TLS_1_0 &&
	    SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0") != 1) {
		return failure_set(failure, FAILURE_PERMANENT, "OpenSSL: %s",
				   last_reason());
	}
	return use_certificate(context, certificate->certificate, certificate->key,
			       failure);
}

struct tls_server *tls_server_new(const struct tls_certificate *certificates,
				  size_t count, enum tls_version minimum,
				  struct failure *failure)
{
	struct tls_server *server = memory_new(sizeof(*server));
	server->contexts = memory_new_array(count, sizeof(SSL_CTX *));
	for (; server->count < count; server->count++) {
		SSL_CTX *context = context_new(TLS_server_method(),
					       openssl_version(minimum), failure);
		if (!context ||
		    !server_context_setup(context, server, &certificates[server->count],
					  minimum, failure)) {
			SSL_CTX_free(context);
			tls_server_free(server);
			return NULL;
		}
		server->contexts[server->count] = context;
	}
	return server;
}

uint64_t tls_server_valid_until_s(const struct tls_server *server, size_t index)
{
	struct tm until;

	if (index >= server->count ||
	    ASN1_TIME_to_tm(
		    X509_get0_notAfter(SSL_CTX_get0_certificate(server->contexts[index])),
		    &until) != 1) {
		return 0;
	}
	return (uint64_t)timegm(&until);
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
		free(server);
	}
}

static bool trust(SSL_CTX *context, const char *ca_file, struct failure *failure)
{
	ERR_clear_error();
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	if (!ca_file) {
		return SSL_CTX_set_default_verify_paths(context) == 1 ||
		       failure_set(failure, FAILURE_PERMANENT,
				   "the system's CA certificates: %s", last_reason());
	}
	/* What stands in the file is trusted, be it a root or not. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
				    X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_load_verify_file(context, ca_file) == 1 ||
	       file_failure(ca_file, "CA certificate", failure);
}

static bool copy_pins(struct tls_client *client,
		      const struct tls_client_settings *settings, struct failure *failure)
{
	client->pins = memory_new_array(settings->pin_count, sizeof(*client->pins));
	client->pin_count = settings->pin_count;
	for (size_t i = 0; i < settings->pin_count; i++) {
		const char *pin = settings->pins[i];
		if (strlen(pin) != PIN_LEN) {
			return failure_set(failure, FAILURE_PERMANENT,
					   "pin \"%.50s\": not the base64 of a SHA-256",
					   pin);
		}
		memcpy(client->pins[i], pin, PIN_LEN + 1);
	}
	return true;
}

static bool client_setup(struct tls_client *client,
			 const struct tls_client_settings *settings,
			 struct failure *failure)
{
	client->context = context_new(TLS_client_method(), TLS1_2_VERSION, failure);
	if (!client->context || !trust(client->context, settings->ca_file, failure) ||
	    !copy_pins(client, settings, failure)) {
		return false;
	}
	tls_resume_setup(&client->resume, client->context);
	return !settings->client_certificate ||
	       use_certificate(client->context, settings->client_certificate,
			       settings->client_key, failure);
}

struct tls_client *tls_client_new(const struct tls_client_settings *settings,
				  struct failure *failure)
{
	struct tls_client *client = memory_new(sizeof(*client));
	if (!client_setup(client, settings, failure)) {
		tls_client_free(client);
		return NULL;
	}
	return client;
}

void tls_client_free(struct tls_client *client)
{
	if (client) {
		SSL_CTX_free(client->context);
		tls_resume_release(&client->resume);
		free(client->pins);
		free(client);
	}
}

static SSL *session_new(SSL_CTX *context, int fd, struct failure *failure)
{
	ERR_clear_error();
	SSL *ssl = SSL_new(context);
	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		failure_set(failure, FAILURE_TEMPORARY, "OpenSSL: %s", last_reason());
		return NULL;
	}
	return ssl;
}

SSL *tls_server_session(struct tls_server *server, int fd, struct failure *failure)
{
	SSL *ssl = session_new(server->contexts[0], fd, failure);
	if (ssl) {
		SSL_set_accept_state(ssl);
	}
	return ssl;
}

/* Whom the certificate has to name. */
static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr numeric;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (inet_pton(AF_INET, host, &numeric) == 1 ||
	    inet_pton(AF_INET6, host, &numeric) == 1) {
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	}
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *tls_client_session(struct tls_client *client, int fd, const char *host,
			struct failure *failure)
{
	SSL *ssl = session_new(client->context, fd, failure);
	if (!ssl) {
		return NULL;
	}
	SSL_set_connect_state(ssl);
	if (!expect_host(ssl, host)) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s: not usable as a host name: %s", host, last_reason());
		SSL_free(ssl);
		return NULL;
	}
	tls_resume_offer(&client->resume, ssl);
	return ssl;
}

/* The pin of the peer's key. */
static bool pin_of(SSL *ssl, char out[PIN_LEN + 1])
{
	unsigned char *spki = NULL;
	unsigned char digest[32];
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	int len = leaf ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &spki) : -1;
	if (len <= 0) {
		return false;
	}
	bool ok = EVP_Digest(spki, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_free(spki);
	return ok && EVP_EncodeBlock((unsigned char *)out, digest, 32) == PIN_LEN;
}

bool tls_client_pinned(const struct tls_client *client, SSL *ssl, struct failure *failure)
{
	char pin[PIN_LEN + 1] = "";
	if (client->pin_count == 0) {
		return true;
	}
	if (!pin_of(ssl, pin)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the peer shows no key to pin");
	}
	for (size_t i = 0; i < client->pin_count; i++) {
		if (strcmp(client->pins[i], pin) == 0) {
			return true;
		}
	}
	failure_set(failure, FAILURE_PERMANENT,
		    "the server's key is not pinned; its pin is %s", pin);
	return failure_advise(failure,
			      "add the pin if the server's key was changed by you");
}

/* What was verified is not asked for again, and is 6 KiB for each certificate. */
static void drop_all_but(int count, STACK_OF(X509) * chain)
{
	while (sk_X509_num(chain) > count) {
		X509_free(sk_X509_pop(chain));
	}
}

void tls_client_drop_chain(SSL *ssl)
{
	drop_all_but(1, SSL_get_peer_cert_chain(ssl)); // the server's own stays
	drop_all_but(0, SSL_get0_verified_chain(ssl));
}
