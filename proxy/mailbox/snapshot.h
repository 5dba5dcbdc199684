/*
 * The maildrop as it was at sign-in (RFC 1939 section 4): message number to UID, octets
 * and unique-id, frozen for the session; and the marks of DELE.
 *
 * Messages are in ascending order of UID. 16 octets a message, plus the provider's id
 * where the unique-id template wants one.
 */
#ifndef PROXY_MAILBOX_SNAPSHOT_H
#define PROXY_MAILBOX_SNAPSHOT_H

#include "protocol/pop3_unique_id.h"
#include "proxy/mailbox/exact_sizes.h"
#include "proxy/upstream/imap.h"

struct message {
	uint64_t octets : 62; // RFC822.SIZE; see snapshot_octets()
	uint64_t deleted : 1; // marked by DELE
	uint64_t ticked : 1;  // for snapshot_build.c while it compares
	uint32_t imap_uid;
	uint32_t extra; // where the provider's id stands in snapshot.ids
};

struct snapshot {
	struct message *messages; // owned; index = msgno - 1
	uint32_t count;
	uint32_t room;
	uint32_t deleted; // how many are marked
	uint32_t hidden;  // how many snapshot_hide_deleted() took out
	uint64_t octets;  // of those not marked
	uint32_t uidvalidity;
	uint32_t uidnext;                                // 0: unknown
	uint32_t exists;                                 // at SELECT, like the next
	uint64_t highestmodseq;                          // 0: not given
	const struct pop3_unique_id_template *unique_id; // borrowed
	struct buffer ids;         // GM-MSGID: 8 octets each; EMAILID: text, NUL
	struct exact_sizes exact;  // of earlier sessions: what LIST says
	struct exact_sizes learnt; // of this one: what the next one's LIST will say
	bool is_begun; // from an index that may have gaps, or too many: to be looked into
};

/*
 * Build it from the folder that was just selected. Fails closed: the rows must be
 * exactly the messages that exist, else FAILURE_TEMPORARY. index: what index_encode()
 * made of an earlier one, or nothing; not touched once this suspends. *changed: this one
 * is another. On failure it is a part, good for nothing but an index, to be released.
 */
SUSPENDS bool snapshot_build(struct snapshot *snapshot, struct imap *imap,
			     const struct imap_mailbox *mailbox,
			     const struct pop3_unique_id_template *unique_id,
			     struct bytes index, bool *changed, struct failure *failure);

/* Leave out the messages flagged \Deleted. */
SUSPENDS bool snapshot_hide_deleted(struct snapshot *snapshot, struct imap *imap,
				    struct failure *failure);

/* What besides the UID the unique-id is made of. */
enum pop3_unique_id_source
snapshot_identity(const struct pop3_unique_id_template *template);

/* The index of a UID, or of the first above it. */
uint32_t snapshot_place(const struct snapshot *snapshot, uint32_t imap_uid);

/* snapshot->octets, after messages were taken out. */
void snapshot_sum(struct snapshot *snapshot);

/* As before it was built. */
void snapshot_forget_rows(struct snapshot *snapshot);

/* Selected anew, is it the folder it was? UIDVALIDITY, UIDNEXT. FAILURE_TEMPORARY: no. */
bool snapshot_is_of(const struct snapshot *snapshot, const struct imap_mailbox *mailbox,
		    struct failure *failure);

/*
 * After a reconnect: does every UID still mean the same? Same UIDVALIDITY, no UIDNEXT
 * that went back, same sizes. What vanished is fine. FAILURE_TEMPORARY: no.
 */
SUSPENDS bool snapshot_verify(const struct snapshot *snapshot, struct imap *imap,
			      const struct imap_mailbox *mailbox,
			      struct failure *failure);

/* Into one that holds nothing; without the marks of DELE. */
void snapshot_copy(struct snapshot *to, const struct snapshot *from);

void snapshot_release(struct snapshot *snapshot);

/* NULL where there is no such message or it is marked deleted. */
struct message *snapshot_message(const struct snapshot *snapshot, uint32_t msgno);

/* Messages not marked deleted. */
uint32_t snapshot_left(const struct snapshot *snapshot);

/* As LIST says: exact where a transfer of an earlier session has shown it. */
uint64_t snapshot_octets(const struct snapshot *snapshot, const struct message *message);

/* A transfer has shown it. */
void snapshot_learn(struct snapshot *snapshot, const struct message *message,
		    uint64_t octets);

void snapshot_mark(struct snapshot *snapshot, struct message *message);
void snapshot_unmark_all(struct snapshot *snapshot);

/* The unique-id, and its length; never 0: checked when the snapshot was built. */
size_t snapshot_unique_id(const struct snapshot *snapshot, const struct message *message,
			  char out[POP3_UNIQUE_ID_MAX]);

/* FNV-1a over the unique-ids of all messages not marked, for the log. */
uint64_t snapshot_hash(const struct snapshot *snapshot);

/*
 * Before anything is done for each message of a range that a search has found. False: it
 * names messages over and over. walked: 0 before the first.
 */
bool snapshot_may_walk(const struct snapshot *snapshot, const struct imap_range *range,
		       uint64_t *walked);

/* How many messages with UIDs in this range are marked. */
uint32_t snapshot_count_marked(const struct snapshot *snapshot,
			       const struct imap_range *range);

/*
 * The marked UIDs from *index on, `most` of them, as one compact set of at most out's
 * maximum; *index is advanced. Empty: no more.
 */
void snapshot_marked_set(const struct snapshot *snapshot, uint32_t *index, uint32_t most,
			 struct buffer *out);

#endif
