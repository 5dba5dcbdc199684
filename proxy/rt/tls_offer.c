#include "proxy/rt/tls_offer.h"

#include "proxy/base/memory.h"
#include "proxy/rt/tls_session.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSIONS_MAX 64
#define CIPHERS_MAX 500
#define NAME_MAX_OCTETS 255
#define PROTOCOLS_MAX 64

/* OpenSSL knows the names of those it has. */
static const char *cipher_name(SSL *ssl, uint32_t cipher, char out[12])
{
	const unsigned char octets[] = { (unsigned char)(cipher >> 8),
					 (unsigned char)cipher };
	const char *gone = tls_hello_gone_cipher(cipher);
	const SSL_CIPHER *known =
		cipher <= 0xffff && !gone ? SSL_CIPHER_find(ssl, octets) : NULL;

	if (gone || known) {
		return gone ? gone : SSL_CIPHER_get_name(known);
	}
	snprintf(out, 12, "0x%04x", cipher);
	return out;
}

static void write_ciphers(SSL *ssl, const struct tls_hello *hello, struct buffer *out)
{
	struct bytes rest = hello->ciphers;
	uint32_t cipher;
	char unknown[12];

	while (tls_hello_next_cipher(hello, &rest, &cipher)) {
		if (tls_hello_is_signal(cipher)) {
			continue;
		}
		if (out->len + 40 > out->max) {
			buffer_printf(out, " ...");
			return;
		}
		buffer_printf(out, "%s%s", out->len > 0 ? " " : "",
			      cipher_name(ssl, cipher, unknown));
	}
}

static bool shows_rsa(SSL *ssl)
{
	SSL_CTX *context = SSL_get_SSL_CTX(ssl);
	long more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST);

	while (more == 1) {
		if (EVP_PKEY_is_a(SSL_CTX_get0_privatekey(context), "RSA")) {
			return true;
		}
		more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT);
	}
	return false;
}

static void take_hello(SSL *ssl, const struct tls_client_hello *kept,
		       struct tls_offer *offer)
{
	struct tls_hello hello;

	if (!tls_hello_parse(buffer_bytes(&kept->message), kept->old_form, &hello)) {
		return;
	}
	offer->given = true;
	offer->newest = hello.newest;
	offer->hopeless = tls_hello_is_hopeless(&hello);
	offer->lacks_rsa = !shows_rsa(ssl);
	tls_hello_write_versions(&hello, &offer->versions);
	write_ciphers(ssl, &hello, &offer->ciphers);
	buffer_append(&offer->name, hello.name);
	tls_hello_write_protocols(&hello, &offer->protocols);
}

static enum tls_trouble trouble_of(SSL *ssl, bool given)
{
	const enum tls_trouble trouble = tls_handshake_trouble();

	if (BIO_number_read(SSL_get_rbio(ssl)) == 0) {
		return TLS_TROUBLE_SILENCE;
	}
	if (trouble == TLS_TROUBLE_LEFT && !given) {
		return TLS_TROUBLE_OTHER;
	}
	return trouble;
}

struct tls_offer *tls_offer_new(SSL *ssl, const struct tls_client_hello *kept)
{
	struct tls_offer *offer = memory_new(sizeof(*offer));

	buffer_init(&offer->versions, VERSIONS_MAX);
	buffer_init(&offer->ciphers, CIPHERS_MAX);
	buffer_init(&offer->name, NAME_MAX_OCTETS);
	buffer_init(&offer->protocols, PROTOCOLS_MAX);
	offer->trouble = trouble_of(ssl, kept->message.len > 0);
	take_hello(ssl, kept, offer);
	return offer;
}

void tls_offer_free(struct tls_offer *offer)
{
	if (offer) {
		buffer_release(&offer->versions);
		buffer_release(&offer->ciphers);
		buffer_release(&offer->name);
		buffer_release(&offer->protocols);
		free(offer);
	}
}

#define HELLO_KEPT 4096 // enough for any cipher list that a log line has room for

/* OpenSSL shows every message; the first from a client is its hello. */
static void keep(int writing, int version, int type, const void *octets, size_t len,
		 SSL *ssl, void *argument)
{
	struct tls_client_hello *kept = argument;
	const bool old_form = version == SSL2_VERSION && type == 0;

	(void)ssl;
	if (writing || kept->message.len > 0 ||
	    (type != SSL3_RT_HANDSHAKE && !old_form)) {
		return;
	}
	kept->old_form = old_form;
	buffer_append(&kept->message,
		      (struct bytes){ octets, len < HELLO_KEPT ? len : HELLO_KEPT });
}

void tls_client_hello_keep(SSL *ssl, struct tls_client_hello *kept)
{
	*kept = (struct tls_client_hello){ 0 };
	buffer_init(&kept->message, HELLO_KEPT);
	SSL_set_msg_callback(ssl, keep);
	SSL_set_msg_callback_arg(ssl, kept);
}

void tls_client_hello_forget(SSL *ssl, struct tls_client_hello *kept)
{
	SSL_set_msg_callback(ssl, NULL);
	SSL_set_msg_callback_arg(ssl, NULL);
	buffer_release(&kept->message);
}
