/*
 * UPDATE (RFC 1939 section 6): QUIT in TRANSACTION, and nothing else, gets here.
 */
#include "proxy/mailbox/commit.h"
#include "proxy/session/session_internal.h"

static void note_removed(struct session *session)
{
	const struct snapshot *snapshot = &session->maildrop.snapshot;

	session->removed = snapshot->deleted;
	for (uint32_t i = 0; i < snapshot->count; i++) {
		if (snapshot->messages[i].deleted) {
			session->removed_octets +=
				snapshot_octets(snapshot, &snapshot->messages[i]);
		}
	}
	metrics_add(METRICS_MESSAGES_DELETED, session->removed);
	metrics_add(METRICS_OCTETS_DELETED, session->removed_octets);
}

static const char *refusal_for(enum commit result, const struct failure *failure)
{
	if (result == COMMIT_FLAGGED) {
		return "[SYS/TEMP] messages are flagged deleted, but not removed";
	}
	return failure->kind == FAILURE_PERMANENT
		       ? "[SYS/PERM] deleted messages cannot be removed"
		       : "[SYS/TEMP] some deleted messages were not removed";
}

static void count_commit(const struct session *session, uint64_t since_ms)
{
	if (session->maildrop.snapshot.deleted > 0) {
		metrics_step(session->maildrop.upstream->metrics, METRICS_STEP_COMMIT,
			     loop_now_ms() - since_ms);
	}
}

SUSPENDS void update(struct session *session)
{
	const uint64_t since_ms = loop_now_ms();
	struct failure failure;
	enum commit result;

	metrics_move(&session->state, METRICS_STATE_UPDATE);
	session->committing = true;
	keeper_lock_keep(session->maildrop.lock);
	maildrop_settle(&session->maildrop);
	result = commit_deletions(&session->maildrop, &failure);
	count_commit(session, since_ms);
	session->committing = false;
	if (result == COMMIT_DONE) {
		maildrop_keep_changes(&session->maildrop);
		if (!session->kicked) {
			maildrop_park(&session->maildrop);
		}
	}
	/* Before the answer: the client may sign in again as soon as it has it. */
	keeper_unlock(session->maildrop.lock);
	session->maildrop.lock = NULL;
	if (result == COMMIT_DONE) {
		session->end = SESSION_QUIT;
		note_removed(session);
		reply_ok(session, "goodbye");
	} else {
		session->end = SESSION_QUIT_UNCOMMITTED;
		reply_refusal(session, refusal_for(result, &failure), &failure);
	}
}
