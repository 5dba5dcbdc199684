#include "proxy/mailbox/leftover.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

#define LEFTOVERS_MAX 10000 // sets; the oldest go first

struct leftover {
	char *maildrop; // owned
	char *set;      // owned
	uint32_t uidvalidity;
};

/* A ring: rare enough to be searched from end to end. */
struct leftovers {
	struct leftover *list; // owned
	size_t count;
	size_t next; // where the next one goes
};

struct leftovers *leftovers_new(void)
{
	return memory_new(sizeof(struct leftovers));
}

static void release(struct leftover *leftover)
{
	free(leftover->maildrop);
	free(leftover->set);
}

void leftovers_free(struct leftovers *leftovers)
{
	if (!leftovers) {
		return;
	}
	for (size_t i = 0; i < leftovers->count; i++) {
		release(&leftovers->list[i]);
	}
	free(leftovers->list);
	free(leftovers);
}

void leftovers_add(struct leftovers *leftovers, struct bytes maildrop,
		   uint32_t uidvalidity, struct bytes set)
{
	struct leftover *place;

	if (leftovers->count < LEFTOVERS_MAX) {
		leftovers->list =
			memory_resize(leftovers->list,
				      (leftovers->count + 1) * sizeof(*leftovers->list));
		place = &leftovers->list[leftovers->count++];
	} else {
		place = &leftovers->list[leftovers->next];
		leftovers->next = (leftovers->next + 1) % LEFTOVERS_MAX;
		release(place);
	}
	*place = (struct leftover){ memory_copy_text(maildrop), memory_copy_text(set),
				    uidvalidity };
}

static bool set_contains(struct bytes set, uint32_t imap_uid)
{
	struct imap_range range;

	while (imap_set_next(&set, &range) == IMAP_SET_RANGE) {
		if (range.first <= imap_uid && imap_uid <= range.last) {
			return true;
		}
	}
	return false;
}

bool leftovers_contain(const struct leftovers *leftovers, struct bytes maildrop,
		       uint32_t uidvalidity, uint32_t imap_uid)
{
	for (size_t i = 0; i < leftovers->count; i++) {
		const struct leftover *leftover = &leftovers->list[i];

		if (leftover->uidvalidity == uidvalidity &&
		    bytes_equal(bytes_of(leftover->maildrop), maildrop) &&
		    set_contains(bytes_of(leftover->set), imap_uid)) {
			return true;
		}
	}
	return false;
}
