/*
 * TLS with the client: who may speak which versions, and what a handshake that failed
 * means in plain words.
 */
#include "proxy/session/session_internal.h"

#define TLS_HANDSHAKE_RECORD 0x16 // the first octet of a ClientHello (RFC 8446 5.1)

static bool is_from(const struct session *session, const struct config_networks *networks)
{
	return !session->peer_hidden &&
	       config_networks_contain(networks, stream_peer(session->client));
}

/* Without TLS only where the listener or the network says so (RFC 8314). */
bool session_allows_password(const struct session *session)
{
	const struct config_listener *listener = session->listener;

	return stream_is_tls(session->client) || config_is_for_this_host(listener) ||
	       is_from(session, &listener->plain_from);
}

bool tls_is_legacy(const struct session *session)
{
	const struct bytes text = bytes_of(stream_tls_text(session->client));

	return bytes_has_prefix(text, "TLSV1 ") || bytes_has_prefix(text, "TLSV1.1 ");
}

static void log_failure(const struct session *session, const struct failure *failure)
{
	struct log_line line;

	if (!log_begin(&line, LOG_INFO, "TLS failed")) {
		return;
	}
	log_string(&line, "session", session->id);
	log_string(&line, "peer", session->peer);
	log_string(&line, "cause", failure->text);
	if (failure->advice) {
		log_string(&line, "advice", failure->advice);
	}
	log_end(&line);
}

/* The context is the peer's: what one network may, nobody else gets by any handshake. */
static struct tls_server *server_for(const struct session *session)
{
	const struct service *service = session->service;
	const struct service_tls *tls =
		&service->tls[session->listener - service->config->listeners];

	return is_from(session, &session->listener->legacy_tls_from) ? tls->legacy
								     : tls->strict;
}

SUSPENDS bool tls_start(struct session *session)
{
	const struct config_limits *limits = &session->service->config->limits;
	struct failure failure;

	if (stream_accept_tls(session->client, server_for(session),
			      loop_deadline_ms(limits->tls_ms), &failure)) {
		return true;
	}
	session->end = SESSION_TLS_FAILED;
	log_failure(session, &failure);
	return false;
}

/* A client set to TLS on a port that begins without: the commonest wrong setting. */
bool tls_is_begun_too_early(struct session *session, struct bytes input)
{
	struct failure failure;

	if (input.len == 0 || input.at[0] != TLS_HANDSHAKE_RECORD ||
	    session->line.len > 0 || stream_is_tls(session->client)) {
		return false;
	}
	session->end = SESSION_TLS_FAILED;
	failure_set(&failure, FAILURE_PROTOCOL,
		    "the client begins with TLS on a port that begins without");
	failure_advise(&failure,
		       "set the client to STARTTLS (STLS), or to the port for TLS (995)");
	log_failure(session, &failure);
	return true;
}
