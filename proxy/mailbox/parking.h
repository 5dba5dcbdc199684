/*
 * Signed-in connections to IMAP servers, kept for a while after their session has ended:
 * a client that polls every minute need not pay for TCP, TLS and sign-in each time.
 *
 * One is given only to the same account on the same route with the same credential, of
 * which nothing is kept but a hash under a key of this process. It lasts no longer than
 * `limits.parking` from the moment when the server last judged the credential: that
 * bounds how long a password that was changed there goes on to work here. Its new holder
 * selects the folder anew and signs in afresh where that fails.
 */
#ifndef PROXY_MAILBOX_PARKING_H
#define PROXY_MAILBOX_PARKING_H

#include "proxy/mailbox/owner.h"
#include "proxy/upstream/imap.h"

struct parking;

/* keep_ms 0: nothing is ever parked. most: at a time, one an account. */
struct parking *parking_new(uint64_t keep_ms, uint32_t most);

/* Close what this POP3 user's sessions left, however his letters are typed. */
void parking_kick(struct parking *parking, struct bytes account);

/*
 * Close the oldest one to that server, of this user there or, where he has no name, of
 * any: there is no room for another.
 */
void parking_make_way(struct parking *parking, const struct upstream *upstream,
		      struct bytes user);

/* Close what is parked, and park nothing more. */
void parking_end(struct parking *parking);

/* Returns when everything is closed. NULL is fine. */
SUSPENDS void parking_free(struct parking *parking);

/*
 * Take the connection over; verified_ms: when the server judged the credential. One that
 * is in the middle of something is closed instead, and one whose folder can neither stay
 * open nor be left.
 */
void parking_keep(struct parking *parking, const struct owner *owner, struct imap *imap,
		  uint64_t verified_ms);

/*
 * The owner's connection, alive as far as anybody knows, or NULL. It is the caller's
 * then. Another credential for the same account finds nothing, and leaves it there.
 */
struct imap *parking_take(struct parking *parking, const struct owner *owner,
			  uint64_t *verified_ms);

#endif
