/*
 * What the files of the maildrop share. Nobody else includes this.
 *
 * maildrop.c          opened, reopened, kept alive, parked, closed
 * maildrop_lock.c     its names, and the lock
 * maildrop_connect.c  signing in upstream
 * maildrop_index.c    the list
 * maildrop_remains.c  what earlier sessions left, and what this one leaves
 */
#ifndef PROXY_MAILBOX_MAILDROP_INTERNAL_H
#define PROXY_MAILBOX_MAILDROP_INTERNAL_H

#include "proxy/mailbox/maildrop.h"

/* Sets name and exact_name. FAILURE_PERMANENT: the folder's name is none. */
bool maildrop_name(struct maildrop *maildrop, struct failure *failure);

/* By the route's when-locked. Failures as keeper_lock(). */
SUSPENDS bool maildrop_lock(struct maildrop *maildrop, struct keeper_client *keeper,
			    uint64_t deadline_ms, struct failure *failure);

/* Sets imap. Failures as imap_open(), with what is stored for the account as well. */
SUSPENDS bool maildrop_connect(struct maildrop *maildrop, uint64_t deadline_ms,
			       struct imap_timing *timing, struct failure *failure);

/* A parked connection, if there is one: sets imap. */
bool maildrop_take_parked(struct maildrop *maildrop);

/* min-poll: the list as it was asked for at asked_ms, for sign-ins soon after. */
void maildrop_keep_list(const struct maildrop *maildrop, uint64_t asked_ms);
/* Is there one that answers for the server? */
bool maildrop_has_list(const struct maildrop *maildrop);
/* Then: sets snapshot, what belongs to it, and unasked. */
bool maildrop_take_list(struct maildrop *maildrop);

SUSPENDS bool maildrop_renew_secret(struct maildrop *maildrop, enum keeper_prove how,
				    uint64_t deadline_ms, struct failure *failure);

/*
 * The snapshot of the folder that was just selected, by way of its index. Failures as
 * snapshot_build(); then there is no snapshot.
 */
SUSPENDS bool maildrop_list(struct maildrop *maildrop, struct failure *failure);

#endif
