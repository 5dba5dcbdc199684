/*
 * The list of a folder as octets, to be kept until the next sign-in: UID and size of each
 * message, the exact size where RFC822.SIZE is wrong, the provider's id where the
 * unique-id is made of it. About four octets a message, with version and checksum; thrown
 * away whenever anything in it is odd.
 *
 * It holds for one UIDVALIDITY, and for the UIDs below the UIDNEXT that was selected. It
 * may name messages that are gone by now, but misses none that is there; only of a list
 * that was cut off nobody knows, so that one is compared with what exists.
 */
#ifndef PROXY_MAILBOX_INDEX_H
#define PROXY_MAILBOX_INDEX_H

#include "proxy/mailbox/snapshot.h"

#define INDEX_OCTETS_MAX (16u * 1024 * 1024) // a larger one is not worth keeping

/* Messages that are not marked deleted, with what was learnt of them, appended. False:
 * there is no room in out. */
bool index_encode(const struct snapshot *snapshot, struct buffer *out);

/*
 * Into a snapshot without messages, whose uidvalidity, uidnext and unique_id are those of
 * the folder as it was just selected. *uidnext: the first UID that the index knows
 * nothing of. False: damaged, another version, or about another state of the folder; then
 * the snapshot has no messages.
 */
bool index_decode(struct bytes index, struct snapshot *snapshot, uint32_t *uidnext);

#endif
