/*
 * What a client will want next, asked for before it does.
 *
 * POP3 clients ask for one message at a time, and each would cost a round trip to the
 * server. A client that downloads in sequence, upwards or downwards, has the next ones
 * requested ahead: RETR like RETR, TOP like TOP. They stay in the network's buffers until
 * the client asks for them, so they cost no memory here, and a slow client slows the
 * server down.
 *
 * The window is what may be on its way: small enough at first that a client which leaves
 * after one message wastes little, and more by every message it does take.
 */
#ifndef PROXY_MAILBOX_PREFETCH_H
#define PROXY_MAILBOX_PREFETCH_H

#include "proxy/mailbox/snapshot.h"

/* Zeroed is valid: nothing is known about the client. */
struct prefetch {
	bool listed;      // it has seen UIDL or LIST
	uint32_t msgno;   // of the last message it asked for; 0: none yet
	uint64_t length;  // as in struct imap_part: of which it wanted so much
	int step;         // +1, -1: in sequence; 0: nothing is asked ahead
	uint64_t window;  // octets
	uint64_t used_ms; // when it last asked for a message
};

#define PREFETCH_WINDOW_MIN (2 * 1024 * 1024)
#define PREFETCH_WINDOW_MAX (8 * 1024 * 1024)

/* The client asks for this message, length as in struct imap_part. */
void prefetch_note(struct prefetch *prefetch, const struct snapshot *snapshot,
		   uint32_t msgno, uint64_t length);

/* The message behind msgno in the client's direction; 0: none. */
uint32_t prefetch_next(const struct prefetch *prefetch, const struct snapshot *snapshot,
		       uint32_t msgno);

/*
 * Request the part the client wants now and those it will want. They are collected in the
 * stream: imap_body_open() sends them.
 */
SUSPENDS bool prefetch_ask(struct prefetch *prefetch, const struct snapshot *snapshot,
			   struct imap *imap, const struct imap_part *wanted,
			   struct failure *failure);

/*
 * When the server has waited for limit_ms with what the client does not ask for: servers
 * hang up on who does not read. DEADLINE_NEVER: nothing is on its way.
 */
uint64_t prefetch_stale_ms(const struct prefetch *prefetch, const struct imap *imap,
			   uint64_t limit_ms);

#endif
