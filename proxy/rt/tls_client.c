#include "proxy/base/memory.h"
#include "proxy/rt/tls_context.h"
#include "proxy/rt/tls_resume.h"
#include "proxy/rt/tls_session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define PIN_LEN 44 // SHA-256 in base64

struct tls_client {
	SSL_CTX *context;
	struct tls_resume resume;
	char (*pins)[PIN_LEN + 1];
	size_t pin_count;
};

static bool trust(SSL_CTX *context, const char *ca_file, struct failure *failure)
{
	ERR_clear_error();
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	if (!ca_file) {
		return SSL_CTX_set_default_verify_paths(context) == 1 ||
		       failure_set(failure, FAILURE_PERMANENT,
				   "the system's CA certificates: %s", tls_reason());
	}
	/* What stands in the file is trusted, be it a root or not. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
				    X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_load_verify_file(context, ca_file) == 1 ||
	       tls_file_failure(ca_file, "CA certificate", failure);
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

static bool show(SSL_CTX *context, const struct tls_client_settings *settings,
		 struct failure *failure)
{
	const struct tls_certificate files = { settings->client_certificate,
					       settings->client_key };
	struct tls_pair pair;
	bool good = tls_pair_read(&pair, &files, failure) &&
		    tls_context_show(context, &pair, &files, failure);

	tls_pair_release(&pair);
	return good;
}

static bool client_setup(struct tls_client *client,
			 const struct tls_client_settings *settings,
			 struct failure *failure)
{
	client->context = tls_context_new(TLS_client_method(), TLS1_2_VERSION, failure);
	if (!client->context ||
	    (!settings->any_certificate &&
	     !trust(client->context, settings->ca_file, failure)) ||
	    !copy_pins(client, settings, failure)) {
		return false;
	}
	tls_resume_setup(&client->resume, client->context);
	return !settings->client_certificate || show(client->context, settings, failure);
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
	SSL *ssl = tls_context_session(client->context, fd, failure);
	if (!ssl) {
		return NULL;
	}
	SSL_set_connect_state(ssl);
	if (!expect_host(ssl, host)) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s: not usable as a host name: %s", host, tls_reason());
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
