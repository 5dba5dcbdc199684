#include "proxy/mailbox/exact_sizes.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 16

void exact_sizes_release(struct exact_sizes *sizes)
{
	free(sizes->list);
	*sizes = (struct exact_sizes){ 0 };
}

void exact_sizes_copy(struct exact_sizes *to, const struct exact_sizes *from)
{
	*to = (struct exact_sizes){ .count = from->count, .room = from->count };
	if (from->count > 0) {
		to->list = memory_new_array(from->count, sizeof(*to->list));
		memcpy(to->list, from->list, from->count * sizeof(*to->list));
	}
}

/* The index of a UID, or of the first above it; mostly the end. */
static uint32_t place(const struct exact_sizes *sizes, uint32_t imap_uid)
{
	uint32_t low = 0;
	uint32_t high = sizes->count;

	if (high > 0 && sizes->list[high - 1].imap_uid < imap_uid) {
		return high;
	}
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (sizes->list[middle].imap_uid < imap_uid) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static void make_room(struct exact_sizes *sizes, uint32_t at)
{
	if (sizes->count == sizes->room) {
		sizes->room = sizes->room > 0 ? sizes->room * 2 : ROOM_FIRST;
		sizes->list =
			memory_resize(sizes->list, sizes->room * sizeof(*sizes->list));
	}
	memmove(&sizes->list[at + 1], &sizes->list[at],
		(sizes->count - at) * sizeof(*sizes->list));
	sizes->count++;
}

void exact_sizes_set(struct exact_sizes *sizes, uint32_t imap_uid, uint64_t octets)
{
	const uint32_t at = place(sizes, imap_uid);

	if (at == sizes->count || sizes->list[at].imap_uid != imap_uid) {
		make_room(sizes, at);
	}
	sizes->list[at] = (struct exact_size){ octets, imap_uid };
}

const struct exact_size *exact_sizes_find(const struct exact_sizes *sizes,
					  uint32_t imap_uid)
{
	const uint32_t at = sizes->count > 0 ? place(sizes, imap_uid) : 0;

	return at < sizes->count && sizes->list[at].imap_uid == imap_uid
		       ? &sizes->list[at]
		       : NULL;
}
