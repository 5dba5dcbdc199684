/*
 * All goes well: STORE \Deleted, UID EXPUNGE, and a UID SEARCH finds none. What can go
 * wrong: the server refuses a step or vanishes in it; then the client hears -ERR, and its
 * next session lists what is left. Nothing but marked UIDs is ever named in a STORE or
 * UID EXPUNGE, except by the policy `careful`, which takes \Deleted off foreign messages
 * for the moment of an EXPUNGE.
 */
#include "proxy/mailbox/commit.h"

#include "proxy/base/log.h"
#include "proxy/mailbox/leftover.h"

#include <inttypes.h>

#define SET_MAX 8000      // octets: a command line of 8 KiB
#define SET_MESSAGES 2000 // so that no step of a large commit takes its whole time limit
#define NAMED_TO_SPARE 10000 // a search may know of messages we do not
#define AUDIT_PIECE 400      // octets of a set in one log line

/* One commit under way. */
struct update {
	struct maildrop *maildrop;
	struct failure *failure; // the first one
	bool failed;
	uint32_t index; // where the next set begins
	struct buffer set;
	struct buffer remaining; // UIDs of this set that a search still found
};

/* Keeps the first reason. Returns false. */
static bool note_failure(struct update *update, const struct failure *failure)
{
	if (!update->failed) {
		*update->failure = *failure;
	}
	update->failed = true;
	return false;
}

static bool has_uidplus(const struct update *update)
{
	return update->maildrop->capabilities & IMAP_UIDPLUS;
}

/* The next set of marked UIDs. False: that was all. */
static bool next_set(struct update *update)
{
	buffer_clear(&update->set);
	snapshot_marked_set(&update->maildrop->snapshot, &update->index, SET_MESSAGES,
			    &update->set);
	return update->set.len > 0;
}

/* Nothing may be deleted under another UIDVALIDITY than the one the client saw. */
static bool same_validity(const struct maildrop *maildrop, struct failure *failure)
{
	const uint32_t now = imap_uidvalidity(maildrop->imap);

	if (now == maildrop->snapshot.uidvalidity) {
		return true;
	}
	return failure_set(failure, FAILURE_TEMPORARY,
			   "UIDVALIDITY changed from %" PRIu32 " to %" PRIu32,
			   maildrop->snapshot.uidvalidity, now);
}

/*
 * STORE \Deleted on every set. A server that refuses one because some of its messages are
 * gone may still have flagged the others; what matters is what a search finds at the end.
 */
SUSPENDS static bool flag_all(struct update *update)
{
	struct failure failure;

	update->index = 0;
	while (next_set(update)) {
		if (!same_validity(update->maildrop, &failure)) {
			return note_failure(update, &failure);
		}
		if (imap_store(update->maildrop->imap, buffer_bytes(&update->set),
			       IMAP_FLAG_DELETED, true, &failure)) {
			continue;
		}
		note_failure(update, &failure);
		if (imap_is_lost(update->maildrop->imap) || !has_uidplus(update)) {
			return false;
		}
	}
	return true;
}

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

/* What a search found of the marked set, and beside it. */
struct found {
	uint64_t marked;
	uint64_t others;
	uint64_t walked;
	bool implausible;
};

static void note_found(struct update *update, const struct imap_range *within,
		       const struct imap_range *range, struct found *found)
{
	const struct imap_range common = {
		range->first > within->first ? range->first : within->first,
		range->last < within->last ? range->last : within->last,
	};
	const struct snapshot *snapshot = &update->maildrop->snapshot;
	const bool any = common.first <= common.last;

	found->implausible =
		found->implausible ||
		(any && !snapshot_may_walk(snapshot, &common, &found->walked));
	const uint64_t marked =
		any && !found->implausible ? snapshot_count_marked(snapshot, &common) : 0;

	found->marked += marked;
	found->others += (uint64_t)range->last - range->first + 1 - marked;
	if (marked > 0) {
		buffer_printf(&update->remaining, "%s%" PRIu32 ":%" PRIu32,
			      update->remaining.len > 0 ? "," : "", common.first,
			      common.last);
	}
}

SUSPENDS static bool search(struct update *update, const char *criteria,
			    struct found *found, struct failure *failure)
{
	const struct imap_range within = extent(buffer_bytes(&update->set));
	struct imap *imap = update->maildrop->imap;
	struct imap_range range;
	enum imap_step step;

	*found = (struct found){ 0 };
	buffer_clear(&update->remaining);
	if (!imap_search_start(imap, criteria, failure)) {
		return false;
	}
	while ((step = imap_search_next(imap, &range, failure)) == IMAP_STEP) {
		note_found(update, &within, &range, found);
	}
	if (step == IMAP_END && found->implausible) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "a search names messages over and over");
	}
	return step == IMAP_END;
}

SUSPENDS static bool search_set(struct update *update, struct found *found,
				struct failure *failure)
{
	struct buffer criteria;
	bool searched;

	buffer_init(&criteria, SET_MAX + 16);
	buffer_printf(&criteria, "UID %.*s", (int)update->set.len, update->set.data);
	buffer_append(&criteria, (struct bytes){ "", 1 });
	searched = search(update, criteria.data, found, failure);
	buffer_release(&criteria);
	return searched;
}

/* Silence is an answer only where the folder's own count says, too, that it is empty. */
SUSPENDS static bool search_all(struct update *update, struct found *found,
				struct failure *failure)
{
	const struct imap *imap = update->maildrop->imap;

	return search(update, "ALL", found, failure) ||
	       (imap_search_was_silent(imap) && imap_exists(imap) == 0 &&
		!imap_folder_shrank(imap));
}

/*
 * Does a search find none of the set? Only that proves the messages gone. A server that
 * answers with UIDs nobody asked for does not understand the question (mailutils takes
 * the set for sequence numbers), and one that says nothing may mean that it found
 * nothing; then all UIDs there are must do.
 */
SUSPENDS static bool prove(struct update *update, struct failure *failure)
{
	const struct imap *imap = update->maildrop->imap;
	const bool modern = has_uidplus(update);
	struct found found = { 0 };

	if (modern && !search_set(update, &found, failure) &&
	    !imap_search_was_silent(imap)) {
		return false;
	}
	if ((!modern || found.others > 0 || imap_search_was_silent(imap)) &&
	    !search_all(update, &found, failure)) {
		return false;
	}
	if (found.marked > 0) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "%" PRIu64 " deleted messages are still there",
				   found.marked);
	}
	/* Under another UIDVALIDITY the search was about other messages. */
	return same_validity(update->maildrop, failure);
}

/* Marked by this session, or left by an earlier one of ours. */
static bool is_ours(const struct maildrop *maildrop, const struct leftovers *left,
		    uint32_t imap_uid)
{
	const struct imap_range one = { imap_uid, imap_uid };

	return snapshot_count_marked(&maildrop->snapshot, &one) > 0 ||
	       leftovers_contain(left, imap_uid);
}

/* \Deleted messages that are not ours, as a set. */
SUSPENDS static bool search_foreign(struct maildrop *maildrop,
				    const struct leftovers *left, struct buffer *out,
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
			if (!is_ours(maildrop, left, (uint32_t)uid)) {
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

SUSPENDS static bool find_foreign(struct maildrop *maildrop, struct buffer *out,
				  struct failure *failure)
{
	struct leftovers left = { 0 };
	bool found;

	leftovers_load(&left, maildrop);
	found = search_foreign(maildrop, &left, out, failure);
	leftovers_release(&left);
	return found;
}

static void report_lost_flags(const struct maildrop *maildrop, struct bytes uids,
			      const char *cause)
{
	struct log_line line;

	if (log_begin(&line, LOG_ERROR, "foreign \\Deleted flags lost")) {
		log_string(&line, "session", maildrop->client.session_id);
		log_string(&line, "folder", maildrop->folder);
		log_text(&line, "uids", uids);
		log_string(&line, "cause", cause);
		log_end(&line);
	}
}

/* Give the foreign messages their \Deleted back, over a new connection if need be. */
SUSPENDS static bool restore(struct maildrop *maildrop, struct bytes foreign,
			     bool expunged, struct failure *failure)
{
	struct failure own;

	if (imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, true, &own) ||
	    (maildrop_ensure(maildrop, &own) &&
	     imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, true, &own))) {
		return true;
	}
	report_lost_flags(maildrop, foreign, own.text);
	if (expunged) {
		*failure = own;
	}
	return false;
}

/* Take \Deleted off the foreign ones, expunge, put it back: whatever happens between. */
SUSPENDS static bool expunge_around(struct maildrop *maildrop, struct bytes foreign,
				    struct failure *failure)
{
	const bool expunged =
		imap_store(maildrop->imap, foreign, IMAP_FLAG_DELETED, false, failure) &&
		imap_expunge(maildrop->imap, failure);

	return restore(maildrop, foreign, expunged, failure) && expunged;
}

/*
 * Our flags stay, on the marked messages up to this index; the next sessions must not
 * take them for somebody else's.
 */
static void remember_leftovers(struct update *update, uint32_t end)
{
	update->index = 0;
	while (update->index < end && next_set(update)) {
		leftovers_add(update->maildrop, buffer_bytes(&update->set));
	}
}

static bool leave(struct failure *failure)
{
	failure_set(
		failure, FAILURE_TEMPORARY,
		"the server has no UIDPLUS and others have marked messages \\Deleted: "
		"ours are flagged, not removed");
	return failure_advise(failure, "let the other client expunge, or set "
				       "without-uidplus: careful");
}

/* RFC 4315 is not there: EXPUNGE takes every \Deleted message, whoever marked it. */
SUSPENDS static bool expunge_without_uidplus(struct update *update, bool *flagged,
					     struct failure *failure)
{
	struct maildrop *maildrop = update->maildrop;
	struct buffer foreign;
	bool done;

	buffer_init(&foreign, SET_MAX);
	done = find_foreign(maildrop, &foreign, failure);
	if (done && foreign.len == 0) {
		done = imap_expunge(maildrop->imap, failure);
	} else if (done && maildrop->upstream->route->without_uidplus == CONFIG_CAREFUL) {
		done = expunge_around(maildrop, buffer_bytes(&foreign), failure);
	} else if (done) {
		*flagged = true;
		done = leave(failure);
	}
	buffer_release(&foreign);
	return done;
}

/* What stays \Deleted and is ours goes with every UID EXPUNGE that names it. */
SUSPENDS static bool expunge_sets(struct update *update)
{
	struct failure failure;

	update->index = 0;
	while (next_set(update)) {
		if (!imap_uid_expunge(update->maildrop->imap, buffer_bytes(&update->set),
				      &failure)) {
			note_failure(update, &failure);
			if (imap_is_lost(update->maildrop->imap)) {
				return false;
			}
		}
	}
	return true;
}

SUSPENDS static bool expunge_all(struct update *update, bool *flagged)
{
	struct failure failure;

	if (!same_validity(update->maildrop, &failure)) {
		return note_failure(update, &failure);
	}
	if (has_uidplus(update)) {
		return expunge_sets(update);
	}
	return expunge_without_uidplus(update, flagged, &failure) ||
	       note_failure(update, &failure);
}

/* cause: NULL where the messages are gone. */
static void audit_piece(const struct maildrop *maildrop, struct bytes uids,
			const char *result, const char *cause)
{
	struct log_line line;

	if (!log_begin(&line, cause ? LOG_WARNING : LOG_INFO, "commit")) {
		return;
	}
	log_string(&line, "session", maildrop->client.session_id);
	log_text(&line, "account", secret_bytes(&maildrop->user));
	log_string(&line, "server", maildrop->upstream->route->host);
	log_string(&line, "folder", maildrop->folder);
	log_number(&line, "uidvalidity", maildrop->snapshot.uidvalidity);
	log_text(&line, "uids", uids);
	log_string(&line, "result", result);
	if (cause) {
		log_string(&line, "cause", cause);
	}
	log_end(&line);
}

/* One line, or several where the set is long. */
static void audit(const struct maildrop *maildrop, struct bytes set, const char *result,
		  const char *cause)
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
		audit_piece(maildrop, piece, result, cause);
	}
}

/* The proof set by set, and its line in the log. */
SUSPENDS static bool prove_all(struct update *update)
{
	const struct maildrop *maildrop = update->maildrop;
	struct failure failure;
	bool proven = true;

	update->index = 0;
	while (next_set(update)) {
		buffer_clear(&update->remaining);
		if (!imap_is_lost(maildrop->imap) && prove(update, &failure)) {
			audit(maildrop, buffer_bytes(&update->set), "removed", NULL);
			continue;
		}
		proven = false;
		if (!imap_is_lost(maildrop->imap) || !update->failed) {
			note_failure(update, &failure);
		}
		audit(maildrop,
		      buffer_bytes(update->remaining.len > 0 ? &update->remaining
							     : &update->set),
		      update->remaining.len > 0 ? "still there" : "not proven removed",
		      update->failure->text);
	}
	return proven;
}

static void audit_all(struct update *update, const char *result)
{
	update->index = 0;
	while (next_set(update)) {
		audit(update->maildrop, buffer_bytes(&update->set), result,
		      update->failure->text);
	}
}

SUSPENDS static enum commit run(struct update *update)
{
	bool flagged = false;
	enum commit result;

	if (!maildrop_ensure_current(update->maildrop, update->failure) ||
	    !maildrop_can_delete(update->maildrop, update->failure)) {
		audit_all(update, "nothing sent");
		return COMMIT_FAILED;
	}
	const bool has_flagged = flag_all(update);
	const uint32_t flagged_end = update->index;

	if (has_flagged && expunge_all(update, &flagged)) {
		result = prove_all(update) ? COMMIT_DONE : COMMIT_FAILED;
	} else {
		result = flagged ? COMMIT_FLAGGED : COMMIT_FAILED;
		audit_all(update, flagged ? "flagged" : "not proven removed");
	}
	if (result != COMMIT_DONE && !has_uidplus(update)) {
		remember_leftovers(update, flagged_end);
	}
	return result;
}

SUSPENDS enum commit commit_deletions(struct maildrop *maildrop, struct failure *failure)
{
	struct update update = { .maildrop = maildrop, .failure = failure };
	enum commit result;

	if (maildrop->snapshot.deleted == 0) {
		return COMMIT_DONE;
	}
	maildrop_forget_list(maildrop);
	buffer_init(&update.set, SET_MAX);
	buffer_init(&update.remaining, SET_MAX);
	result = run(&update);
	maildrop_forget_list(maildrop); // what others asked for meanwhile
	buffer_release(&update.remaining);
	buffer_release(&update.set);
	return result;
}
