/*
 * A maildrop's way to the server: signed in with what the client said, or with what the
 * keeper has for a registered account.
 */
#include "proxy/mailbox/maildrop_internal.h"

#define ROOM_MS 5000
#define ROOM_LOOK_MS 100

/* An account that has too many costs nobody else what is parked. */
static void make_way(const struct maildrop *maildrop, enum allowance_verdict verdict)
{
	if (!maildrop->parking) {
		return;
	}
	if (verdict == ALLOWANCE_SERVER_CROWDED) {
		parking_make_way(maildrop->parking, maildrop->upstream,
				 (struct bytes){ 0 });
	} else if (verdict == ALLOWANCE_ACCOUNT_CROWDED) {
		parking_make_way(maildrop->parking, maildrop->upstream,
				 secret_bytes(&maildrop->user));
	}
}

/* By the route's limits: it may pass soon, and what is parked makes way. */
SUSPENDS static bool wait_for_room(struct maildrop *maildrop, uint64_t deadline_ms,
				   struct failure *failure)
{
	const uint64_t soon_ms = loop_deadline_ms(ROOM_MS);
	const uint64_t until_ms = soon_ms < deadline_ms ? soon_ms : deadline_ms;
	enum allowance_verdict verdict;

	while ((verdict = allowance_judge(&maildrop->allowance, failure)) !=
	       ALLOWANCE_GOOD) {
		make_way(maildrop, verdict);
		if (loop_now_ms() >= until_ms ||
		    !task_sleep_until(loop_deadline_ms(ROOM_LOOK_MS))) {
			metrics_upstream_held_back(maildrop->upstream->metrics);
			return false;
		}
	}
	return true;
}

SUSPENDS static bool sign_in_upstream(struct maildrop *maildrop, uint64_t deadline_ms,
				      struct imap_timing *timing, struct failure *failure)
{
	const struct imap_credential credential = {
		.mechanism = maildrop->mechanism,
		.user = secret_bytes(&maildrop->user),
		.secret = secret_bytes(&maildrop->secret),
	};

	if (!wait_for_room(maildrop, deadline_ms, failure)) {
		return false;
	}
	maildrop->imap = imap_open(maildrop->upstream, &credential, &maildrop->client,
				   deadline_ms, timing, failure);
	if (!maildrop->imap) {
		return false;
	}
	maildrop->verified_ms = loop_now_ms();
	maildrop->capabilities = imap_capabilities(maildrop->imap);
	return true;
}

/* A registered account's secret as it is now: tokens have an end. */
SUSPENDS bool maildrop_renew_secret(struct maildrop *maildrop, enum keeper_prove how,
				    uint64_t deadline_ms, struct failure *failure)
{
	const struct keeper_sign_in who = { .address = maildrop->client.address,
					    .account = maildrop->account,
					    .secret = secret_bytes(&maildrop->proof) };
	struct keeper_credential credential;
	const enum keeper_proof proof =
		keeper_prove(maildrop->keeper, &who, how, secret_bytes(&maildrop->stamp),
			     deadline_ms, &credential, failure);

	if (proof == KEEPER_PROVEN) {
		secret_release(&maildrop->secret);
		maildrop->secret = credential.secret;
		credential.secret = (struct secret){ 0 };
	} else if (proof == KEEPER_UNREGISTERED) {
		failure_set(failure, FAILURE_TEMPORARY, "the account was removed");
	}
	keeper_credential_release(&credential);
	return proof == KEEPER_PROVEN;
}

/*
 * A token may be refused though it has not ended: taken back, or cut short by the
 * provider. Then there is one more try with another. What is refused after that is not
 * the client's password.
 */
SUSPENDS bool maildrop_connect(struct maildrop *maildrop, uint64_t deadline_ms,
			       struct imap_timing *timing, struct failure *failure)
{
	if (sign_in_upstream(maildrop, deadline_ms, timing, failure)) {
		return true;
	}
	if (failure->kind != FAILURE_AUTH || maildrop->proof.len == 0) {
		return false;
	}
	if (maildrop->mechanism != SASL_PLAIN) {
		if (!maildrop_renew_secret(maildrop, KEEPER_PROVE_ANEW, deadline_ms,
					   failure)) {
			return false;
		}
		if (sign_in_upstream(maildrop, deadline_ms, timing, failure)) {
			return true;
		}
	}
	if (failure->kind == FAILURE_AUTH) {
		failure->kind = FAILURE_PERMANENT;
		failure_prefix(failure, "the server refuses what is stored for the "
					"account");
		failure_advise(failure, "popbridge account show says how the account "
					"stands and what mends it");
	}
	return false;
}
