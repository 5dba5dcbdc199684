/*
 * All goes well: kept after QUIT, taken at the next sign-in. What can go wrong: the time
 * is over, the server hangs up, somebody newer needs the place. Closing suspends, so it
 * is left to an attendant, who also looks now and then whether the parked are still
 * there.
 */
#include "proxy/mailbox/parking.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

#define LOOK_MS 5000   // how often the attendant looks
#define ANSWER_MS 5000 // a server that takes longer to leave a folder is hung up on

/* A connection in one of the two lists. */
struct parked {
	struct parked *next; // parking::parked, the newest first, or parking::leaving
	const struct upstream *upstream;
	char *user;    // owned
	char *account; // owned
	unsigned char hash[KEYED_HASH_BYTES];
	struct imap *imap; // owned
	uint64_t verified_ms;
	uint64_t until_ms;
	uint64_t settled_by_ms; // what was sent when it was parked has to be answered
};

struct parking {
	uint64_t keep_ms;
	uint32_t most;
	uint32_t count;         // of parked
	struct parked *parked;  // parked::next, may be taken
	struct parked *leaving; // parked::next, to be closed by the attendant
	uint64_t look_ms;       // when the attendant looks at them next
	bool ended;             // nothing is kept any more
	bool dismissed;         // nobody brings anything any more: the attendant may go
	unsigned char key[KEYED_HASH_BYTES];
	struct gate changed; // opened when the attendant has something to do
	struct task *attendant;
};

static bool is_of(const struct parked *parked, const struct owner *owner)
{
	return parked->upstream == owner->upstream &&
	       bytes_equal(bytes_of(parked->user), owner->user);
}

/* The only way out of the list of the parked. */
static struct parked *unlink_parked(struct parking *parking, struct parked **link)
{
	struct parked *parked = *link;

	*link = parked->next;
	parked->next = NULL;
	parking->count--;
	metrics_gauge_down(METRICS_UPSTREAM_PARKED);
	return parked;
}

static void send_away(struct parking *parking, struct parked **link)
{
	struct parked *parked = unlink_parked(parking, link);

	parked->next = parking->leaving;
	parking->leaving = parked;
	gate_open(&parking->changed);
}

static void parked_free(struct parked *parked)
{
	free(parked->account);
	free(parked->user);
	memory_wipe(parked->hash, sizeof(parked->hash));
	free(parked);
}

SUSPENDS static void close_leaving(struct parking *parking)
{
	while (parking->leaving) {
		struct parked *parked = parking->leaving;

		parking->leaving = parked->next;
		imap_close(parked->imap);
		parked_free(parked);
	}
}

/* Its time is not over, and its server has neither hung up nor left a question open. */
static bool is_well(const struct parked *parked)
{
	const uint64_t now_ms = loop_now_ms();

	return now_ms < parked->until_ms && imap_hear(parked->imap) &&
	       (now_ms < parked->settled_by_ms || imap_is_settled(parked->imap));
}

/* Every now and then: to look whenever one is brought would cost a call for each. */
static void look_around(struct parking *parking)
{
	struct parked **link = &parking->parked;

	if (!parking->ended && loop_now_ms() < parking->look_ms) {
		return;
	}
	parking->look_ms = loop_deadline_ms(LOOK_MS);
	while (*link) {
		if (parking->ended || !is_well(*link)) {
			send_away(parking, link);
		} else {
			link = &(*link)->next;
		}
	}
}

SUSPENDS static void attend(void *argument)
{
	struct parking *parking = argument;
	struct failure ignored;

	do {
		look_around(parking);
		close_leaving(parking);
		if (!parking->dismissed && !parking->leaving) {
			gate_wait(&parking->changed,
				  parking->parked ? parking->look_ms : DEADLINE_NEVER,
				  &ignored);
		}
	} while (!parking->dismissed || parking->parked || parking->leaving);
}

struct parking *parking_new(uint64_t keep_ms, uint32_t most)
{
	struct parking *parking = memory_new(sizeof(*parking));

	parking->keep_ms = keep_ms;
	parking->most = most;
	keyed_hash_new_key(parking->key);
	parking->attendant = task_start_child(attend, parking);
	return parking;
}

void parking_kick(struct parking *parking, struct bytes account)
{
	struct parked **link = &parking->parked;

	while (*link) {
		if (owner_is_account((*link)->account, account)) {
			send_away(parking, link);
		} else {
			link = &(*link)->next;
		}
	}
}

void parking_make_way(struct parking *parking, const struct upstream *upstream,
		      struct bytes user)
{
	struct parked **oldest_of_it = NULL;

	for (struct parked **link = &parking->parked; *link; link = &(*link)->next) {
		if ((*link)->upstream == upstream &&
		    (user.len == 0 || bytes_equal(bytes_of((*link)->user), user))) {
			oldest_of_it = link;
		}
	}
	if (oldest_of_it) {
		send_away(parking, oldest_of_it);
	}
}

void parking_end(struct parking *parking)
{
	parking->ended = true;
	gate_open(&parking->changed);
}

SUSPENDS void parking_free(struct parking *parking)
{
	if (parking) {
		parking->dismissed = true;
		parking_end(parking);
		task_join(parking->attendant);
		memory_wipe(parking->key, sizeof(parking->key));
		free(parking);
	}
}

/* What points to the oldest, or to NULL. */
static struct parked **oldest(struct parking *parking)
{
	struct parked **link = &parking->parked;

	while (*link && (*link)->next) {
		link = &(*link)->next;
	}
	return link;
}

/* One an account, and no more than there is room for: the oldest make way. */
static void make_room(struct parking *parking, const struct owner *owner)
{
	struct parked **link = &parking->parked;

	while (*link) {
		if (is_of(*link, owner)) {
			send_away(parking, link);
		} else {
			link = &(*link)->next;
		}
	}
	for (link = oldest(parking); *link && parking->count >= parking->most;
	     link = oldest(parking)) {
		send_away(parking, link);
	}
}

static struct parked *create(const struct parking *parking, const struct owner *owner,
			     struct imap *imap, uint64_t verified_ms)
{
	struct parked *parked = memory_new(sizeof(*parked));

	parked->upstream = owner->upstream;
	parked->user = memory_copy_text(owner->user);
	parked->account = memory_copy_text(owner->account);
	parked->imap = imap;
	parked->verified_ms = verified_ms;
	parked->until_ms = verified_ms + parking->keep_ms;
	parked->settled_by_ms = loop_deadline_ms(ANSWER_MS);
	owner_hash(owner, parking->key, parked->hash);
	imap_rest(imap);
	return parked;
}

/*
 * A connection that waits has its folder open. Old servers over mbox files write their
 * view of it back when it closes, over what came meanwhile (GNU imap4d): those have no
 * UIDPLUS.
 */
static bool may_wait(struct imap *imap)
{
	return imap_is_settled(imap) &&
	       ((imap_capabilities(imap) & IMAP_UIDPLUS) || imap_leave(imap));
}

void parking_keep(struct parking *parking, const struct owner *owner, struct imap *imap,
		  uint64_t verified_ms)
{
	struct parked *parked = create(parking, owner, imap, verified_ms);

	make_room(parking, owner);
	parked->next = parking->parked;
	parking->parked = parked;
	parking->count++;
	metrics_gauge_up(METRICS_UPSTREAM_PARKED);
	if (parking->ended || parking->count > parking->most ||
	    loop_now_ms() >= parked->until_ms || !may_wait(imap)) {
		send_away(parking, &parking->parked);
	}
	gate_open(&parking->changed); // who sleeps for ever has to look now and then
}

struct imap *parking_take(struct parking *parking, const struct owner *owner,
			  uint64_t *verified_ms)
{
	unsigned char hash[KEYED_HASH_BYTES];
	struct parked **link = &parking->parked;
	struct imap *imap = NULL;

	while (*link && !is_of(*link, owner)) {
		link = &(*link)->next;
	}
	if (!*link) {
		return NULL;
	}
	owner_hash(owner, parking->key, hash);
	if (!keyed_hash_equal(hash, (*link)->hash)) {
		memory_wipe(hash, sizeof(hash));
		return NULL;
	}
	memory_wipe(hash, sizeof(hash));
	if (!is_well(*link)) {
		send_away(parking, link);
		return NULL;
	}
	struct parked *parked = unlink_parked(parking, link);

	imap = parked->imap;
	*verified_ms = parked->verified_ms;
	parked_free(parked);
	metrics_count(METRICS_PARKED_USED);
	return imap;
}
