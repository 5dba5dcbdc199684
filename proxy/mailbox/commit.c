/*
 * All goes well: STORE \Deleted, UID EXPUNGE, UID SEARCH finds none. What can go wrong:
 * the server refuses a step or vanishes in it; then the client hears -ERR, and its next
 * session lists what is left. Nothing but marked UIDs is ever named in a STORE or UID
 * EXPUNGE, except by the policy `careful`, which takes \Deleted off foreign messages for
 * the moment of an EXPUNGE.
 */
#include "proxy/mailbox/commit.h"

#include "proxy/base/log.h"

#include <inttypes.h>

#define SET_MAX 8000         // a command line of 8 KiB
#define NAMED_TO_SPARE 10000 // a search may know of messages we do not
#define AUDIT_PIECE 400      // octets of a set in one log line

/* Nothing may be deleted under another UIDVALIDITY than the one the client saw. */
static bool same_validity(const struct maildrop *maildrop, struct failure *failure)
{
	const uint32_t now = imap_uidvalidity(maildrop->imap);

	if (now == maildrop->snapshot.uidvalidity) {
		return true;
	}
	return failure_set(failure, FAILURE_TEMPORARY,
			   "UIDVALIDITY changed from %" PRIu32 " to %" PRIu32
			   ", nothing was deleted",
			   maildrop->snapshot.uidvalidity, now);
}

/* What a search found of the marked set, and beside it. */
struct found {
	uint64_t marked;
	uint64_t others;
};

/* The set's first and last UID: every marked message between them is in it. */
static struct imap_range extent(struct bytes set)
{
	struct imap_range whole = { 0 };
	struct imap_range range;

	while (imap_set_next(&set, &range) == IMAP_SET_RANGE) {
		whole.first = whole.first > 0 ? whole.first : range.first;
		whole.last = range.last;
	}
	return whole;
}

SUSPENDS static bool search(struct maildrop *maildrop, const char *criteria,
			    const struct imap_range *within, struct found *found,
			    struct failure *failure)
{
	struct imap_range range;
	enum imap_step step;

	*found = (struct found){ 0 };
	if (!imap_search_start(maildrop->imap, criteria, failure)) {
		return false;
	}
	while ((step = imap_search_next(maildrop->imap, &range, failure)) == IMAP_STEP) {
		const struct imap_range common = {
			range.first > within->first ? range.first : within->first,
			range.last < within->last ? range.last : within->last,
		};
		const uint64_t marked =
			common.first <= common.last
				? snapshot_count_marked(&maildrop->snapshot, &common)
				: 0;

		found->marked += marked;
		found->others += (uint64_t)range.last - range.first + 1 - marked;
	}
	return step == IMAP_END;
}

/*
 * Does a search find none of the set? Only that proves the messages gone. A server that
 * answers with UIDs nobody asked for does not understand the question (mailutils takes
 * the set for sequence numbers); then all UIDs there are must do.
 */
SUSPENDS static bool prove(struct maildrop *maildrop, struct bytes set,
			   struct failure *failure)
{
	const struct imap_range within = extent(set);
	bool understood = maildrop->capabilities & IMAP_UIDPLUS;
	struct found found = { 0 };
	struct buffer criteria;
	bool searched = true;

	if (understood) {
		buffer_init(&criteria, SET_MAX + 16);
		buffer_printf(&criteria, "UID %.*s", (int)set.len, set.at);
		buffer_append(&criteria, (struct bytes){ "", 1 });
		searched = search(maildrop, criteria.data, &within, &found, failure);
		buffer_release(&criteria);
		understood = found.others == 0;
	}
	if (searched && !understood) {
		searched = search(maildrop, "ALL", &within, &found, failure);
	}
	if (searched && found.marked > 0) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "%" PRIu64 " deleted messages are still there",
				   found.marked);
	}
	return searched;
}

static bool is_marked(const struct maildrop *maildrop, uint32_t imap_uid)
{
	const struct imap_range one = { imap_uid, imap_uid };

	return snapshot_count_marked(&maildrop->snapshot, &one) > 0;
}

/* \Deleted messages that this session did not mark, as a set. */
SUSPENDS static bool find_foreign(struct maildrop *maildrop, struct buffer *out,
				  struct failure *failure)
{
	struct imap_set_writer writer;
	struct imap_range range;
	enum imap_step step;
	uint64_t named = 0;
	bool fits = true;

	if (!imap_search_start(maildrop->imap, "DELETED", failure)) {
		return false;
	}
	imap_set_writer_init(&writer, out);
	while ((step = imap_search_next(maildrop->imap, &range, failure)) == IMAP_STEP) {
		named += (uint64_t)range.last - range.first + 1;
		fits = fits && named <= imap_exists(maildrop->imap) + NAMED_TO_SPARE;
		for (uint64_t uid = range.first; uid <= range.last && fits; uid++) {
			if (!is_marked(maildrop, (uint32_t)uid)) {
				fits = imap_set_add(&writer, (uint32_t)uid);
			}
		}
	}
	imap_set_finish(&writer);
	if (!fits) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "too many messages are marked \\Deleted by others");
	}
	return step == IMAP_END;
}

/* Give the foreign messages their \Deleted back, over a new connection if need be. */
SUSPENDS static bool restore(struct maildrop *maildrop, struct bytes foreign,
			     bool expunged, struct failure *failure)
{
	struct failure own;

	if (imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, true, &own) ||
	    (imap_is_lost(maildrop->imap) && maildrop_ensure(maildrop, &own) &&
	     imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, true, &own))) {
		return true;
	}
	log_say(LOG_ERROR, "foreign \\Deleted flags lost", "folder %s, UIDs %.*s: %s",
		maildrop->folder, (int)foreign.len, foreign.at, own.text);
	if (expunged) {
		*failure = own;
	}
	return false;
}

/* Take \Deleted off the foreign ones, expunge, put it back: whatever happens between. */
SUSPENDS static bool expunge_around(struct maildrop *maildrop, struct bytes foreign,
				    struct failure *failure)
{
	bool expunged;

	if (!imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, false, failure)) {
		return false;
	}
	expunged = imap_expunge(maildrop->imap, failure);
	return restore(maildrop, foreign, expunged, failure) && expunged;
}

/* RFC 4315 is not there: EXPUNGE takes every \Deleted message, whoever marked it. */
SUSPENDS static bool expunge_without_uidplus(struct maildrop *maildrop,
					     struct failure *failure)
{
	const enum config_without_uidplus policy =
		maildrop->upstream->route->without_uidplus;
	struct buffer foreign;
	bool done;

	buffer_init(&foreign, SET_MAX);
	done = find_foreign(maildrop, &foreign, failure);
	if (done && foreign.len == 0) {
		done = imap_expunge(maildrop->imap, failure);
	} else if (done && policy == CONFIG_CAREFUL) {
		done = expunge_around(maildrop, buffer_bytes(&foreign), failure);
	} else if (done) {
		done = failure_set(
			failure, FAILURE_TEMPORARY,
			"the server has no UIDPLUS and others have marked messages "
			"\\Deleted: ours are flagged, not removed");
		failure_advise(failure, "let the other client expunge, or set "
					"without-uidplus: careful");
	}
	buffer_release(&foreign);
	return done;
}

SUSPENDS static bool expunge(struct maildrop *maildrop, struct bytes set,
			     struct failure *failure)
{
	if (maildrop->capabilities & IMAP_UIDPLUS) {
		return imap_uid_expunge(maildrop->imap, set, failure);
	}
	return expunge_without_uidplus(maildrop, failure);
}

SUSPENDS static bool commit_set(struct maildrop *maildrop, struct bytes set,
				struct failure *failure)
{
	return same_validity(maildrop, failure) &&
	       imap_store(maildrop->imap, set, IMAP_FLAG_DELETED, true, failure) &&
	       same_validity(maildrop, failure) && expunge(maildrop, set, failure) &&
	       prove(maildrop, set, failure);
}

static void audit_piece(const struct maildrop *maildrop, struct bytes uids,
			const struct failure *failure)
{
	struct log_line line;

	if (!log_begin(&line, LOG_INFO, "commit")) {
		return;
	}
	log_string(&line, "session", maildrop->client.session_id);
	log_text(&line, "account", secret_bytes(&maildrop->user));
	log_string(&line, "server", maildrop->upstream->route->host);
	log_string(&line, "folder", maildrop->folder);
	log_number(&line, "uidvalidity", maildrop->snapshot.uidvalidity);
	log_text(&line, "uids", uids);
	log_string(&line, "result", failure ? "not proven removed" : "removed");
	if (failure) {
		log_string(&line, "cause", failure->text);
	}
	log_end(&line);
}

/* One line, or several where the set is long. failure: NULL where all are gone. */
static void audit(const struct maildrop *maildrop, struct bytes set,
		  const struct failure *failure)
{
	while (set.len > 0) {
		struct bytes piece = { set.at, set.len };

		if (piece.len > AUDIT_PIECE) {
			piece.len = AUDIT_PIECE;
			while (piece.at[piece.len - 1] != ',') {
				piece.len--;
			}
		}
		bytes_skip(&set, piece.len);
		piece.len -= piece.at[piece.len - 1] == ',';
		audit_piece(maildrop, piece, failure);
	}
}

/* Every marked set, as long as all goes well; each is audited. */
SUSPENDS static bool commit_sets(struct maildrop *maildrop, bool ready,
				 struct failure *failure)
{
	struct buffer set;
	uint32_t index = 0;
	bool done = ready;

	buffer_init(&set, SET_MAX);
	for (;;) {
		buffer_clear(&set);
		snapshot_marked_set(&maildrop->snapshot, &index, &set);
		if (set.len == 0) {
			break;
		}
		done = done && commit_set(maildrop, buffer_bytes(&set), failure);
		audit(maildrop, buffer_bytes(&set), done ? NULL : failure);
	}
	buffer_release(&set);
	return done;
}

SUSPENDS bool commit(struct maildrop *maildrop, struct failure *failure)
{
	if (maildrop->snapshot.deleted == 0) {
		return true;
	}
	const bool ready = maildrop_ensure(maildrop, failure) &&
			   maildrop_can_delete(maildrop, failure);

	return commit_sets(maildrop, ready, failure);
}
