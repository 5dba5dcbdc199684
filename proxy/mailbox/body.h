/*
 * One message's octets from the server, as a stream of slices: whole for RETR, in
 * growing parts for TOP, so that a header costs little more than itself.
 */
#ifndef PROXY_MAILBOX_BODY_H
#define PROXY_MAILBOX_BODY_H

#include "proxy/mailbox/maildrop.h"

struct body {
	struct maildrop *maildrop;
	struct imap_part part; // the one under way
	uint64_t octets;       // from the server so far
	bool ended;            // the last part was read
};

/*
 * Message msgno of the snapshot, which is not marked, and ahead of their time those the
 * client is likely to ask for next.
 * GONE: no such message any more; the session goes on. FAILED: as imap_body_open(); a
 * connection found lost before anything was promised is reopened once. first_part: octets
 * to begin with, 0: all at once.
 */
SUSPENDS enum imap_body body_open(struct body *body, struct maildrop *maildrop,
				  uint32_t msgno, uint64_t first_part,
				  struct failure *failure);

/* The next slice, borrowed until the next call. len 0: the message is at its end. */
SUSPENDS bool body_read(struct body *body, struct bytes *slice, struct failure *failure);

/* Does body_read() give something without waiting? */
bool body_is_buffered(const struct body *body);

/*
 * The rest is read and dropped, the server's OK and the UID are checked. Only when this
 * is true may the client be told that the message is complete.
 */
SUSPENDS bool body_finish(struct body *body, struct failure *failure);

#endif
