/*
 * A credential on its way upstream: destination, sign-in, snapshot, answer.
 *
 * An unknown user, an unknown route and a wrong password are answered alike.
 */
#include "proxy/session/destination.h"
#include "proxy/session/session_internal.h"

#include <inttypes.h>

SUSPENDS static bool attempt(struct session *session, enum sasl_mechanism mechanism,
			     struct bytes user, struct bytes secret,
			     struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	struct destination destination;
	bool opened;

	if (!sasl_is_safe(mechanism, user) || !sasl_is_safe(mechanism, secret) ||
	    user.len == 0 || secret.len == 0) {
		return failure_set(failure, FAILURE_AUTH,
				   "the credential is empty or holds octets that no mail "
				   "server takes");
	}
	opened = destination_find(session->service, user, &destination, failure);
	if (opened) {
		const struct maildrop_request request = {
			.upstream = destination.upstream,
			.locks = session->service->locks,
			.leftovers = session->service->leftovers,
			.mechanism = mechanism,
			.user = buffer_bytes(&destination.user),
			.secret = secret,
			.folder = destination_folder(&destination),
			.client = { stream_peer(session->client), session->id },
		};

		opened = maildrop_open(&session->maildrop, &request,
				       loop_deadline_ms(limits->upstream_sign_in_ms),
				       NULL, failure);
	}
	destination_release(&destination);
	return opened;
}

/* Guessing gets slower with every wrong password of a session. */
SUSPENDS static void delay_refusal(struct session *session, const struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	uint64_t delay_ms = limits->sign_in_delay_min_ms;

	if (failure->kind != FAILURE_AUTH) {
		return;
	}
	for (unsigned i = 0; i < session->failed_sign_ins && delay_ms < UINT32_MAX; i++) {
		delay_ms *= 2;
	}
	if (delay_ms > limits->sign_in_delay_max_ms) {
		delay_ms = limits->sign_in_delay_max_ms;
	}
	session->failed_sign_ins++;
	task_sleep_until(loop_deadline_ms(delay_ms));
}

SUSPENDS static enum next refuse(struct session *session, uint64_t since_ms,
				 const struct failure *failure)
{
	delay_refusal(session, failure);
	session->sign_in_deadline_ms += loop_now_ms() - since_ms;
	return session_count_error(session, reply_failure(session, failure));
}

SUSPENDS enum next sign_in_malformed(struct session *session)
{
	struct failure failure;

	failure_set(&failure, FAILURE_AUTH,
		    "the SASL message is malformed, or asks to act as somebody else");
	return refuse(session, loop_now_ms(), &failure);
}

SUSPENDS enum next sign_in(struct session *session, enum sasl_mechanism mechanism,
			   struct bytes user, struct bytes secret)
{
	const uint64_t since = loop_now_ms();
	struct failure failure;

	if (!attempt(session, mechanism, user, secret, &failure)) {
		return refuse(session, since, &failure);
	}
	session->signed_in = true;
	session->hash_at_start = snapshot_hash(&session->maildrop.snapshot);
	if (reply_ok(session, "%" PRIu32 " messages (%" PRIu64 " octets)",
		     session->maildrop.snapshot.count,
		     session->maildrop.snapshot.octets) != NEXT_COMMAND) {
		return NEXT_CLOSE;
	}
	return NEXT_STATE;
}
