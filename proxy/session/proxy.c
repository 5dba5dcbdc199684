/*
 * The PROXY header: a listener with proxy-from is reached through a balancer only, and
 * the balancer says first who the client is. Then that client's address is the session's
 * peer for every purpose.
 *
 * Whether a header is due is the configuration's word, never guessed: a connection from
 * elsewhere is refused (it came around the balancer, or would forge a header), and so is
 * one from a balancer that does not begin with a header within 5 s. Not an octet behind
 * the header is read here: TLS may begin there.
 */
#include "protocol/proxy_header.h"
#include "proxy/session/session_internal.h"

#define HEADER_MS 5000

static bool refuse(struct session *session, const char *why)
{
	struct failure failure;

	session->end = SESSION_PROXY_REFUSED;
	failure_set(&failure, FAILURE_PROTOCOL, "%s", why);
	report_failure(session, LOG_INFO, "PROXY header refused", &failure);
	return false;
}

/* No header came to its end. */
static bool refuse_missing(struct session *session, const struct failure *failure)
{
	const bool nothing = stream_octets_in(session->client) == 0;

	if (failure->kind == FAILURE_TIMEOUT) {
		return refuse(session, nothing ? "no PROXY header came within 5 seconds; "
						 "does the balancer send one?"
					       : "the PROXY header was not complete "
						 "within 5 seconds");
	}
	if (failure->kind != FAILURE_CANCELLED && !nothing) {
		return refuse(session, "the connection ended within the PROXY header");
	}
	session_client_failed(session, failure); // such as a balancer's look at the port
	return false;
}

/* LOCAL is the balancer's own connection, so the peer is right already. */
static void take_peer(struct session *session, const struct proxy_header *header)
{
	struct address peer;

	session->peer_hidden = !header->is_local && !header->has_address;
	if (header->has_address) {
		address_from_octets(header->source.address,
				    header->family == PROXY_HEADER_IPV4 ? 4 : 16,
				    header->source.port, &peer);
		stream_set_peer(session->client, &peer);
		report_peer(session);
	}
}

SUSPENDS static bool read_header(struct session *session)
{
	const uint64_t deadline_ms = loop_deadline_ms(HEADER_MS);
	enum proxy_header_result result;
	struct proxy_header header;
	struct failure failure;
	size_t consumed = 0;

	while ((result = proxy_header_parse(stream_input(session->client), &consumed,
					    &header)) == PROXY_HEADER_NEED_MORE) {
		const size_t wanted = proxy_header_wanted(stream_input(session->client));

		if (!stream_fill_at_most(session->client, wanted, deadline_ms,
					 &failure)) {
			return refuse_missing(session, &failure);
		}
	}
	if (result == PROXY_HEADER_MALFORMED) {
		return refuse(session, "the connection does not begin with a valid PROXY "
				       "header; does the balancer send one?");
	}
	stream_consume(session->client, consumed);
	take_peer(session, &header);
	return true;
}

SUSPENDS bool proxy_receive(struct session *session)
{
	const struct config_networks *balancers = &session->listener->proxy_from;

	if (balancers->count == 0) {
		return true;
	}
	if (!config_networks_contain(balancers, stream_peer(session->client))) {
		return refuse(session, "not in the listener's proxy-from, so not one of "
				       "the balancers it is reached through");
	}
	return read_header(session);
}
