/*
 * A stream's TLS begins. What can go wrong: the handshake, the certificate, octets ahead
 * of it.
 */
#include "proxy/rt/stream_internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

/* OpenSSL's, for each message of the handshake protocol in either direction. What the
 * peer sends besides data is counted once the handshake is done. */
static void on_tls_message(int is_ours, int version, int type, const void *at, size_t len,
			   SSL *ssl, void *argument)
{
	struct stream *stream = argument;
	const unsigned char *message = at;

	(void)version;
	(void)ssl;
	if (!is_ours && type == SSL3_RT_HANDSHAKE && len > 0 &&
	    (message[0] == SSL3_MT_KEY_UPDATE ||
	     message[0] == SSL3_MT_NEWSESSION_TICKET)) {
		stream->asides++;
	}
}

static void count_asides(struct stream *stream)
{
	SSL_set_msg_callback(stream->ssl, on_tls_message);
	SSL_set_msg_callback_arg(stream->ssl, stream);
}

/* OpenSSL tells by itself what it waits for; a failure is explained for operators. */
static SUSPENDS bool handshake(struct stream *stream, const char *host,
			       uint64_t deadline_ms, struct failure *failure)
{
	while (stream_may_go_on(deadline_ms, failure)) {
		ERR_clear_error();
		int result = SSL_do_handshake(stream->ssl);
		int error = errno;
		if (result == 1) {
			return true;
		}
		int wanted = SSL_get_error(stream->ssl, result);
		if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) {
			stream->is_broken = true;
			return tls_handshake_failure(stream->ssl, result, error, host,
						     failure);
		}
		int events = wanted == SSL_ERROR_WANT_READ ? UV_READABLE : UV_WRITABLE;
		if (!stream_wait_for(stream, events, deadline_ms, failure)) {
			return failure_prefix(failure, "TLS handshake");
		}
	}
	return false;
}

static bool is_clean_for_tls(const struct stream *stream, struct failure *failure)
{
	return stream_input(stream).len == 0 ||
	       failure_set(failure, FAILURE_PROTOCOL, "plaintext was sent ahead of TLS");
}

static void describe(struct stream *stream)
{
	int len =
		snprintf(stream->tls_text, sizeof(stream->tls_text), "%s %s",
			 SSL_get_version(stream->ssl), SSL_get_cipher_name(stream->ssl));
	assert(len > 0 && (size_t)len < sizeof(stream->tls_text));
	(void)len;
}

SUSPENDS bool stream_accept_tls(struct stream *stream, struct tls_server *server,
				uint64_t deadline_ms, struct failure *failure)
{
	assert(!stream->ssl && stream_pending(stream) == 0);
	if (!is_clean_for_tls(stream, failure)) {
		return false;
	}
	struct tls_client_hello hello;
	stream->ssl = tls_server_session(server, stream->fd, failure);
	if (!stream->ssl) {
		return false;
	}
	tls_client_hello_keep(stream->ssl, &hello);
	bool good = handshake(stream, NULL, deadline_ms, failure);
	if (good) {
		describe(stream);
	} else {
		stream->tls_offer = tls_offer_new(stream->ssl, &hello);
	}
	tls_client_hello_forget(stream->ssl, &hello);
	count_asides(stream);
	return good;
}

const struct tls_offer *stream_tls_offer(const struct stream *stream)
{
	return stream->tls_offer;
}

SUSPENDS bool stream_connect_tls(struct stream *stream, struct tls_client *client,
				 const char *host, uint64_t deadline_ms,
				 struct failure *failure)
{
	assert(!stream->ssl && stream_pending(stream) == 0);
	if (!is_clean_for_tls(stream, failure)) {
		return false;
	}
	stream->ssl = tls_client_session(client, stream->fd, host, failure);
	if (!stream->ssl || !handshake(stream, host, deadline_ms, failure) ||
	    !tls_client_pinned(client, stream->ssl, failure)) {
		return false;
	}
	tls_client_drop_chain(stream->ssl);
	count_asides(stream);
	describe(stream);
	return true;
}

bool stream_is_tls(const struct stream *stream)
{
	return stream->tls_text[0] != '\0';
}

const char *stream_tls_text(const struct stream *stream)
{
	return stream_is_tls(stream) ? stream->tls_text : "none";
}
