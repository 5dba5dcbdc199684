/*
 * UPDATE (RFC 1939 section 6): QUIT in TRANSACTION, and nothing else, gets here.
 */
#include "proxy/session/session_internal.h"

#include "proxy/mailbox/commit.h"

SUSPENDS void update(struct session *session)
{
	const uint32_t marked = session->maildrop.snapshot.deleted;
	struct failure failure;
	bool done;

	session->committing = true;
	done = commit(&session->maildrop, &failure);
	session->committing = false;
	/* Before the answer: the client may sign in again as soon as it has it. */
	lock_give_back(session->maildrop.lock);
	session->maildrop.lock = NULL;
	if (done) {
		session->end = SESSION_QUIT;
		session->removed = marked;
		reply_ok(session, "goodbye");
	} else {
		session->end = SESSION_QUIT_UNCOMMITTED;
		reply_refusal(session,
			      "[SYS/TEMP] some deleted messages were not removed",
			      &failure);
	}
}
