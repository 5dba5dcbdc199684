/*
 * Messages that we flagged \Deleted and had to leave (without-uidplus: leave), so that
 * they do not count as other people's the next time. The keeper remembers them; where it
 * cannot be asked they count as foreign, and QUIT answers -ERR until the flags are gone
 * or without-uidplus is `careful`.
 */
#ifndef PROXY_MAILBOX_LEFTOVER_H
#define PROXY_MAILBOX_LEFTOVER_H

#include "protocol/imap_set.h"
#include "proxy/mailbox/maildrop.h"

/* Those of one maildrop. Zeroed is valid: none. */
struct leftovers {
	struct imap_range *list; // owned; in no order
	size_t count;
};

/* What earlier sessions left. Release it. */
SUSPENDS void leftovers_load(struct leftovers *leftovers,
			     const struct maildrop *maildrop);
void leftovers_release(struct leftovers *leftovers);

bool leftovers_contain(const struct leftovers *leftovers, uint32_t imap_uid);

/* This session leaves them. set: as for commands. */
void leftovers_add(const struct maildrop *maildrop, struct bytes set);

#endif
