/*
 * Indexes of folders, and what unique-ids are made by: kept for workers, forgotten for
 * operators.
 *
 * All goes well: the pieces of an index come one by one, each is answered, and others are
 * served between them. The worker dies, another one begins with the same index, or it is
 * to be forgotten: what came so far is not whole, and nobody gets it.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/keeper_internal.h"

static bool begin(struct worker *worker, const struct keeper_message *message)
{
	worker->index = (struct index_inflow){
		.id = store_index_begin(worker->keeper->store, message->key,
					message->account, keeper_wall_s()),
	};
	return worker->index.id != 0;
}

/* False: it has to begin anew. */
static bool take_piece(struct worker *worker, const struct keeper_message *message)
{
	struct store *store = worker->keeper->store;
	struct index_inflow *index = &worker->index;

	if (message->number == 0 && !begin(worker, message)) {
		return false;
	}
	if (index->id == 0 || message->number != index->pieces ||
	    !store_index_add(store, index->id, message->number, message->piece)) {
		return false;
	}
	index->pieces++;
	index->octets += message->piece.len;
	return message->piece.len == KEEPER_PIECE_MAX ||
	       store_index_end(store, index->id, index->octets);
}

void keeper_index_keep(struct worker *worker, const struct keeper_message *message)
{
	const bool taken = take_piece(worker, message);

	if (!taken || message->piece.len < KEEPER_PIECE_MAX) {
		worker->index = (struct index_inflow){ 0 };
	}
	outbox_put(&worker->outbox, &(struct keeper_message){ .type = KEEPER_KEPT,
							      .request = message->request,
							      .number = taken });
}

void keeper_index_ask(struct worker *worker, const struct keeper_message *message)
{
	struct buffer piece;

	buffer_init(&piece, KEEPER_PIECE_MAX);
	store_index_piece(worker->keeper->store, message->key, message->number,
			  keeper_wall_s(), &piece);
	outbox_put(&worker->outbox,
		   &(struct keeper_message){ .type = KEEPER_INDEX,
					     .request = message->request,
					     .piece = buffer_bytes(&piece) });
	buffer_release(&piece);
}

void keeper_note_known(struct worker *worker, const struct keeper_message *message)
{
	const struct config_known known = { .account = message->account,
					    .routed_as = message->route,
					    .folder = message->folder,
					    .unique_id = message->unique_id };

	store_note_unique_ids(worker->keeper->store, &known, keeper_wall_s());
}

static void judge(struct keeper *keeper, const struct config *config, bool accept,
		  struct config_verdict *verdict)
{
	struct config_known known = { .account = { 0 } };
	struct buffer texts;

	buffer_init(&texts, STORE_KNOWN_TEXTS);
	while (store_next_unique_ids(keeper->store, &texts, &known)) {
		if (config_changes(config, &known, verdict) && accept) {
			store_drop_unique_ids(keeper->store, &known);
		}
	}
	buffer_release(&texts);
}

bool keeper_agrees(struct keeper *keeper, const struct config *config, bool accept,
		   struct failure *failure)
{
	const bool accepted =
		accept || (keeper->has_accepted &&
			   keeper->accepted == config_unique_ids_digest(config));
	struct config_verdict verdict = { 0 };

	judge(keeper, config, accepted, &verdict);
	return verdict.changed == 0 || accepted ||
	       config_refuse_change(&verdict, failure);
}

void keeper_accept(struct keeper *keeper, uint64_t digest)
{
	keeper->has_accepted = true;
	keeper->accepted = digest;
}
