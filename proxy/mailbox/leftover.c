#include "proxy/mailbox/leftover.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

#define KEEPER_MS 2000 // QUIT waits for it

static size_t count_ranges(struct bytes set)
{
	struct imap_range range;
	size_t count = 0;

	while (imap_set_next(&set, &range) == IMAP_SET_RANGE) {
		count++;
	}
	return count;
}

SUSPENDS void leftovers_load(struct leftovers *leftovers, const struct maildrop *maildrop)
{
	struct buffer text;
	struct bytes rest;

	buffer_init(&text, KEEPER_SET_MAX);
	keeper_left(maildrop->keeper, bytes_of(maildrop->name),
		    maildrop->snapshot.uidvalidity, loop_deadline_ms(KEEPER_MS), &text);
	rest = buffer_bytes(&text);
	leftovers->count = 0;
	leftovers->list =
		memory_new_array(count_ranges(rest) + 1, sizeof(*leftovers->list));
	while (imap_set_next(&rest, &leftovers->list[leftovers->count]) ==
	       IMAP_SET_RANGE) {
		leftovers->count++;
	}
	buffer_release(&text);
}

void leftovers_release(struct leftovers *leftovers)
{
	free(leftovers->list);
	*leftovers = (struct leftovers){ 0 };
}

bool leftovers_contain(const struct leftovers *leftovers, uint32_t imap_uid)
{
	for (size_t i = 0; i < leftovers->count; i++) {
		if (leftovers->list[i].first <= imap_uid &&
		    imap_uid <= leftovers->list[i].last) {
			return true;
		}
	}
	return false;
}

void leftovers_add(const struct maildrop *maildrop, struct bytes set)
{
	keeper_tell_left(maildrop->keeper, bytes_of(maildrop->name), maildrop->account,
			 maildrop->snapshot.uidvalidity, set);
}
