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

#define IDS_MAX (256u * 1024 * 1024)
#define ROOM_FIRST 64
#define FIRST_UID 1
#define MESSAGES_MAX 4000000u // 64 MB of the memory all sessions share

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
	if (snapshot->count == MESSAGES_MAX) {
		return failure_set(failure, FAILURE_PERMANENT, "the folder is too large");
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

/*
 * Behind the rows of an index a new one has its place only if all of those are still
 * there, and none was left out between: else as many may be gone as are missing, and the
 * numbers agree.
 */
static void note_place(struct snapshot *snapshot, const struct imap_row *row)
{
	if (snapshot->messages[snapshot->count - 1].imap_uid == row->imap_uid &&
	    row->place != snapshot->count) {
		snapshot->is_begun = true;
	}
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
		if (from > FIRST_UID && snapshot->count > 0) {
			note_place(snapshot, &row);
		}
	}
	order(snapshot);
	return step == IMAP_END;
}

/* Ticks what one range has found. */
static uint32_t tick(struct snapshot *snapshot, const struct imap_range *range)
{
	uint32_t ticked = 0;

	for (uint32_t i = snapshot_place(snapshot, range->first);
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
		if (named <= snapshot->count) { // else they differ, and are many
			listed += tick(snapshot, &range);
		}
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
	if (!snapshot->is_begun && agrees(snapshot, imap)) {
		return true;
	}
	snapshot->is_begun = false;
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

SUSPENDS bool snapshot_hide_deleted(struct snapshot *snapshot, struct imap *imap,
				    struct failure *failure)
{
	const uint32_t before = snapshot->count;
	struct imap_range range;
	enum imap_step step;
	uint64_t walked = 0;
	bool plausible = true;

	if (snapshot->count == 0) {
		return true;
	}
	if (!imap_search_start(imap, "DELETED", failure)) {
		return false;
	}
	while ((step = imap_search_next(imap, &range, failure)) == IMAP_STEP) {
		plausible = plausible && snapshot_may_walk(snapshot, &range, &walked);
		if (plausible) {
			tick(snapshot, &range);
		}
	}
	if (step == IMAP_END && !plausible) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "a search names messages over and over");
	}
	keep(snapshot, false);
	snapshot->hidden = before - snapshot->count;
	snapshot_sum(snapshot);
	/* Silence hides nothing. */
	return step == IMAP_END || imap_search_was_silent(imap);
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
	snapshot_sum(snapshot);
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
	snapshot->is_begun = true;
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
