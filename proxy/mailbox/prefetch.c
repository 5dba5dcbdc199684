#include "proxy/mailbox/prefetch.h"

#define WINDOW_GROWTH 4 // octets for each one that is taken

/* The next message in this direction that is not marked. */
static uint32_t neighbour(const struct snapshot *snapshot, uint32_t msgno, int step)
{
	do {
		msgno += (uint32_t)step; // from 1 down to 0, which is none
	} while (msgno > 0 && msgno <= snapshot->count &&
		 !snapshot_message(snapshot, msgno));
	return msgno <= snapshot->count ? msgno : 0;
}

/* Which way does it go? */
static int judge_step(const struct prefetch *prefetch, const struct snapshot *snapshot,
		      uint32_t msgno, uint64_t length)
{
	if (prefetch->msgno == 0) {
		return prefetch->listed ? +1 : 0;
	}
	if (length != prefetch->length) {
		return 0;
	}
	if (neighbour(snapshot, prefetch->msgno, +1) == msgno) {
		return +1;
	}
	return neighbour(snapshot, prefetch->msgno, -1) == msgno ? -1 : 0;
}

void prefetch_note(struct prefetch *prefetch, const struct snapshot *snapshot,
		   uint32_t msgno, uint64_t length)
{
	const int step = judge_step(prefetch, snapshot, msgno, length);

	if (step != prefetch->step || prefetch->window == 0) {
		prefetch->window = PREFETCH_WINDOW_MIN;
	}
	prefetch->step = step;
	prefetch->msgno = msgno;
	prefetch->length = length;
	prefetch->used_ms = loop_now_ms();
}

uint32_t prefetch_next(const struct prefetch *prefetch, const struct snapshot *snapshot,
		       uint32_t msgno)
{
	return prefetch->step == 0 ? 0 : neighbour(snapshot, msgno, prefetch->step);
}

/* Soon large where the client goes on, never so where it took little. */
static void widen(struct prefetch *prefetch, const struct imap_part *taken)
{
	prefetch->window += WINDOW_GROWTH * imap_part_octets(taken);
	if (prefetch->window > PREFETCH_WINDOW_MAX) {
		prefetch->window = PREFETCH_WINDOW_MAX;
	}
}

/* What is on its way besides what is wanted now. */
static uint64_t octets_ahead(const struct imap *imap, const struct imap_part *wanted)
{
	const uint64_t announced = imap_body_announced(imap);
	const uint64_t mine = imap_part_octets(wanted);

	return announced > mine ? announced - mine : 0; // mine may be under way, or not
}

/* Is the end of the maildrop in sight? */
static bool is_near_the_end(const struct prefetch *prefetch,
			    const struct snapshot *snapshot)
{
	return (prefetch->step > 0 ? snapshot->count - prefetch->msgno
				   : prefetch->msgno) < IMAP_REQUESTS_MAX;
}

/* A few at a time, so that not every message costs a packet. */
static bool is_time_for_more(const struct prefetch *prefetch, const struct imap *imap,
			     const struct imap_part *wanted)
{
	return imap_body_count(imap) <= IMAP_REQUESTS_MAX * 7 / 8 &&
	       octets_ahead(imap, wanted) <= prefetch->window / 8 * 7;
}

/* One message may stand out of the window: else a large one would hold up the rest. */
static bool has_place(const struct prefetch *prefetch, uint64_t ahead,
		      const struct imap_part *part)
{
	return ahead < prefetch->window &&
	       ahead + imap_part_octets(part) <= PREFETCH_WINDOW_MAX;
}

SUSPENDS static bool ask_ahead(const struct prefetch *prefetch,
			       const struct snapshot *snapshot, struct imap *imap,
			       const struct imap_part *wanted, struct failure *failure)
{
	uint32_t msgno = prefetch_next(prefetch, snapshot, prefetch->msgno);

	while (msgno > 0 && imap_body_may_ask(imap)) {
		const struct message *message = snapshot_message(snapshot, msgno);
		const struct imap_part part = {
			.imap_uid = message->imap_uid,
			.length = prefetch->length,
			.listed = message->octets,
		};

		if (!imap_body_is_asked(imap, &part)) {
			if (!has_place(prefetch, octets_ahead(imap, wanted), &part)) {
				break;
			}
			if (!imap_body_ask(imap, &part, failure)) {
				return false;
			}
		}
		msgno = prefetch_next(prefetch, snapshot, msgno);
	}
	return true;
}

SUSPENDS bool prefetch_ask(struct prefetch *prefetch, const struct snapshot *snapshot,
			   struct imap *imap, const struct imap_part *wanted,
			   struct failure *failure)
{
	if (prefetch->step == 0 || !imap_body_may_ask(imap)) {
		return true;
	}
	if (imap_body_is_asked(imap, wanted)) {
		widen(prefetch, wanted);
		if (!is_near_the_end(prefetch, snapshot) &&
		    !is_time_for_more(prefetch, imap, wanted)) {
			return true;
		}
	} else {
		imap_body_forget(imap);
		if (!imap_body_ask(imap, wanted, failure)) {
			return false;
		}
	}
	return ask_ahead(prefetch, snapshot, imap, wanted, failure);
}

uint64_t prefetch_stale_ms(const struct prefetch *prefetch, const struct imap *imap,
			   uint64_t limit_ms)
{
	return imap_is_expecting(imap) ? prefetch->used_ms + limit_ms : DEADLINE_NEVER;
}
