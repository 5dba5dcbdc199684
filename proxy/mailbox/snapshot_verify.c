/*
 * After a reconnect: the folder must be the one that the snapshot was taken of.
 */
#include "proxy/mailbox/snapshot.h"

#include <inttypes.h>
#include <stdio.h>

static bool same_row(const struct snapshot *snapshot, const struct imap_row *row,
		     struct failure *failure)
{
	const uint32_t at = snapshot_place(snapshot, row->imap_uid);

	if (at == snapshot->count || snapshot->messages[at].imap_uid != row->imap_uid ||
	    snapshot->messages[at].octets == row->octets) {
		return true;
	}
	return failure_set(failure, FAILURE_TEMPORARY,
			   "after a reconnect UID %" PRIu32 " is another message",
			   row->imap_uid);
}

SUSPENDS static bool verify_rows(const struct snapshot *snapshot, struct imap *imap,
				 struct failure *failure)
{
	const uint32_t last = snapshot->messages[snapshot->count - 1].imap_uid;
	struct failure later;
	struct imap_row row;
	enum imap_step step;
	bool same = true;
	char set[32];

	snprintf(set, sizeof(set), "%" PRIu32 ":%" PRIu32, snapshot->messages[0].imap_uid,
		 last);
	if (!imap_rows_start(imap, set, POP3_UNIQUE_ID_UID, failure)) {
		return false;
	}
	while ((step = imap_rows_next(imap, &row, &later)) == IMAP_STEP) {
		same = same && same_row(snapshot, &row, failure);
	}
	if (step == IMAP_FAILED) {
		*failure = later;
		return false;
	}
	return same;
}

/* RFC 7162: the same HIGHESTMODSEQ means that nothing changed, arrivals included. */
static bool nothing_happened(const struct snapshot *snapshot,
			     const struct imap_mailbox *mailbox)
{
	return mailbox->highestmodseq != 0 &&
	       mailbox->highestmodseq == snapshot->highestmodseq &&
	       mailbox->uidnext == snapshot->uidnext &&
	       mailbox->exists == snapshot->exists;
}

bool snapshot_is_of(const struct snapshot *snapshot, const struct imap_mailbox *mailbox,
		    struct failure *failure)
{
	if (mailbox->uidvalidity != snapshot->uidvalidity) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "UIDVALIDITY changed from %" PRIu32 " to %" PRIu32
				   " during the session",
				   snapshot->uidvalidity, mailbox->uidvalidity);
	}
	if (mailbox->uidnext != 0 && mailbox->uidnext < snapshot->uidnext) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "UIDNEXT went back from %" PRIu32 " to %" PRIu32
				   " during the session",
				   snapshot->uidnext, mailbox->uidnext);
	}
	return true;
}

SUSPENDS bool snapshot_verify(const struct snapshot *snapshot, struct imap *imap,
			      const struct imap_mailbox *mailbox, struct failure *failure)
{
	if (!snapshot_is_of(snapshot, mailbox, failure)) {
		return false;
	}
	return snapshot->count == 0 || mailbox->exists == 0 ||
	       nothing_happened(snapshot, mailbox) ||
	       verify_rows(snapshot, imap, failure);
}
