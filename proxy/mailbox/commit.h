/*
 * UPDATE (RFC 1939 section 6): remove exactly the marked messages, and prove it.
 */
#ifndef PROXY_MAILBOX_COMMIT_H
#define PROXY_MAILBOX_COMMIT_H

#include "proxy/mailbox/maildrop.h"

/*
 * True only when a UID SEARCH of the marked set found none of them any more (no marks:
 * at once). False: some or all remain, none but marked ones were removed; the failure
 * says why. Never CLOSE, and a plain EXPUNGE only where the policy allows. One audit
 * line is logged either way.
 */
SUSPENDS bool commit(struct maildrop *maildrop, struct failure *failure);

#endif
