/*
 * UPDATE (RFC 1939 section 6): remove exactly the marked messages, and prove it.
 */
#ifndef PROXY_MAILBOX_COMMIT_H
#define PROXY_MAILBOX_COMMIT_H

#include "proxy/mailbox/maildrop.h"

enum commit {
	COMMIT_DONE,    // a UID SEARCH found none of the marked messages any more
	COMMIT_FLAGGED, // \Deleted is set, and that is all the policy allows
	COMMIT_FAILED,  // some or all remain; none but marked ones were removed
};

/*
 * No marks: DONE at once. Otherwise the failure says why not. Never CLOSE, and a plain
 * EXPUNGE only where the policy allows. What became of each set of UIDs is logged.
 */
SUSPENDS enum commit commit_deletions(struct maildrop *maildrop, struct failure *failure);

#endif
