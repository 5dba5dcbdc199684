#include "proxy/mailbox/snapshot.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define WALKS 2 // of all messages, for one search: once would do

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

uint32_t snapshot_place(const struct snapshot *snapshot, uint32_t imap_uid)
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

void snapshot_sum(struct snapshot *snapshot)
{
	snapshot->octets = 0;
	for (uint32_t i = 0; i < snapshot->count; i++) {
		snapshot->octets += snapshot_octets(snapshot, &snapshot->messages[i]);
	}
}

void snapshot_forget_rows(struct snapshot *snapshot)
{
	free(snapshot->messages);
	snapshot->messages = NULL;
	snapshot->count = 0;
	snapshot->room = 0;
	snapshot->is_begun = false;
	buffer_clear(&snapshot->ids);
	exact_sizes_release(&snapshot->exact);
}

void snapshot_copy(struct snapshot *to, const struct snapshot *from)
{
	*to = *from;
	to->room = from->count;
	to->messages = NULL;
	if (from->count > 0) {
		to->messages = memory_new_array(from->count, sizeof(*to->messages));
		memcpy(to->messages, from->messages, from->count * sizeof(*to->messages));
	}
	buffer_init(&to->ids, from->ids.max);
	buffer_append(&to->ids, buffer_bytes(&from->ids));
	exact_sizes_copy(&to->exact, &from->exact);
	to->learnt = (struct exact_sizes){ 0 }; // his own
	snapshot_unmark_all(to);
}

void snapshot_release(struct snapshot *snapshot)
{
	free(snapshot->messages);
	buffer_release(&snapshot->ids);
	exact_sizes_release(&snapshot->exact);
	exact_sizes_release(&snapshot->learnt);
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

uint64_t snapshot_octets(const struct snapshot *snapshot, const struct message *message)
{
	const struct exact_size *exact =
		exact_sizes_find(&snapshot->exact, message->imap_uid);

	return exact ? exact->octets : message->octets;
}

void snapshot_learn(struct snapshot *snapshot, const struct message *message,
		    uint64_t octets)
{
	if (octets != snapshot_octets(snapshot, message)) {
		exact_sizes_set(&snapshot->learnt, message->imap_uid, octets);
	}
}

void snapshot_mark(struct snapshot *snapshot, struct message *message)
{
	message->deleted = 1;
	snapshot->deleted++;
	snapshot->octets -= snapshot_octets(snapshot, message);
}

void snapshot_unmark_all(struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->count; i++) {
		snapshot->messages[i].deleted = 0;
	}
	snapshot->deleted = 0;
	snapshot_sum(snapshot);
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

bool snapshot_may_walk(const struct snapshot *snapshot, const struct imap_range *range,
		       uint64_t *walked)
{
	const uint32_t end = range->last == UINT32_MAX
				     ? snapshot->count
				     : snapshot_place(snapshot, range->last + 1);

	*walked += end - snapshot_place(snapshot, range->first);
	return *walked <= (uint64_t)snapshot->count * WALKS;
}

uint32_t snapshot_count_marked(const struct snapshot *snapshot,
			       const struct imap_range *range)
{
	uint32_t marked = 0;

	for (uint32_t i = snapshot_place(snapshot, range->first);
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
