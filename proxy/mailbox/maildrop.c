/*
 * All goes well: sign in, lock, SELECT, snapshot; commands; close. What can go wrong:
 * the connection is lost between commands. Servers drop idle connections and Microsoft
 * cuts at token expiry, so that alone is no reason to end a session.
 */
#include "proxy/mailbox/maildrop_internal.h"

#include "proxy/base/log.h"

#include <inttypes.h>
#include <stdlib.h>

#define SILENCE_MS (4 * 60 * 1000)
#define KEEP_ALIVE_MS (10 * 1000) // the client waits for an answer of our own meanwhile
#define PARKED_MS 5000            // a parked connection that answers later is dead
#define SETTLE_OCTETS_MAX (256 * 1024) // reading them costs less than a new connection

static bool hides_deleted(const struct maildrop *maildrop)
{
	return maildrop->upstream->route->without_uidplus == CONFIG_LEAVE &&
	       !(maildrop->capabilities & IMAP_UIDPLUS);
}

SUSPENDS static bool select_folder(struct maildrop *maildrop, struct failure *failure)
{
	return imap_select(maildrop->imap, maildrop->folder, &maildrop->mailbox, failure);
}

SUSPENDS static bool build_snapshot(struct maildrop *maildrop, struct failure *failure)
{
	return maildrop_list(maildrop, failure) &&
	       (!hides_deleted(maildrop) ||
		snapshot_hide_deleted(&maildrop->snapshot, maildrop->imap, failure));
}

/*
 * Over the parked connection. Whatever goes wrong with it is no failure: another is
 * opened.
 */
SUSPENDS static bool list_parked(struct maildrop *maildrop, uint64_t deadline_ms)
{
	const uint64_t soon_ms = loop_deadline_ms(PARKED_MS);
	struct failure why;
	bool listed;

	imap_set_ceiling(maildrop->imap, soon_ms < deadline_ms ? soon_ms : deadline_ms);
	listed = select_folder(maildrop, &why);
	imap_set_ceiling(maildrop->imap, deadline_ms);
	if (listed && build_snapshot(maildrop, &why)) {
		return true;
	}
	log_say(LOG_DEBUG, "parked connection given up", "session %s: %s",
		maildrop->client.session_id, why.text);
	snapshot_release(&maildrop->snapshot);
	maildrop_drop_connection(maildrop);
	return false;
}

SUSPENDS static bool list_anew(struct maildrop *maildrop, struct imap_timing *timing,
			       struct failure *failure)
{
	imap_timing_enter(timing, IMAP_STAGE_SELECT);
	return select_folder(maildrop, failure) && build_snapshot(maildrop, failure);
}

SUSPENDS static bool open_whole(struct maildrop *maildrop, struct keeper_client *keeper,
				uint64_t deadline_ms, struct imap_timing *timing,
				struct failure *failure)
{
	bool listed = false;

	if (!maildrop_name(maildrop, failure)) {
		return false;
	}
	if (maildrop_has_list(maildrop)) {
		if (!maildrop_lock(maildrop, keeper, deadline_ms, failure)) {
			return false;
		}
		if (maildrop_take_list(maildrop)) { // whoever had the lock left it there
			return true;
		}
	}
	if (!allowance_permits(&maildrop->allowance, failure)) {
		return false;
	}
	if (maildrop_take_parked(maildrop)) {
		if (!maildrop->lock &&
		    !maildrop_lock(maildrop, keeper, deadline_ms, failure)) {
			return false;
		}
		imap_timing_enter(timing, IMAP_STAGE_SELECT);
		listed = list_parked(maildrop, deadline_ms);
	}
	if (!listed && (!maildrop_connect(maildrop, deadline_ms, timing, failure) ||
			(!maildrop->lock &&
			 !maildrop_lock(maildrop, keeper, deadline_ms, failure)) ||
			!list_anew(maildrop, timing, failure))) {
		return false;
	}
	imap_set_ceiling(maildrop->imap, DEADLINE_NEVER);
	return true;
}

/* What became of opening, for the metrics. */
static void count_opening(const struct maildrop *maildrop, struct imap_timing *timing,
			  bool opened, const struct failure *failure)
{
	const uint32_t route = maildrop->upstream->metrics;

	imap_timing_end(timing);
	if (opened && !maildrop->imap) {
		return; // nobody was asked
	}
	if (opened) {
		metrics_upstream_opened(route);
	} else {
		metrics_upstream_failed(route, (enum metrics_step)timing->stage,
					failure->kind);
	}
}

SUSPENDS bool maildrop_open(struct maildrop *maildrop,
			    const struct maildrop_request *request, uint64_t deadline_ms,
			    struct imap_timing *timing, struct failure *failure)
{
	const uint64_t since_ms = loop_now_ms();
	struct imap_timing own = { 0 };
	bool opened;

	*maildrop = (struct maildrop){
		.upstream = request->upstream,
		.mechanism = request->mechanism,
		.folder = memory_copy_text(bytes_of(request->folder)),
		.client = request->client,
		.keeper = request->keeper,
		.account = request->account,
		.parking = request->parking,
		.recent = request->recent,
		.indexes = request->indexes,
		.rights = request->rights,
	};
	secret_set(&maildrop->user, request->user);
	maildrop->allowance = allowance_of(request->upstream, request->user);
	secret_set(&maildrop->secret, request->secret);
	if (request->proof.len > 0) {
		secret_set(&maildrop->proof, request->proof);
		secret_set(&maildrop->stamp, request->stamp);
	}
	timing = timing ? timing : &own;
	timing->metrics = maildrop->upstream->metrics;
	opened = open_whole(maildrop, request->keeper, deadline_ms, timing, failure);
	count_opening(maildrop, timing, opened, failure);
	if (opened && !maildrop->unasked) {
		maildrop_keep_list(maildrop, since_ms);
	}
	if (!opened) {
		if (failure->kind == FAILURE_IN_USE) {
			maildrop_park(maildrop); // he will come again
		}
		maildrop_close(maildrop);
	}
	return opened;
}

bool maildrop_can_delete(const struct maildrop *maildrop, struct failure *failure)
{
	const struct config_route *route = maildrop->upstream->route;

	if (maildrop->rights & (KEEPER_NO_DELETE | KEEPER_READ_ONLY)) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the device password does not allow to delete");
		return failure_advise(failure, "popbridge account password makes one "
					       "that does");
	}
	if (maildrop->mailbox.read_only || !maildrop->mailbox.deletable) {
		failure_set(failure, FAILURE_PERMANENT,
			    maildrop->mailbox.read_only
				    ? "the folder is read-only"
				    : "the folder does not allow \\Deleted to be set");
		return failure_advise(
			failure, "the account needs the right to delete in this folder");
	}
	if (route->without_uidplus == CONFIG_NEVER &&
	    !(maildrop->capabilities & IMAP_UIDPLUS)) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the server has no UIDPLUS and without-uidplus is never");
		return failure_advise(failure,
				      "delete with another client, or choose leave "
				      "or careful");
	}
	return true;
}

/*
 * A sign-in that worked and now does not is no reason to ask anybody for a password; the
 * next sign-in asks the server first, and tells.
 */
static bool soften(const struct maildrop *maildrop, struct failure *failure)
{
	if (failure->kind == FAILURE_AUTH) {
		failure->kind = FAILURE_TEMPORARY;
	}
	return failure_prefix(failure,
			      maildrop->unasked
				      ? "asking the IMAP server, after a sign-in that "
					"was spared that (min-poll)"
				      : "reconnecting to the IMAP server");
}

/* As list_parked(), for a list that is there. */
SUSPENDS static bool reopen_parked(struct maildrop *maildrop)
{
	struct failure why;

	if (!maildrop_take_parked(maildrop)) {
		return false;
	}
	imap_set_ceiling(maildrop->imap, loop_deadline_ms(PARKED_MS));
	if (select_folder(maildrop, &why) &&
	    snapshot_verify(&maildrop->snapshot, maildrop->imap, &maildrop->mailbox,
			    &why)) {
		imap_set_ceiling(maildrop->imap, DEADLINE_NEVER);
		return true;
	}
	maildrop_drop_connection(maildrop);
	return false;
}

SUSPENDS static bool reopen_whole(struct maildrop *maildrop, struct imap_timing *timing,
				  struct failure *failure)
{
	const uint64_t limit_ms = maildrop->upstream->limits->upstream_sign_in_ms;
	const uint64_t deadline_ms = loop_deadline_ms(limit_ms);

	if (!allowance_permits(&maildrop->allowance, failure)) {
		return false;
	}
	if (reopen_parked(maildrop)) {
		return true;
	}
	if ((maildrop->proof.len > 0 &&
	     !maildrop_renew_secret(maildrop, KEEPER_PROVE_PASSWORD, deadline_ms,
				    failure)) ||
	    !maildrop_connect(maildrop, deadline_ms, timing, failure)) {
		return false;
	}
	imap_timing_enter(timing, IMAP_STAGE_SELECT);
	if (!select_folder(maildrop, failure) ||
	    !snapshot_verify(&maildrop->snapshot, maildrop->imap, &maildrop->mailbox,
			     failure)) {
		return false;
	}
	imap_set_ceiling(maildrop->imap, DEADLINE_NEVER);
	return true;
}

SUSPENDS static bool reopen(struct maildrop *maildrop, struct failure *failure)
{
	struct imap_timing timing = { 0 };
	const bool opened = reopen_whole(maildrop, &timing, failure);

	count_opening(maildrop, &timing, opened, failure);
	if (opened && !maildrop->unasked) {
		maildrop->reconnects++;
		metrics_count(METRICS_RECONNECTS);
	}
	return opened;
}

/*
 * Something arrived unasked: a change of the folder, or the server's goodbye. NOOP tells
 * which, and is safe to lose.
 */
SUSPENDS static bool still_there(struct maildrop *maildrop, bool ask)
{
	struct failure ignored;

	if (!maildrop->imap || imap_is_lost(maildrop->imap)) {
		return false;
	}
	if (!ask && imap_is_expecting(maildrop->imap)) {
		return true; // reading on will tell
	}
	return (!ask && imap_is_quiet(maildrop->imap)) ||
	       imap_noop(maildrop->imap, &ignored) || !imap_is_lost(maildrop->imap);
}

/* The server may change it under a folder that is open (RFC 9051 2.3.1.1). */
SUSPENDS static bool means_the_same(struct maildrop *maildrop, struct failure *failure)
{
	const uint32_t now = imap_uidvalidity(maildrop->imap);

	if (now == maildrop->snapshot.uidvalidity) {
		return true;
	}
	maildrop_drop_connection(maildrop);
	return failure_set(failure, FAILURE_TEMPORARY,
			   "UIDVALIDITY changed from %" PRIu32 " to %" PRIu32
			   " during the session",
			   maildrop->snapshot.uidvalidity, now);
}

SUSPENDS static bool ensure(struct maildrop *maildrop, bool ask, struct failure *failure)
{
	if (still_there(maildrop, ask)) {
		return means_the_same(maildrop, failure);
	}
	maildrop_drop_connection(maildrop);
	if (!reopen(maildrop, failure)) {
		maildrop_drop_connection(maildrop);
		maildrop_forget_list(maildrop);
		return soften(maildrop, failure);
	}
	maildrop->unasked = false;
	return true;
}

SUSPENDS bool maildrop_ensure(struct maildrop *maildrop, struct failure *failure)
{
	return ensure(maildrop, false, failure);
}

/*
 * Servers without UIDPLUS may write a folder back the way it was when it was opened (GNU
 * imap4d), over what arrived since: they are to read it once more before that.
 */
SUSPENDS static bool select_again(struct maildrop *maildrop, struct failure *failure)
{
	if (select_folder(maildrop, failure) &&
	    snapshot_is_of(&maildrop->snapshot, &maildrop->mailbox, failure)) {
		return true;
	}
	maildrop_drop_connection(maildrop);
	return false;
}

SUSPENDS bool maildrop_ensure_current(struct maildrop *maildrop, struct failure *failure)
{
	maildrop_settle(maildrop);
	return ensure(maildrop, true, failure) &&
	       (maildrop->capabilities & IMAP_UIDPLUS || select_again(maildrop, failure));
}

SUSPENDS void maildrop_drop_connection(struct maildrop *maildrop)
{
	imap_close(maildrop->imap);
	maildrop->imap = NULL;
}

SUSPENDS void maildrop_settle(struct maildrop *maildrop)
{
	struct failure ignored;

	if (maildrop->imap && (imap_body_announced(maildrop->imap) > SETTLE_OCTETS_MAX ||
			       !imap_body_settle(maildrop->imap, &ignored))) {
		maildrop_drop_connection(maildrop);
	}
}

uint64_t maildrop_stale_ms(const struct maildrop *maildrop)
{
	return maildrop->imap ? prefetch_stale_ms(&maildrop->prefetch, maildrop->imap,
						  maildrop->upstream->limits->command_ms)
			      : DEADLINE_NEVER;
}

SUSPENDS void maildrop_keep_alive(struct maildrop *maildrop)
{
	struct failure ignored;

	if (loop_now_ms() >= maildrop_stale_ms(maildrop)) {
		maildrop_settle(maildrop);
	}
	if (maildrop->imap && !imap_is_lost(maildrop->imap) &&
	    loop_now_ms() - imap_last_heard_ms(maildrop->imap) >= SILENCE_MS) {
		imap_set_ceiling(maildrop->imap, loop_deadline_ms(KEEP_ALIVE_MS));
		imap_noop(maildrop->imap, &ignored);
		imap_set_ceiling(maildrop->imap, DEADLINE_NEVER);
	}
}

void maildrop_rest(struct maildrop *maildrop)
{
	if (maildrop->imap) {
		imap_rest(maildrop->imap);
	}
}

SUSPENDS void maildrop_close(struct maildrop *maildrop)
{
	maildrop_drop_connection(maildrop);
	keeper_unlock(maildrop->lock);
	snapshot_release(&maildrop->snapshot);
	secret_release(&maildrop->stamp);
	secret_release(&maildrop->proof);
	secret_release(&maildrop->secret);
	secret_release(&maildrop->user);
	free(maildrop->exact_name);
	free(maildrop->name);
	free(maildrop->folder);
	*maildrop = (struct maildrop){ 0 };
}
