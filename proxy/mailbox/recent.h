/*
 * Lists of a moment ago, for routes with min-poll: who asks again so soon is answered
 * without the server.
 *
 * A list is given only to who says the same credential again, of which nothing is kept
 * but a hash under a key of this process; to a registered account, once the keeper has
 * let it in. It is forgotten when its time is over, and as soon as it is known to be
 * wrong. Bounded: the oldest make way.
 */
#ifndef PROXY_MAILBOX_RECENT_H
#define PROXY_MAILBOX_RECENT_H

#include "proxy/mailbox/owner.h"
#include "proxy/mailbox/snapshot.h"

struct recent;

struct recent *recent_new(void);
/* Returns when its attendant has gone. NULL is fine. */
SUSPENDS void recent_free(struct recent *recent);

/* What a list was made of. snapshot: borrowed, copied where it is kept. */
struct recent_view {
	const struct snapshot *snapshot;
	struct imap_mailbox mailbox;
	unsigned capabilities;
	uint64_t asked_ms; // when the server was asked for it
};

/*
 * As the server gave it, for the route's min-poll from then on; in place of the one
 * before. name: account and folder.
 */
void recent_keep(struct recent *recent, const struct owner *owner, const char *name,
		 const struct recent_view *view);

/* Borrowed until the next call; snapshot NULL: none. */
struct recent_view recent_find(struct recent *recent, const struct owner *owner,
			       const char *name);

/* It is not like that any more. */
void recent_forget(struct recent *recent, const struct upstream *upstream,
		   const char *name);

/* All of a POP3 user, however his letters are typed. */
void recent_kick(struct recent *recent, struct bytes account);

#endif
