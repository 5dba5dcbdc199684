#include "proxy/keeper/suspects.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct suspect {
	struct suspect *next;
	unsigned deaths;
	uint64_t last_ms;
	size_t len;
	char account[];
};

/* A list will do: it is empty unless workers die. */
struct suspects {
	struct suspect *first; // suspect::next
	size_t count;
};

struct suspects *suspects_new(void)
{
	return memory_new(sizeof(struct suspects));
}

static struct suspect **find(struct suspects *suspects, struct bytes account)
{
	struct suspect **link = &suspects->first;

	while (*link &&
	       !bytes_equal((struct bytes){ (*link)->account, (*link)->len }, account)) {
		link = &(*link)->next;
	}
	return link;
}

static void remove_at(struct suspects *suspects, struct suspect **link)
{
	struct suspect *suspect = *link;

	*link = suspect->next;
	free(suspect);
	suspects->count--;
}

void suspects_free(struct suspects *suspects)
{
	while (suspects->first) {
		remove_at(suspects, &suspects->first);
	}
	free(suspects);
}

static struct suspect *add(struct suspects *suspects, struct bytes account)
{
	struct suspect *suspect = memory_new(sizeof(*suspect) + account.len);

	if (account.len > 0) {
		memcpy(suspect->account, account.at, account.len);
	}
	suspect->len = account.len;
	suspect->next = suspects->first;
	suspects->first = suspect;
	suspects->count++;
	return suspect;
}

bool suspects_blame(struct suspects *suspects, struct bytes account, uint64_t now_ms)
{
	struct suspect *suspect = *find(suspects, account);

	if (!suspect) {
		if (suspects->count >= SUSPECTS_MAX) {
			return false;
		}
		suspect = add(suspects, account);
	}
	suspect->deaths =
		now_ms - suspect->last_ms < SUSPECT_MS ? suspect->deaths + 1 : 1;
	suspect->last_ms = now_ms;
	return suspect->deaths >= SUSPECT_DEATHS;
}

void suspects_clear(struct suspects *suspects, struct bytes account)
{
	struct suspect **link = find(suspects, account);

	if (*link) {
		remove_at(suspects, link);
	}
}

bool suspects_are_refused(const struct suspects *suspects, struct bytes account,
			  uint64_t now_ms)
{
	for (const struct suspect *suspect = suspects->first; suspect;
	     suspect = suspect->next) {
		if (bytes_equal((struct bytes){ suspect->account, suspect->len },
				account)) {
			return suspect->deaths >= SUSPECT_DEATHS &&
			       now_ms - suspect->last_ms < SUSPECT_REFUSED_MS;
		}
	}
	return false;
}

void suspects_expire(struct suspects *suspects, uint64_t now_ms)
{
	struct suspect **link = &suspects->first;

	while (*link) {
		if (now_ms - (*link)->last_ms >= SUSPECT_MS) {
			remove_at(suspects, link);
		} else {
			link = &(*link)->next;
		}
	}
}
