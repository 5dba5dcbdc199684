/*
 * A maildrop's list, from its index where there is one, and into it.
 */
#include "proxy/mailbox/index.h"
#include "proxy/mailbox/maildrop_internal.h"

static struct index_owner owner_of(const struct maildrop *maildrop)
{
	return (struct index_owner){ bytes_of(maildrop->exact_name), maildrop->account };
}

/* Hidden messages are not in the snapshot, but in the folder. */
static void keep_index(const struct maildrop *maildrop)
{
	const struct index_owner owner = owner_of(maildrop);
	struct buffer index;

	if (!maildrop->indexes || maildrop->snapshot.hidden > 0) {
		return;
	}
	buffer_init(&index, INDEX_OCTETS_MAX);
	if (maildrop->snapshot.uidnext == 0 ||
	    !index_encode(&maildrop->snapshot, &index)) {
		buffer_clear(&index);
	}
	indexes_keep(maildrop->indexes, &owner, buffer_bytes(&index));
	buffer_release(&index);
}

void maildrop_keep_changes(const struct maildrop *maildrop)
{
	if (maildrop->snapshot.deleted > 0 || maildrop->snapshot.learnt.count > 0) {
		keep_index(maildrop);
	}
}

/* An empty folder, and one of which no index can be made, need none. */
SUSPENDS static struct bytes find_index(const struct maildrop *maildrop)
{
	const struct index_owner owner = owner_of(maildrop);

	if (!maildrop->indexes || maildrop->mailbox.exists == 0 ||
	    maildrop->mailbox.uidnext == 0) {
		return (struct bytes){ 0 };
	}
	return indexes_find(maildrop->indexes, &owner);
}

SUSPENDS bool maildrop_list(struct maildrop *maildrop, struct failure *failure)
{
	const struct bytes index = find_index(maildrop);
	bool changed;
	const bool built = snapshot_build(
		&maildrop->snapshot, maildrop->imap, &maildrop->mailbox,
		&maildrop->upstream->route->unique_id, index, &changed, failure);

	if (changed) {
		keep_index(maildrop);
	}
	if (!built) {
		snapshot_release(&maildrop->snapshot);
	}
	return built;
}
