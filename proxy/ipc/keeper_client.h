/*
 * A worker's end of the talk with the keeper: maildrop locks and sign-in verdicts. The
 * keeper may die and be replaced while sessions run: the locks held are declared to the
 * new one before anything else is asked.
 */
#ifndef PROXY_IPC_KEEPER_CLIENT_H
#define PROXY_IPC_KEEPER_CLIENT_H

#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_message.h"
#include "proxy/rt/stream.h"

struct keeper_client;
struct keeper_lock;

/*
 * slot: the worker's. key: the same for all workers, made by the master: hashes of
 * secrets are keyed with it, so the keeper can compare but not guess them. Starts a task
 * that reads answers; no keeper is connected yet.
 */
struct keeper_client *keeper_client_new(uint32_t slot,
					const unsigned char key[KEEPER_HASH_BYTES]);

/* A (new) keeper is at the other end of this channel descriptor. Takes it over. */
void keeper_client_connect(struct keeper_client *client, int fd);

/* No lock may be held any more. Ends the task. NULL is fine. */
SUSPENDS void keeper_client_free(struct keeper_client *client);

/*
 * In all that follows client NULL means that there is no keeper by intention: every lock
 * is granted and every sign-in may be tried at once.
 *
 * key: canonical name of the maildrop. On a keeper that is away: waits for the next one
 * until the deadline. FAILURE_IN_USE: another session holds it (and `when` is refuse, or
 * it did not let go in time). FAILURE_TEMPORARY: no keeper. FAILURE_CANCELLED.
 * FAILURE_PERMANENT: the key is too long. holder: cancelled when another session takes
 * the lock over (NULL: only keeper_lock_is_taken_over() tells).
 */
SUSPENDS struct keeper_lock *keeper_lock(struct keeper_client *client, struct bytes key,
					 enum keeper_when_locked when,
					 struct task *holder, uint64_t deadline_ms,
					 struct failure *failure);

/* NULL is fine. Does not wait: the message goes out by itself. */
void keeper_unlock(struct keeper_lock *lock);

/*
 * From now on the lock may not be taken over: who waits for it waits until it is given
 * back. For what must not be interrupted. NULL is fine.
 */
void keeper_lock_keep(struct keeper_lock *lock);

/* Was the holder cancelled because another session took the lock over? */
bool keeper_lock_is_taken_over(const struct keeper_lock *lock);

struct keeper_sign_in {
	const struct address *address; // the client's
	bool shared_address;
	struct bytes account; // the POP3 user, canonical
	struct bytes secret;  // only its keyed hash leaves this process
	enum keeper_tls tls;
};

/*
 * May this be tried upstream now? *delay_ms: wait that long first. FAILURE_AUTH: not now,
 * answered like a wrong password. FAILURE_TEMPORARY: no keeper before the deadline, or
 * workers died while this account signed in. FAILURE_CANCELLED. After true keeper_tell()
 * must follow, whatever happens: until then the try counts as wrong.
 */
SUSPENDS bool keeper_ask(struct keeper_client *client, const struct keeper_sign_in *who,
			 uint64_t deadline_ms, uint64_t *delay_ms,
			 struct failure *failure);

/*
 * What goes upstream for a client that said this; all owned, zeroed is valid and empty.
 */
struct keeper_credential {
	enum keeper_credential_kind kind;
	unsigned rights;      // enum keeper_rights
	struct secret secret; // empty: the client's own password
	char *mailbox;        // the user upstream
	char *route;          // which route the user's name is matched as; "": his own
	char *folder;         // "": the route's
};

/*
 * Is the account registered, and is this its password? KEEPER_UNREGISTERED: no, and that
 * is all. KEEPER_PROVEN: *out. KEEPER_DISPROVEN and KEEPER_UNPROVABLE: *failure, of kind
 * FAILURE_AUTH, FAILURE_TEMPORARY (no keeper, the provider is down), FAILURE_PERMANENT
 * (consent is needed), FAILURE_CANCELLED. stamp: for APOP.
 */
SUSPENDS enum keeper_proof
keeper_prove(struct keeper_client *client, const struct keeper_sign_in *who,
	     enum keeper_prove how, struct bytes stamp, uint64_t deadline_ms,
	     struct keeper_credential *out, struct failure *failure);

/* Has any account a password for APOP, as far as the keeper has said? */
bool keeper_offers_apop(const struct keeper_client *client);

void keeper_credential_release(struct keeper_credential *credential);

/* What came of it. */
void keeper_tell(struct keeper_client *client, const struct keeper_sign_in *who,
		 enum keeper_outcome outcome);

/*
 * An account whose password proved right signs in: has it been delay_s since it did last,
 * on the average? key: its canonical name. FAILURE_TOO_SOON. FAILURE_TEMPORARY: no
 * keeper before the deadline. FAILURE_CANCELLED.
 */
SUSPENDS bool keeper_login(struct keeper_client *client, struct bytes key,
			   uint32_t delay_s, uint64_t deadline_ms,
			   struct failure *failure);

/* What a signed-in session did, in messages. */
struct keeper_session {
	uint32_t retrieved;
	uint32_t removed;   // by QUIT
	uint32_t lost_dele; // marked with DELE, and no QUIT came
};

/* It is over. */
void keeper_tell_ended(struct keeper_client *client, struct bytes account,
		       const struct keeper_session *session);

/* A -ERR with a reference: what it was about. Some are left out where they are very many.
 */
struct keeper_failure {
	uint32_t reference;            // KEEPER_REFERENCE_MAX at most
	const struct address *address; // the client's
	struct bytes account;          // empty: not known yet
	const char *answer;            // what the client heard
	const struct failure *failure;
};

void keeper_tell_failed(struct keeper_client *client, const struct keeper_failure *what);

/*
 * UIDs that this user's session flagged \Deleted in a maildrop and had to leave, so that
 * they do not count as other people's the next time. maildrop: its canonical name.
 */
void keeper_tell_left(struct keeper_client *client, struct bytes maildrop,
		      struct bytes account, uint32_t uidvalidity, struct bytes set);

/* What is known to be left there, as a set. None where no keeper answers in time. */
SUSPENDS void keeper_left(struct keeper_client *client, struct bytes maildrop,
			  uint32_t uidvalidity, uint64_t deadline_ms, struct buffer *set);

/*
 * The index of a folder as it was kept, put into *out. False: there is none, or not all
 * of it came before the deadline. maildrop: as it is spelt.
 */
SUSPENDS bool keeper_index(struct keeper_client *client, struct bytes maildrop,
			   uint64_t deadline_ms, struct buffer *out);

/* Passes an index to the keeper: piece by piece, with time for others between them. */
struct keeper_index_transfer {
	struct bytes maildrop;
	struct bytes account; // whose session it was
	struct bytes index;
	size_t done; // octets, to begin with 0
};

/* The next piece. False: no use going on. All are owned by the caller, and stay. */
SUSPENDS bool keeper_keep_index(struct keeper_client *client,
				struct keeper_index_transfer *transfer,
				uint64_t deadline_ms);
bool keeper_index_is_kept(const struct keeper_index_transfer *transfer);

/* What an account's unique-ids are made by. */
struct keeper_unique_ids {
	struct bytes account;
	struct bytes routed_as; // the name that chose the route
	struct bytes folder;    // the route's; empty: the user or the device chose it
	struct bytes unique_id; // the route's template
};

void keeper_tell_unique_ids(struct keeper_client *client,
			    const struct keeper_unique_ids *made_by);

/*
 * Waits until an operator wants a user's sessions ended, or what they left. False:
 * cancelled. The answer is keeper_kicked().
 */
struct keeper_kick {
	uint32_t request;
	enum keeper_kick_what what;
	struct buffer account; // released by the caller
};

SUSPENDS bool keeper_next_kick(struct keeper_client *client, struct keeper_kick *out);
void keeper_kicked(struct keeper_client *client, const struct keeper_kick *kick,
		   uint32_t sessions);

#endif
