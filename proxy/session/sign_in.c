/*
 * A credential on its way upstream: destination, sign-in, snapshot, answer.
 *
 * An unknown user, an unknown route and a wrong password are answered alike.
 */
#include "proxy/session/credential.h"
#include "proxy/session/session_internal.h"

#include <inttypes.h>

#define GRID_MS 1000
#define KEEPER_MS 5000 // a keeper that was killed is replaced well within that

SUSPENDS static bool open_maildrop(struct session *session,
				   const struct credential_said *said,
				   const struct credential *credential,
				   struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	const struct destination *destination = &credential->destination;
	const struct maildrop_request request = {
		.upstream = destination->upstream,
		.keeper = session->service->keeper,
		.account = buffer_bytes(&session->user),
		.parking = session->service->parking,
		.recent = session->service->recent,
		.indexes = session->service->indexes,
		.mechanism = credential->mechanism,
		.user = buffer_bytes(&destination->user),
		.secret = credential->secret,
		.proof = credential->registered ? said->who->secret : (struct bytes){ 0 },
		.stamp = said->stamp,
		.rights = credential->keeper.rights,
		.folder = destination_folder(destination),
		.client = { stream_peer(session->client), session->id,
			    report_is_traced(session) },
	};

	return maildrop_open(&session->maildrop, &request,
			     loop_deadline_ms(limits->upstream_sign_in_ms), NULL,
			     failure);
}

/* What its unique-ids are made by is not to be changed by mistake. */
static void note_unique_ids(const struct session *session,
			    const struct destination *destination)
{
	const struct config_route *route = destination->upstream->route;
	struct keeper_unique_ids made_by = {
		.account = buffer_bytes(&session->user),
		.routed_as = buffer_bytes(&destination->name),
		.unique_id = bytes_of(route->unique_id.text),
	};

	if (destination->folder.len == 0) {
		made_by.folder = bytes_of(route->folder);
	}
	keeper_tell_unique_ids(session->service->keeper, &made_by);
}

static enum keeper_outcome outcome_of(bool opened, const struct failure *failure)
{
	if (opened || failure->kind == FAILURE_IN_USE) {
		return KEEPER_RIGHT;
	}
	return failure->kind == FAILURE_AUTH ? KEEPER_WRONG : KEEPER_NO_ANSWER;
}

/* What the client says who it is, in whichever way. */
struct sign_in_words {
	enum sasl_mechanism mechanism;
	struct bytes user;
	struct bytes secret; // a digest, where there is a stamp
	struct bytes stamp;  // APOP
};

/* Before anything is asked upstream the keeper says whether and when it may be. */
SUSPENDS static bool attempt(struct session *session, const struct sign_in_words *words,
			     struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	const struct keeper_sign_in who = {
		.address = stream_peer(session->client),
		.shared_address = session_is_from_many(session),
		.account = words->user,
		.secret = words->secret,
		.tls = tls_of(session),
	};
	const struct credential_said said = { .who = &who,
					      .mechanism = words->mechanism,
					      .stamp = words->stamp };
	struct credential credential;
	uint64_t delay_ms = 0;
	bool opened;

	if (!sasl_is_safe(words->mechanism, words->user) ||
	    !sasl_is_safe(words->mechanism, words->secret) || words->user.len == 0 ||
	    words->secret.len == 0) {
		return failure_set(failure, FAILURE_AUTH,
				   "the credential is empty or holds octets that no mail "
				   "server takes");
	}
	if (!keeper_ask(session->service->keeper, &who, loop_deadline_ms(KEEPER_MS),
			&delay_ms, failure)) {
		if (failure->kind == FAILURE_AUTH) {
			metrics_count(METRICS_THROTTLED);
		}
		return false;
	}
	task_sleep_until(loop_deadline_ms(delay_ms));
	opened = credential_find(session->service, &said,
				 loop_deadline_ms(limits->upstream_sign_in_ms),
				 &credential, failure) &&
		 open_maildrop(session, &said, &credential, failure);
	if (opened) {
		note_unique_ids(session, &credential.destination);
	}
	credential_release(&credential);
	keeper_tell(session->service->keeper, &who, outcome_of(opened, failure));
	return opened;
}

/*
 * Refusals come on a grid of whole seconds after the try, so that their time does not
 * tell an unknown user from a wrong password. How often one may try is the keeper's word.
 */
SUSPENDS static void wait_for_grid(const struct session *session, uint64_t since_ms)
{
	const uint64_t elapsed_ms = loop_now_ms() - since_ms;

	if (session->service->config->limits.sign_in_delay_max_ms > 0) {
		task_sleep_until(since_ms + (elapsed_ms / GRID_MS + 1) * GRID_MS);
	}
}

SUSPENDS static enum next refuse(struct session *session, uint64_t since_ms,
				 const struct failure *failure)
{
	metrics_sign_in_failed(failure->kind);
	if (failure->kind == FAILURE_AUTH) {
		wait_for_grid(session, since_ms);
	}
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

/* Who still signs in the old ways is what an operator wants to know before he ends them.
 */
static void count_sign_in(const struct session *session)
{
	const enum keeper_tls tls = tls_of(session);
	struct log_line line;

	metrics_count(METRICS_SIGN_INS);
	if (!stream_is_tls(session->client)) {
		metrics_count(METRICS_SIGN_INS_WITHOUT_TLS);
	} else if (tls != KEEPER_TLS_MODERN) {
		metrics_count(METRICS_SIGN_INS_LEGACY_TLS);
	}
	if (tls != KEEPER_TLS_MODERN &&
	    report_begin(session, &line, LOG_INFO, "legacy sign-in")) {
		log_text(&line, "user", buffer_bytes(&session->user));
		log_string(&line, "tls", stream_tls_text(session->client));
		log_end(&line);
	}
}

/* LOGIN-DELAY is about the account, whichever name and folder it is reached by. */
SUSPENDS static bool is_late_enough(struct session *session, struct failure *failure)
{
	const struct maildrop *maildrop = &session->maildrop;
	const struct config_route *route = maildrop->upstream->route;
	struct buffer account;
	bool good;

	if (route->login_delay_s == 0) {
		return true;
	}
	buffer_init(&account, KEEPER_TEXT_MAX);
	good = buffer_printf(&account, "%s:%u ", route->host, route->port) &&
	       buffer_append(&account, secret_bytes(&maildrop->user)) &&
	       keeper_login(session->service->keeper, buffer_bytes(&account),
			    route->login_delay_s, loop_deadline_ms(KEEPER_MS), failure);
	buffer_release(&account);
	return good;
}

/* The password is right and the maildrop open: is it one session too many, or too soon?
 */
SUSPENDS static bool may_have_it(struct session *session, struct failure *failure)
{
	if (is_late_enough(session, failure) && admission_sign_in(session, failure)) {
		return true;
	}
	keeper_unlock(session->maildrop.lock);
	session->maildrop.lock = NULL;
	maildrop_close(&session->maildrop);
	return false;
}

SUSPENDS static enum next sign_in_with(struct session *session,
				       const struct sign_in_words *words)
{
	const uint64_t since = loop_now_ms();
	struct failure failure;

	metrics_move(&session->state, METRICS_STATE_SIGNING_IN);
	if (!attempt(session, words, &failure) || !may_have_it(session, &failure)) {
		metrics_move(&session->state, METRICS_STATE_AUTHORIZATION);
		return refuse(session, since, &failure);
	}
	metrics_move(&session->state, METRICS_STATE_TRANSACTION);
	count_sign_in(session);
	session->signed_in = true;
	session->hash_at_start = snapshot_hash(&session->maildrop.snapshot);
	if (reply_ok(session, "%" PRIu32 " messages (%" PRIu64 " octets)",
		     session->maildrop.snapshot.count,
		     session->maildrop.snapshot.octets) != NEXT_COMMAND) {
		return NEXT_CLOSE;
	}
	return NEXT_STATE;
}

SUSPENDS enum next sign_in(struct session *session, enum sasl_mechanism mechanism,
			   struct bytes user, struct bytes secret)
{
	return sign_in_with(session,
			    &(struct sign_in_words){ mechanism, user, secret, { 0 } });
}

SUSPENDS enum next sign_in_by_digest(struct session *session, struct bytes user,
				     struct bytes digest)
{
	return sign_in_with(session, &(struct sign_in_words){ SASL_PLAIN, user, digest,
							      bytes_of(session->stamp) });
}
