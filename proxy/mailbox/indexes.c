/*
 * All goes well: an index that changed waits until its session is likely to be over, and
 * is passed to the keeper in pieces. The keeper is away, or its disk is full: it waits in
 * the queue again. The worker ends: everything that waits is passed on at once.
 */
#include "proxy/mailbox/indexes.h"

#include "proxy/mailbox/index.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ASK_MS 3000   // a sign-in waits for it
#define WAIT_MS 5000  // a session changes it at its begin and at its end
#define PIECE_MS 2000 // for the keeper to take one
#define BREATH_MS 20  // between two pieces, for others
#define FLUSH_MS 2000 // at the end
#define OCTETS_A_MS 8 // of one index, on the average

struct indexes {
	struct index_shelf *shelf;    // owned
	struct keeper_client *keeper; // borrowed
	struct task *saver;           // a child; NULL: no keeper
	struct gate more;             // to save, or is_ending
	bool is_ending;
	uint64_t end_ms;
	struct bytes saving; // the account whose index is under way
	bool is_forgotten;   // it is not to be saved
};

/* Under way: all its own, for the shelf may change meanwhile. */
struct passage {
	struct buffer text; // owned
	struct keeper_index_transfer transfer;
};

static void passage_init(struct passage *passage, const struct index_waiting *waiting)
{
	const size_t key = waiting->key.len;
	const size_t account = waiting->account.len;

	*passage = (struct passage){ 0 };
	buffer_init(&passage->text, SIZE_MAX);
	buffer_append(&passage->text, waiting->key);
	buffer_append(&passage->text, waiting->account);
	buffer_append(&passage->text, waiting->index);
	passage->transfer = (struct keeper_index_transfer){
		.maildrop = { passage->text.data, key },
		.account = { passage->text.data + key, account },
		.index = { passage->text.data + key + account, waiting->index.len },
	};
}

/* False: the keeper did not take it, or it is to be forgotten. */
SUSPENDS static bool pass_on(struct indexes *indexes,
			     struct keeper_index_transfer *transfer)
{
	bool goes_on = true;

	while (goes_on && !indexes->is_forgotten && !keeper_index_is_kept(transfer)) {
		if (transfer->done > 0 && !indexes->is_ending) {
			task_sleep_until(loop_deadline_ms(BREATH_MS));
		}
		goes_on = !indexes->is_forgotten &&
			  keeper_keep_index(indexes->keeper, transfer,
					    indexes->is_ending
						    ? indexes->end_ms
						    : loop_deadline_ms(PIECE_MS));
	}
	return goes_on && !indexes->is_forgotten;
}

SUSPENDS static void save(struct indexes *indexes, const struct index_waiting *waiting)
{
	struct passage passage;

	passage_init(&passage, waiting);
	index_shelf_dequeue(indexes->shelf);
	indexes->saving = passage.transfer.account;
	indexes->is_forgotten = false;
	const bool saved = pass_on(indexes, &passage.transfer);

	indexes->saving = (struct bytes){ 0 };
	index_shelf_note_saved(indexes->shelf, passage.transfer.maildrop, loop_now_ms());
	if (!saved && !indexes->is_ending) {
		index_shelf_enqueue(indexes->shelf, passage.transfer.maildrop,
				    loop_now_ms());
	}
	buffer_release(&passage.text);
}

static bool is_too_soon(const struct index_waiting *waiting)
{
	return waiting->saved_ms != 0 &&
	       loop_now_ms() < waiting->saved_ms + waiting->index.len / OCTETS_A_MS;
}

/* The one to be saved now. False: there is no more, and the worker ends. */
SUSPENDS static bool next(struct indexes *indexes, struct index_waiting *out)
{
	struct failure ignored;

	for (;;) {
		const bool waits = index_shelf_first(indexes->shelf, out);
		const uint64_t due_ms = waits ? out->since_ms + WAIT_MS : DEADLINE_NEVER;

		if (indexes->is_ending) {
			return waits && loop_now_ms() < indexes->end_ms;
		}
		if (loop_now_ms() < due_ms) {
			gate_wait(&indexes->more, due_ms, &ignored);
		} else if (is_too_soon(out)) {
			index_shelf_dequeue(indexes->shelf);
			index_shelf_enqueue(indexes->shelf, out->key, loop_now_ms());
		} else {
			return true;
		}
	}
}

SUSPENDS static void save_all(void *argument)
{
	struct indexes *indexes = argument;
	struct index_waiting waiting;

	while (next(indexes, &waiting)) {
		save(indexes, &waiting);
	}
}

struct indexes *indexes_new(size_t most_octets, struct keeper_client *keeper)
{
	struct indexes *indexes = memory_new(sizeof(*indexes));

	indexes->shelf = index_shelf_new(most_octets);
	indexes->keeper = keeper;
	if (keeper) {
		indexes->saver = task_start_child(save_all, indexes);
	}
	return indexes;
}

SUSPENDS void indexes_end(struct indexes *indexes)
{
	indexes->is_ending = true;
	indexes->end_ms = loop_deadline_ms(FLUSH_MS);
	gate_open(&indexes->more);
	if (indexes->saver) {
		task_join(indexes->saver);
		indexes->saver = NULL;
	}
}

void indexes_free(struct indexes *indexes)
{
	if (indexes) {
		index_shelf_free(indexes->shelf);
		free(indexes);
	}
}

SUSPENDS struct bytes indexes_find(struct indexes *indexes,
				   const struct index_owner *owner)
{
	struct bytes found = index_shelf_find(indexes->shelf, owner->maildrop);
	struct buffer kept;

	if (found.len > 0 || !indexes->keeper) {
		return found;
	}
	buffer_init(&kept, INDEX_OCTETS_MAX);
	if (keeper_index(indexes->keeper, owner->maildrop, loop_deadline_ms(ASK_MS),
			 &kept) &&
	    index_shelf_find(indexes->shelf, owner->maildrop).len == 0) {
		index_shelf_keep(indexes->shelf, owner->maildrop, owner->account,
				 buffer_bytes(&kept));
	}
	buffer_release(&kept);
	return index_shelf_find(indexes->shelf, owner->maildrop);
}

void indexes_keep(struct indexes *indexes, const struct index_owner *owner,
		  struct bytes index)
{
	if (bytes_equal(index_shelf_find(indexes->shelf, owner->maildrop), index)) {
		return;
	}
	index_shelf_keep(indexes->shelf, owner->maildrop, owner->account, index);
	if (indexes->keeper) {
		index_shelf_enqueue(indexes->shelf, owner->maildrop, loop_now_ms());
		gate_open(&indexes->more);
	}
}

void indexes_forget(struct indexes *indexes, struct bytes account)
{
	index_shelf_forget(indexes->shelf, account);
	if (indexes->saving.len > 0 && indexes->saving.len == account.len &&
	    strncasecmp(indexes->saving.at, account.at, account.len) == 0) {
		indexes->is_forgotten = true;
	}
}
