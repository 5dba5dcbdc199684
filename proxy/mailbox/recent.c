#include "proxy/mailbox/recent.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define LISTS_MAX 4096
#define OCTETS_MAX ((uint64_t)32 * 1024 * 1024) // all of them
#define LOOK_MS 1000                            // how late a hash is forgotten

struct list {
	struct list *next; // recent::lists, the newest first
	const struct upstream *upstream;
	char *name;    // owned
	char *account; // owned
	bool registered;
	unsigned char hash[KEYED_HASH_BYTES];
	uint64_t asked_ms;
	uint64_t until_ms;
	struct snapshot snapshot;
	struct imap_mailbox mailbox;
	unsigned capabilities;
};

struct recent {
	struct list *lists; // list::next
	uint32_t count;
	uint64_t octets;
	bool dismissed;
	unsigned char key[KEYED_HASH_BYTES];
	struct gate changed; // the first one came, or it is over
	struct task *attendant;
};

static uint64_t octets_of(const struct snapshot *snapshot)
{
	return snapshot->count * sizeof(struct message) + snapshot->ids.len;
}

static void drop(struct recent *recent, struct list **link)
{
	struct list *list = *link;

	*link = list->next;
	recent->count--;
	recent->octets -= octets_of(&list->snapshot);
	snapshot_release(&list->snapshot);
	memory_wipe(list->hash, sizeof(list->hash));
	free(list->account);
	free(list->name);
	free(list);
}

static void drop_over(struct recent *recent)
{
	struct list **link = &recent->lists;

	while (*link) {
		if (recent->dismissed || loop_now_ms() >= (*link)->until_ms) {
			drop(recent, link);
		} else {
			link = &(*link)->next;
		}
	}
}

SUSPENDS static void attend(void *argument)
{
	struct recent *recent = argument;
	struct failure ignored;

	while (!recent->dismissed) {
		drop_over(recent);
		gate_wait(&recent->changed,
			  recent->count > 0 ? loop_deadline_ms(LOOK_MS) : DEADLINE_NEVER,
			  &ignored);
	}
	drop_over(recent);
}

struct recent *recent_new(void)
{
	struct recent *recent = memory_new(sizeof(*recent));

	keyed_hash_new_key(recent->key);
	recent->attendant = task_start_child(attend, recent);
	return recent;
}

SUSPENDS void recent_free(struct recent *recent)
{
	if (recent) {
		recent->dismissed = true;
		gate_open(&recent->changed);
		task_join(recent->attendant);
		memory_wipe(recent->key, sizeof(recent->key));
		free(recent);
	}
}

/* What points to it, or to NULL. */
static struct list **find(struct recent *recent, const struct upstream *upstream,
			  const char *name)
{
	struct list **link = &recent->lists;

	while (*link &&
	       ((*link)->upstream != upstream || strcmp((*link)->name, name) != 0)) {
		link = &(*link)->next;
	}
	return link;
}

static void drop_oldest(struct recent *recent)
{
	struct list **link = &recent->lists;

	while ((*link)->next) {
		link = &(*link)->next;
	}
	drop(recent, link);
}

void recent_keep(struct recent *recent, const struct owner *owner, const char *name,
		 const struct recent_view *view)
{
	const uint64_t octets = octets_of(view->snapshot);
	struct list *list;

	recent_forget(recent, owner->upstream, name);
	if (octets > OCTETS_MAX || recent->dismissed) {
		return;
	}
	while (recent->lists &&
	       (recent->count >= LISTS_MAX || recent->octets + octets > OCTETS_MAX)) {
		drop_oldest(recent);
	}
	list = memory_new(sizeof(*list));
	list->upstream = owner->upstream;
	list->name = memory_copy_text(bytes_of(name));
	list->account = memory_copy_text(owner->account);
	list->registered = owner->registered;
	owner_hash(owner, recent->key, list->hash);
	list->asked_ms = view->asked_ms;
	list->until_ms = view->asked_ms + owner->upstream->route->min_poll_ms;
	snapshot_copy(&list->snapshot, view->snapshot);
	list->mailbox = view->mailbox;
	list->capabilities = view->capabilities;
	list->next = recent->lists;
	recent->lists = list;
	recent->octets += octets;
	if (recent->count++ == 0) {
		gate_open(&recent->changed);
	}
}

/* Who is registered was let in a moment ago, and may have a new token every time. */
static bool may_have(const struct recent *recent, const struct list *list,
		     const struct owner *owner)
{
	unsigned char hash[KEYED_HASH_BYTES];
	bool same;

	if (list->registered != owner->registered) {
		return false;
	}
	if (owner->registered) {
		return owner_is_account(list->account, owner->account);
	}
	owner_hash(owner, recent->key, hash);
	same = keyed_hash_equal(hash, list->hash);
	memory_wipe(hash, sizeof(hash));
	return same;
}

struct recent_view recent_find(struct recent *recent, const struct owner *owner,
			       const char *name)
{
	const struct list *list = *find(recent, owner->upstream, name);

	if (!list || loop_now_ms() >= list->until_ms || !may_have(recent, list, owner)) {
		return (struct recent_view){ 0 };
	}
	return (struct recent_view){ &list->snapshot, list->mailbox, list->capabilities,
				     list->asked_ms };
}

void recent_forget(struct recent *recent, const struct upstream *upstream,
		   const char *name)
{
	struct list **link = find(recent, upstream, name);

	if (*link) {
		drop(recent, link);
	}
}

void recent_kick(struct recent *recent, struct bytes account)
{
	struct list **link = &recent->lists;

	while (*link) {
		if (owner_is_account((*link)->account, account)) {
			drop(recent, link);
		} else {
			link = &(*link)->next;
		}
	}
}
