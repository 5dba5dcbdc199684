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

enum keeper_tls tls_of(const struct session *session)
{
	const struct bytes tls = bytes_of(stream_tls_text(session->client));

	if (!stream_is_tls(session->client)) {
		return config_is_for_this_host(session->listener) ? KEEPER_TLS_MODERN
								  : KEEPER_NO_TLS;
	}
	if (bytes_has_prefix(tls, "TLSV1 ")) {
		return KEEPER_TLS_1_0;
	}
	return bytes_has_prefix(tls, "TLSV1.1 ") ? KEEPER_TLS_1_1 : KEEPER_TLS_MODERN;
}

#define ONLY_WITHOUT_TLS                                                                 \
	"it can only come without TLS: name its network in plain-from of a listener "    \
	"with tls: none or starttls, and turn TLS off in it"

/* No version in common. */
static bool explain_version(const struct tls_offer *offer, struct failure *failure)
{
	char unknown[8];

	if (!offer->given || offer->newest > TLS_HELLO_1_2) {
		return false;
	}
	failure_set(
		failure, failure->kind,
		"TLS handshake: no TLS version in common: the client knows %s at most",
		tls_hello_version_name(offer->newest, unknown));
	if (offer->newest < TLS_HELLO_1_0) {
		return failure_advise(failure, ONLY_WITHOUT_TLS);
	}
	if (offer->newest == TLS_HELLO_1_2) {
		return failure_advise(failure, "tls.minimum: \"1.2\" lets it in");
	}
	if (offer->hopeless) {
		return failure_advise(failure, ONLY_WITHOUT_TLS);
	}
	return failure_advise(failure, "bring it to TLS 1.2, or name its network in the "
				       "listener's legacy-tls-from");
}

/* No cipher in common. */
static bool explain_cipher(const struct tls_offer *offer, struct failure *failure)
{
	if (offer->hopeless) {
		failure_set(failure, failure->kind,
			    "TLS handshake: no cipher in common: the client knows only "
			    "such as RC4 and 3DES, which are no longer there");
		return failure_advise(failure, ONLY_WITHOUT_TLS);
	}
	if (offer->lacks_rsa) {
		return failure_advise(failure,
				      "it may be too old for ECDSA: show an RSA "
				      "certificate for the same names beside it");
	}
	return failure_advise(failure,
			      "see offered_ciphers; where it is old, its network "
			      "may be named in legacy-tls-from");
}

/* Nothing, or something else than TLS. */
static bool explain_no_tls(const struct session *session, struct failure *failure)
{
	const bool at_once = session->listener->tls == CONFIG_TLS_IMPLICIT;
	const bool silence = failure->kind == FAILURE_TIMEOUT;

	if (silence) {
		failure_set(
			failure, failure->kind,
			at_once ? "the client sent nothing: one that is set to no "
				  "encryption or STARTTLS waits for a greeting, which "
				  "comes within TLS on this port"
				: "the client said STLS and then nothing");
	} else {
		failure_set(failure, failure->kind,
			    at_once ? "plain text on a port for TLS: the client does not "
				      "speak TLS on this port"
				    : "plain text after STLS: the client does not begin "
				      "with TLS");
	}
	return failure_advise(failure, at_once ? "set it to SSL/TLS, or to the port for "
						 "STARTTLS or no encryption (110)"
					       : NULL);
}

/* What it means and what to do, where that can be said. */
static void explain(const struct session *session, const struct tls_offer *offer,
		    struct failure *failure)
{
	switch (offer->trouble) {
	case TLS_TROUBLE_OTHER:
		return;
	case TLS_TROUBLE_SILENCE:
		if (failure->kind != FAILURE_TIMEOUT) {
			return;
		}
		// fallthrough
	case TLS_TROUBLE_NO_TLS:
		explain_no_tls(session, failure);
		return;
	case TLS_TROUBLE_VERSION:
		explain_version(offer, failure);
		return;
	case TLS_TROUBLE_CIPHER:
		explain_cipher(offer, failure);
		return;
	case TLS_TROUBLE_DISTRUST:
		failure_prefix(failure, "the client does not accept our certificate");
		failure_advise(
			failure,
			"show one, with its chain, of an authority the client knows and "
			"for the name it connects to; or let the client accept this one");
		return;
	case TLS_TROUBLE_LEFT:
		failure_advise(failure, "if it always does: it may not accept our "
					"certificate, or no version or cipher we offer");
		return;
	}
}

static void log_offer(const struct tls_offer *offer, struct log_line *line)
{
	if (offer && offer->given) {
		log_text(line, "offered_versions", buffer_bytes(&offer->versions));
		log_text(line, "offered_ciphers", buffer_bytes(&offer->ciphers));
		log_text(line, "offered_name", buffer_bytes(&offer->name));
		log_text(line, "offered_protocols", buffer_bytes(&offer->protocols));
	}
}

/* Who came and went without an octet looked at the port, and is not worth a line. */
static enum log_level level_of(const struct tls_offer *offer,
			       const struct failure *failure)
{
	return offer && offer->trouble == TLS_TROUBLE_SILENCE &&
			       failure->kind != FAILURE_TIMEOUT
		       ? LOG_DEBUG
		       : LOG_INFO;
}

static void log_failure(const struct session *session, const struct failure *failure)
{
	const struct tls_offer *offer = stream_tls_offer(session->client);
	struct log_line line;

	if (!report_begin(session, &line, level_of(offer, failure), "TLS failed")) {
		return;
	}
	log_string(&line, "cause", failure->text);
	if (failure->advice) {
		log_string(&line, "advice", failure->advice);
	}
	log_offer(offer, &line);
	log_end(&line);
}

enum next tls_broken(struct session *session, const struct failure *failure)
{
	session->end = SESSION_TLS_FAILED;
	log_failure(session, failure);
	return NEXT_CLOSE;
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
	if (failure.kind == FAILURE_CANCELLED) {
		session_client_failed(session, &failure);
		return false;
	}
	session->end = SESSION_TLS_FAILED;
	if (stream_tls_offer(session->client)) {
		explain(session, stream_tls_offer(session->client), &failure);
	}
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
