/*
 * One signed-in user's maildrop: the upstream connection, the lock, the snapshot. It
 * outlives a lost connection: the next need opens another, checks that every UID still
 * means the same, and goes on.
 */
#ifndef PROXY_MAILBOX_MAILDROP_H
#define PROXY_MAILBOX_MAILDROP_H

#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_client.h"
#include "proxy/mailbox/indexes.h"
#include "proxy/mailbox/parking.h"
#include "proxy/mailbox/prefetch.h"
#include "proxy/mailbox/recent.h"
#include "proxy/mailbox/snapshot.h"
#include "proxy/upstream/allowance.h"

/* Who signs in, and to what. All borrowed during maildrop_open(). */
struct maildrop_request {
	struct upstream *upstream;
	struct keeper_client *keeper; // NULL: nothing is locked; outlives the maildrop
	struct bytes account;         // the POP3 user; outlives the maildrop
	struct parking *parking;      // outlives it, too; NULL: nothing is parked
	struct recent *recent;        // the same; NULL: every sign-in asks the server
	struct indexes *indexes;      // the same
	enum sasl_mechanism mechanism;
	struct bytes user;   // the upstream user
	struct bytes secret; // password or token
	struct bytes proof;  // registered accounts: what the client said, to ask the
			     // keeper for the secret again; else empty
	struct bytes stamp;  // where proof is a digest over it (APOP); else empty
	unsigned rights;     // enum keeper_rights: what the client may not
	const char *folder;
	struct imap_client client; // lives as long as the maildrop
};

struct maildrop {
	struct upstream *upstream; // borrowed
	struct allowance allowance;
	enum sasl_mechanism mechanism;
	struct secret user;
	struct secret secret; // kept to reconnect, wiped at the end
	struct secret proof;  // likewise
	struct secret stamp;
	unsigned rights;              // enum keeper_rights
	char *folder;                 // owned
	char *name;                   // owned: canonical, what the lock is for
	char *exact_name;             // owned: whose index
	struct keeper_client *keeper; // borrowed
	struct bytes account;         // borrowed
	struct parking *parking;      // borrowed
	struct recent *recent;        // borrowed
	struct indexes *indexes;      // borrowed
	struct imap_client client;
	struct imap *imap;    // owned; NULL: lost, not yet needed again
	bool unasked;         // min-poll: the list is of a moment ago, imap is NULL
	uint64_t verified_ms; // when the server judged the credential
	struct imap_mailbox mailbox;
	struct snapshot snapshot;
	struct prefetch prefetch;
	unsigned capabilities;    // of the connection that was opened last
	struct keeper_lock *lock; // NULL where the route shares
	uint32_t reconnects;
};

/*
 * Sign in upstream, lock, SELECT, build the snapshot, all before deadline_ms.
 * Failures: imap_open()'s, imap_select()'s, snapshot_build()'s and FAILURE_IN_USE.
 * timing may be NULL. On failure there is nothing to close.
 */
SUSPENDS bool maildrop_open(struct maildrop *maildrop,
			    const struct maildrop_request *request, uint64_t deadline_ms,
			    struct imap_timing *timing, struct failure *failure);

/* May messages be deleted here? FAILURE_PERMANENT says why not. */
bool maildrop_can_delete(const struct maildrop *maildrop, struct failure *failure);

/*
 * A live connection with the folder selected, reopened where the old one is lost. A
 * failure is the end of the session.
 */
SUSPENDS bool maildrop_ensure(struct maildrop *maildrop, struct failure *failure);
/*
 * The same, and what the server knows of the folder by now is known here too: NOOP, and
 * without UIDPLUS SELECT.
 */
SUSPENDS bool maildrop_ensure_current(struct maildrop *maildrop, struct failure *failure);

/* The connection failed: close it, so that maildrop_ensure() opens another. */
SUSPENDS void maildrop_drop_connection(struct maildrop *maildrop);

/*
 * What was asked ahead and nobody wants is taken in where it is little; else the
 * connection is given up, and the next need opens another.
 */
SUSPENDS void maildrop_settle(struct maildrop *maildrop);
/* When that is due, because the client does not ask for it; DEADLINE_NEVER: not at all.
 */
uint64_t maildrop_stale_ms(const struct maildrop *maildrop);

/* NOOP where the server was silent for long, so that it does not hang up. */
SUSPENDS void maildrop_keep_alive(struct maildrop *maildrop);

/* Give memory back before waiting for the client. */
void maildrop_rest(struct maildrop *maildrop);

/*
 * For the next sign-in: messages that are marked are proven to be gone, and sizes were
 * learnt.
 */
void maildrop_keep_changes(const struct maildrop *maildrop);

/*
 * The list is not like that any more: the next sign-in asks the server (min-poll),
 * whichever worker it comes to.
 */
void maildrop_forget_list(const struct maildrop *maildrop);

/* The session is over: keep the connection for the next one, where it is fit for it. */
void maildrop_park(struct maildrop *maildrop);

SUSPENDS void maildrop_close(struct maildrop *maildrop);

#endif
