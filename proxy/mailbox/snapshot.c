/*
 * Building goes well when the rows of the index and of one FETCH, of what is new, are as
 * many as SELECT counted; without anything new there is no FETCH. What can
 * go wrong: messages come and go meanwhile, the server lies or cuts the list short. Then
 * one UID SEARCH decides what exists; where the two still differ, no list at all is
 * better than a short one, since clients forget unique-ids that are missing from it.
 */
#include "proxy/mailbox/snapshot.h"

#include "proxy/base/memory.h"
#include "proxy/mailbox/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX (256u * 1024 * 1024)
#define ROOM_FIRST 64
#define FIRST_UID 1
#define MESSAGES_MAX 4000000u // 64 MB of the memory all sessions share

enum pop3_unique_id_source
snapshot_identity(const struct pop3_unique_id_template *template)
{
	if (pop3_unique_id_uses(template, POP3_UNIQUE_ID_GM_MSGID)) {
		return POP3_UNIQUE_ID_GM_MSGID;
	}
	if (pop3_unique_id_uses(template, POP3_UNIQUE_ID_EMAILID)) {
		return POP3_UNIQUE_ID_EMAILID;
	}
	return POP3_UNIQUE_ID_UID;
}

static bool add_id(struct snapshot *snapshot, const struct imap_row *row,
		   enum pop3_unique_id_source identity)
{
	const struct bytes number = { (const char *)&row->gm_msgid,
				      sizeof(row->gm_msgid) };

	if (identity == POP3_UNIQUE_ID_GM_MSGID) {
		return buffer_append(&snapshot->ids, number);
	}
	if (identity == POP3_UNIQUE_ID_EMAILID) {
		return buffer_append(&snapshot->ids, row->emailid) &&
		       buffer_append(&snapshot->ids, (struct bytes){ "", 1 });
	}
	return true;
}

static bool add_row(struct snapshot *snapshot, const struct imap_row *row,
		    enum pop3_unique_id_source identity, struct failure *failure)
{
	struct message *message;

	if (snapshot->uidnext != 0 && row->imap_uid >= snapshot->uidnext) {
		return true; // arrived after SELECT
	}
	if (snapshot->count == snapshot->room) {
		snapshot->room = snapshot->room > 0 ? snapshot->room * 2 : ROOM_FIRST;
		snapshot->messages = memory_resize(
			snapshot->messages, snapshot->room * sizeof(*snapshot->messages));
	}
	message = &snapshot->messages[snapshot->count++];
	*message = (struct message){
		.octets = row->octets & (UINT64_MAX >> 2),
		.imap_uid = row->imap_uid,
		.extra = (uint32_t)snapshot->ids.len,
	};
	if (!add_id(snapshot, row, identity)) {
		return failure_set(failure, FAILURE_PERMANENT, "the folder is too large");
	}
	return true;
}

static int by_uid(const void *a, const void *b)
{
	const struct message *x = a;
	const struct message *y = b;

	return (x->imap_uid > y->imap_uid) - (x->imap_uid < y->imap_uid);
}

/* Ascending order, each UID once. */
static void order(struct snapshot *snapshot)
{
	struct message *messages = snapshot->messages;
	uint32_t kept = 0;
	bool sorted = true;

	for (uint32_t i = 1; i < snapshot->count && sorted; i++) {
		sorted = messages[i - 1].imap_uid < messages[i].imap_uid;
	}
	if (sorted) {
		return;
	}
	qsort(messages, snapshot->count, sizeof(*messages), by_uid);
	for (uint32_t i = 0; i < snapshot->count; i++) {
		if (kept == 0 || messages[kept - 1].imap_uid != messages[i].imap_uid) {
			messages[kept++] = messages[i];
		}
	}
	snapshot->count = kept;
}

/* From this UID on, as far as SELECT counted. */
SUSPENDS static bool fetch_rows(struct snapshot *snapshot, struct imap *imap,
				uint32_t from, struct failure *failure)
{
	const enum pop3_unique_id_source identity =
		snapshot_identity(snapshot->unique_id);
	struct imap_row row;
	enum imap_step step;
	char set[32];

	if (snapshot->uidnext > 1) {
		/* Never from:*, which names the last message even below from. */
		snprintf(set, sizeof(set), "%" PRIu32 ":%" PRIu32, from,
			 snapshot->uidnext - 1);
	} else {
		snprintf(set, sizeof(set), "1:*");
	}
	if (!imap_rows_start(imap, set, identity, failure)) {
		return false;
	}
	while ((step = imap_rows_next(imap, &row, failure)) == IMAP_STEP) {
		if (!add_row(snapshot, &row, identity, failure)) {
			return false;
		}
	}
	order(snapshot);
	return step == IMAP_END;
}

/* The place of a UID, or of the first above it. */
static uint32_t lower_bound(const struct snapshot *snapshot, uint32_t imap_uid)
{
	uint32_t low = 0;
	uint32_t high = snapshot->count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (snapshot->messages[middle].imap_uid < imap_uid) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* Ticks what one range has found. */
static uint32_t tick(struct snapshot *snapshot, const struct imap_range *range)
{
	uint32_t ticked = 0;

	for (uint32_t i = lower_bound(snapshot, range->first);
	     i < snapshot->count && snapshot->messages[i].imap_uid <= range->last; i++) {
		ticked += snapshot->messages[i].ticked == 0;
		snapshot->messages[i].ticked = 1;
	}
	return ticked;
}

/* Keep those that are ticked (or not), and take the ticks off. */
static void keep(struct snapshot *snapshot, bool ticked)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < snapshot->count; i++) {
		struct message message = snapshot->messages[i];

		if ((message.ticked != 0) == ticked) {
			message.ticked = 0;
			snapshot->messages[kept++] = message;
		}
	}
	snapshot->count = kept;
}

/*
 * UID SEARCH tells what exists now. Every UID it names must be in the list, what it
 * does not name has vanished. Ranges count by their members, so a server that names
 * UIDs it did not list is found out.
 */
SUSPENDS static bool settle(struct snapshot *snapshot, struct imap *imap,
			    struct failure *failure)
{
	struct imap_range range;
	enum imap_step step;
	uint64_t named = 0;
	uint64_t listed = 0;

	if (!imap_search_start(imap, "ALL", failure)) {
		return false;
	}
	while ((step = imap_search_next(imap, &range, failure)) == IMAP_STEP) {
		if (snapshot->uidnext != 0 && range.first >= snapshot->uidnext) {
			continue;
		}
		if (snapshot->uidnext != 0 && range.last >= snapshot->uidnext) {
			range.last = snapshot->uidnext - 1;
		}
		named += (uint64_t)range.last - range.first + 1;
		listed += tick(snapshot, &range);
	}
	if (step == IMAP_FAILED) {
		return false;
	}
	keep(snapshot, true);
	if (named != listed) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "the server lists %" PRIu64
				   " messages but has %" PRIu64,
				   listed, named);
	}
	return true;
}

/* Without UIDNEXT what arrived since SELECT cannot be told from what was there. */
static bool agrees(const struct snapshot *snapshot, const struct imap *imap)
{
	if (imap_folder_shrank(imap)) {
		return false;
	}
	return snapshot->count == imap_selected_left(imap) ||
	       (snapshot->uidnext == 0 && snapshot->count == imap_exists(imap));
}

/* The list is exactly what exists, or no list at all. */
SUSPENDS static bool reconcile(struct snapshot *snapshot, struct imap *imap,
			       struct failure *failure)
{
	if (agrees(snapshot, imap)) {
		return true;
	}
	if (!settle(snapshot, imap, failure)) {
		return false;
	}
	if (agrees(snapshot, imap)) {
		return true;
	}
	failure_set(failure, FAILURE_TEMPORARY,
		    "the server lists %" PRIu32 " messages, but the folder has %" PRIu32,
		    snapshot->count, imap_selected_left(imap));
	return failure_advise(failure,
			      "no list is given rather than a short one; try again, "
			      "then look at the IMAP server");
}

static void sum_octets(struct snapshot *snapshot)
{
	snapshot->octets = 0;
	for (uint32_t i = 0; i < snapshot->count; i++) {
		snapshot->octets += snapshot->messages[i].octets;
	}
}

SUSPENDS bool snapshot_hide_deleted(struct snapshot *snapshot, struct imap *imap,
				    struct failure *failure)
{
	const uint32_t before = snapshot->count;
	struct imap_range range;
	enum imap_step step;

	if (snapshot->count == 0) {
		return true;
	}
	if (!imap_search_start(imap, "DELETED", failure)) {
		return false;
	}
	while ((step = imap_search_next(imap, &range, failure)) == IMAP_STEP) {
		tick(snapshot, &range);
	}
	keep(snapshot, false);
	snapshot->hidden = before - snapshot->count;
	sum_octets(snapshot);
	return step == IMAP_END;
}

static bool check_unique_ids(const struct snapshot *snapshot, struct failure *failure)
{
	char id[POP3_UNIQUE_ID_MAX];

	if (snapshot_identity(snapshot->unique_id) == POP3_UNIQUE_ID_UID) {
		return true; // UID and UIDVALIDITY always make one
	}
	for (uint32_t i = 0; i < snapshot->count; i++) {
		if (snapshot_unique_id(snapshot, &snapshot->messages[i], id) == 0) {
			return failure_set(failure, FAILURE_PERMANENT,
					   "the server gave no id fit for a unique-id "
					   "for UID %" PRIu32,
					   snapshot->messages[i].imap_uid);
		}
	}
	return true;
}

void snapshot_forget_rows(struct snapshot *snapshot)
{
	free(snapshot->messages);
	snapshot->messages = NULL;
	snapshot->count = 0;
	snapshot->room = 0;
	buffer_clear(&snapshot->ids);
}

/* The rows from this UID on to those below it, and what exists must be what is listed. */
SUSPENDS static bool complete(struct snapshot *snapshot, struct imap *imap, uint32_t from,
			      struct failure *failure)
{
	const bool nothing_new = snapshot->uidnext != 0 && from >= snapshot->uidnext;

	return (nothing_new || fetch_rows(snapshot, imap, from, failure)) &&
	       reconcile(snapshot, imap, failure);
}

/*
 * UIDs grow, so with the same UIDVALIDITY, UIDNEXT and number of messages nothing has
 * come and nothing has gone since the index was made (RFC 9051 2.3.1.1). When anything
 * does not fit, the whole folder is listed as if there were no index.
 */
SUSPENDS static bool build(struct snapshot *snapshot, struct imap *imap,
			   struct bytes index, bool *changed, struct failure *failure)
{
	uint32_t from = FIRST_UID;
	const bool known = snapshot->uidnext != 0 && index_decode(index, snapshot, &from);
	const uint32_t before = snapshot->count;

	if (known && complete(snapshot, imap, from, failure)) {
		*changed = from != snapshot->uidnext || before != snapshot->count;
	} else if (known && imap_is_lost(imap)) {
		return false;
	} else {
		snapshot_forget_rows(snapshot);
		*changed = true;
		if (!complete(snapshot, imap, FIRST_UID, failure)) {
			return false;
		}
	}
	sum_octets(snapshot);
	return check_unique_ids(snapshot, failure);
}

/*
 * What has come of a list that was cut off is an index up to its last UID: a client that
 * gives up before a large folder is listed would make it begin anew each time. Only where
 * the server lists in order: else there may be gaps.
 */
static bool is_begun(struct snapshot *snapshot)
{
	if (snapshot->uidnext == 0 || snapshot->count == 0) {
		return false;
	}
	for (uint32_t i = 1; i < snapshot->count; i++) {
		if (snapshot->messages[i].imap_uid <=
		    snapshot->messages[i - 1].imap_uid) {
			return false; // what is missing may be anywhere
		}
	}
	snapshot->uidnext = snapshot->messages[snapshot->count - 1].imap_uid + 1;
	return true;
}

SUSPENDS bool snapshot_build(struct snapshot *snapshot, struct imap *imap,
			     const struct imap_mailbox *mailbox,
			     const struct pop3_unique_id_template *unique_id,
			     struct bytes index, bool *changed, struct failure *failure)
{
	*snapshot = (struct snapshot){
		.uidvalidity = mailbox->uidvalidity,
		.uidnext = mailbox->uidnext,
		.exists = mailbox->exists,
		.highestmodseq = mailbox->highestmodseq,
		.unique_id = unique_id,
	};
	buffer_init(&snapshot->ids, IDS_MAX);
	*changed = true;
	if (mailbox->exists == 0) {
		return true;
	}
	if (mailbox->exists > MESSAGES_MAX) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the folder has %" PRIu32 " messages, more than %u",
				   mailbox->exists, MESSAGES_MAX);
	}
	if (build(snapshot, imap, index, changed, failure)) {
		return true;
	}
	*changed = imap_is_lost(imap) && is_begun(snapshot);
	if (!*changed) {
		snapshot_release(snapshot);
	}
	return false;
}

static bool same_row(const struct snapshot *snapshot, const struct imap_row *row,
		     struct failure *failure)
{
	const uint32_t at = lower_bound(snapshot, row->imap_uid);

	if (at == snapshot->count || snapshot->messages[at].imap_uid != row->imap_uid ||
	    snapshot->messages[at].octets == row->octets) {
		return true;
	}
	return failure_set(failure, FAILURE_TEMPORARY,
			   "after a reconnect UID %" PRIu32 " is another message",
			   row->imap_uid);
}

SUSPENDS static bool verify_rows(const struct snapshot *snapshot, struct imap *imap,
				 struct failure *failure)
{
	const uint32_t last = snapshot->messages[snapshot->count - 1].imap_uid;
	struct failure later;
	struct imap_row row;
	enum imap_step step;
	bool same = true;
	char set[32];

	snprintf(set, sizeof(set), "%" PRIu32 ":%" PRIu32, snapshot->messages[0].imap_uid,
		 last);
	if (!imap_rows_start(imap, set, POP3_UNIQUE_ID_UID, failure)) {
		return false;
	}
	while ((step = imap_rows_next(imap, &row, &later)) == IMAP_STEP) {
		same = same && same_row(snapshot, &row, failure);
	}
	if (step == IMAP_FAILED) {
		*failure = later;
		return false;
	}
	return same;
}

/* RFC 7162: the same HIGHESTMODSEQ means that nothing changed, arrivals included. */
static bool nothing_happened(const struct snapshot *snapshot,
			     const struct imap_mailbox *mailbox)
{
	return mailbox->highestmodseq != 0 &&
	       mailbox->highestmodseq == snapshot->highestmodseq &&
	       mailbox->uidnext == snapshot->uidnext &&
	       mailbox->exists == snapshot->exists;
}

SUSPENDS bool snapshot_verify(const struct snapshot *snapshot, struct imap *imap,
			      const struct imap_mailbox *mailbox, struct failure *failure)
{
	if (mailbox->uidvalidity != snapshot->uidvalidity) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "UIDVALIDITY changed from %" PRIu32 " to %" PRIu32
				   " during the session",
				   snapshot->uidvalidity, mailbox->uidvalidity);
	}
	if (mailbox->uidnext != 0 && mailbox->uidnext < snapshot->uidnext) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "UIDNEXT went back from %" PRIu32 " to %" PRIu32
				   " during the session",
				   snapshot->uidnext, mailbox->uidnext);
	}
	if (snapshot->count == 0 || mailbox->exists == 0 ||
	    nothing_happened(snapshot, mailbox)) {
		return true;
	}
	return verify_rows(snapshot, imap, failure);
}

void snapshot_release(struct snapshot *snapshot)
{
	free(snapshot->messages);
	buffer_release(&snapshot->ids);
	*snapshot = (struct snapshot){ 0 };
}

struct message *snapshot_message(const struct snapshot *snapshot, uint32_t msgno)
{
	if (msgno == 0 || msgno > snapshot->count ||
	    snapshot->messages[msgno - 1].deleted) {
		return NULL;
	}
	return &snapshot->messages[msgno - 1];
}

uint32_t snapshot_left(const struct snapshot *snapshot)
{
	return snapshot->count - snapshot->deleted;
}

void snapshot_mark(struct snapshot *snapshot, struct message *message)
{
	message->deleted = 1;
	snapshot->deleted++;
	snapshot->octets -= message->octets;
}

void snapshot_unmark_all(struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->count; i++) {
		snapshot->messages[i].deleted = 0;
	}
	snapshot->deleted = 0;
	sum_octets(snapshot);
}

size_t snapshot_unique_id(const struct snapshot *snapshot, const struct message *message,
			  char out[POP3_UNIQUE_ID_MAX])
{
	struct pop3_unique_id_values values = {
		.imap_uid = message->imap_uid,
		.uidvalidity = snapshot->uidvalidity,
	};
	const enum pop3_unique_id_source identity =
		snapshot_identity(snapshot->unique_id);

	if (identity == POP3_UNIQUE_ID_GM_MSGID) {
		memcpy(&values.gm_msgid, snapshot->ids.data + message->extra,
		       sizeof(values.gm_msgid));
	} else if (identity == POP3_UNIQUE_ID_EMAILID) {
		values.emailid = bytes_of(snapshot->ids.data + message->extra);
	}
	return pop3_unique_id_format(snapshot->unique_id, &values, out);
}

uint64_t snapshot_hash(const struct snapshot *snapshot)
{
	uint64_t hash = 0xcbf29ce484222325;
	char id[POP3_UNIQUE_ID_MAX + 1];

	for (uint32_t i = 0; i < snapshot->count; i++) {
		if (snapshot->messages[i].deleted) {
			continue;
		}
		const size_t len =
			snapshot_unique_id(snapshot, &snapshot->messages[i], id);

		id[len] = '\n';
		for (size_t k = 0; k <= len; k++) {
			hash = (hash ^ (unsigned char)id[k]) * 0x100000001b3;
		}
	}
	return hash;
}

uint32_t snapshot_count_marked(const struct snapshot *snapshot,
			       const struct imap_range *range)
{
	uint32_t marked = 0;

	for (uint32_t i = lower_bound(snapshot, range->first);
	     i < snapshot->count && snapshot->messages[i].imap_uid <= range->last; i++) {
		marked += snapshot->messages[i].deleted;
	}
	return marked;
}

void snapshot_marked_set(const struct snapshot *snapshot, uint32_t *index, uint32_t most,
			 struct buffer *out)
{
	uint32_t taken = 0;
	struct imap_set_writer writer;

	imap_set_writer_init(&writer, out);
	for (; *index < snapshot->count; ++*index) {
		const struct message *message = &snapshot->messages[*index];

		if (!message->deleted) {
			continue;
		}
		if (taken++ == most || !imap_set_add(&writer, message->imap_uid)) {
			break;
		}
	}
	imap_set_finish(&writer);
}
