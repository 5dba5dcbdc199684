#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_client_internal.h"

#include <string.h>

/* False: nobody answered, and the question is not ours any more. */
SUSPENDS static bool ask_for_piece(struct keeper_client *client, struct bytes maildrop,
				   uint32_t number, uint64_t deadline_ms,
				   struct question **out)
{
	struct question *question = memory_new(sizeof(*question));
	struct failure ignored;

	question->text = memory_copy_text(maildrop);
	question->message =
		(struct keeper_message){ .type = KEEPER_ASK_INDEX,
					 .number = number,
					 .key = { question->text, maildrop.len } };
	*out = question;
	return keeper_question_ask(client, question, deadline_ms, &ignored);
}

SUSPENDS bool keeper_index(struct keeper_client *client, struct bytes maildrop,
			   uint64_t deadline_ms, struct buffer *out)
{
	size_t len = KEEPER_PIECE_MAX;
	struct question *question;

	buffer_clear(out);
	if (maildrop.len == 0 || maildrop.len > KEEPER_TEXT_MAX) {
		return false;
	}
	for (uint32_t i = 0; i < KEEPER_PIECES_MAX && len == KEEPER_PIECE_MAX; i++) {
		bool fits;

		if (!ask_for_piece(client, maildrop, i, deadline_ms, &question)) {
			return false;
		}
		len = question->piece.len;
		fits = buffer_append(out, buffer_bytes(&question->piece));
		keeper_question_free(question);
		if (!fits) {
			return false;
		}
	}
	return out->len > 0;
}

static size_t append(char *text, size_t at, struct bytes more)
{
	if (more.len > 0) {
		memcpy(text + at, more.at, more.len);
	}
	return at + more.len;
}

/* The question may outlive us: its texts are its own. */
static struct question *question_with(const struct keeper_index_transfer *transfer)
{
	struct question *question = memory_new(sizeof(*question));
	const size_t left = transfer->index.len - transfer->done;
	const struct bytes piece = { transfer->index.at + transfer->done,
				     left < KEEPER_PIECE_MAX ? left : KEEPER_PIECE_MAX };
	const struct bytes key = transfer->maildrop;
	const struct bytes account = transfer->account;
	char *text = memory_new(key.len + account.len + piece.len + 1);

	append(text, append(text, append(text, 0, key), account), piece);
	question->text = text;
	question->message = (struct keeper_message){
		.type = KEEPER_KEEP_INDEX,
		.number = (uint32_t)(transfer->done / KEEPER_PIECE_MAX),
		.key = { text, key.len },
		.account = { text + key.len, account.len },
		.piece = { text + key.len + account.len, piece.len },
	};
	return question;
}

SUSPENDS bool keeper_keep_index(struct keeper_client *client,
				struct keeper_index_transfer *transfer,
				uint64_t deadline_ms)
{
	struct question *question;
	struct failure ignored;
	bool kept;

	if (transfer->maildrop.len == 0 || transfer->maildrop.len > KEEPER_TEXT_MAX ||
	    transfer->account.len > KEEPER_TEXT_MAX ||
	    transfer->index.len >= (size_t)KEEPER_PIECES_MAX * KEEPER_PIECE_MAX) {
		return false;
	}
	question = question_with(transfer);
	const size_t len = question->message.piece.len;

	if (!keeper_question_ask(client, question, deadline_ms, &ignored)) {
		return false;
	}
	kept = question->number == 1;
	keeper_question_free(question);
	/* One that is not full is the last, so there is always one. */
	transfer->done += len < KEEPER_PIECE_MAX ? len + 1 : len;
	return kept;
}

bool keeper_index_is_kept(const struct keeper_index_transfer *transfer)
{
	return transfer->done > transfer->index.len;
}

void keeper_tell_unique_ids(struct keeper_client *client,
			    const struct keeper_unique_ids *made_by)
{
	if (client) {
		keeper_client_say(client, &(struct keeper_message){
						  .type = KEEPER_KNOWN,
						  .account = made_by->account,
						  .route = made_by->routed_as,
						  .folder = made_by->folder,
						  .unique_id = made_by->unique_id });
	}
}
