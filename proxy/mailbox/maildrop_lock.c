/*
 * What a maildrop is called, and that nobody else has it.
 */
#include "protocol/imap_mailbox_name.h"
#include "proxy/mailbox/maildrop_internal.h"

#include <ctype.h>

#define NAME_MAX_BYTES 8192
#define LOCK_RETRY_MS 500

/* In lower case it is the same for all spellings of its user. */
static bool write_name(const struct maildrop *maildrop, struct buffer *out)
{
	const struct config_route *route = maildrop->upstream->route;

	return buffer_printf(out, "%s:%u\n%s\n", route->host, route->port,
			     maildrop->user.at) &&
	       imap_mailbox_name_encode(bytes_of(maildrop->folder), out);
}

static void lower(struct buffer *text)
{
	for (size_t i = 0; i < text->len; i++) {
		text->data[i] = (char)tolower((unsigned char)text->data[i]);
	}
}

/* For an index, spellings count: they may be different users, or folders. */
bool maildrop_name(struct maildrop *maildrop, struct failure *failure)
{
	struct buffer text;

	buffer_init(&text, NAME_MAX_BYTES);
	if (write_name(maildrop, &text)) {
		maildrop->exact_name = memory_copy_text(buffer_bytes(&text));
		lower(&text);
		maildrop->name = memory_copy_text(buffer_bytes(&text));
	}
	buffer_release(&text);
	return maildrop->name || failure_set(failure, FAILURE_PERMANENT,
					     "the folder name is not UTF-8, or too long");
}

/* when-locked: wait. The other session may end any moment. */
SUSPENDS static struct keeper_lock *wait_for_lock(struct maildrop *maildrop,
						  struct keeper_client *keeper,
						  uint64_t deadline_ms,
						  struct failure *failure)
{
	struct keeper_lock *lock;

	do {
		lock = keeper_lock(keeper, bytes_of(maildrop->name), KEEPER_LOCK_REFUSE,
				   task_self(), deadline_ms, failure);
	} while (!lock && failure->kind == FAILURE_IN_USE &&
		 loop_deadline_ms(LOCK_RETRY_MS) < deadline_ms &&
		 task_sleep_until(loop_deadline_ms(LOCK_RETRY_MS)));
	return lock;
}

SUSPENDS static struct keeper_lock *lock_by_policy(struct maildrop *maildrop,
						   struct keeper_client *keeper,
						   uint64_t deadline_ms,
						   struct failure *failure)
{
	switch (maildrop->upstream->route->when_locked) {
	case CONFIG_REFUSE:
		return keeper_lock(keeper, bytes_of(maildrop->name), KEEPER_LOCK_REFUSE,
				   task_self(), deadline_ms, failure);
	case CONFIG_WAIT:
		return wait_for_lock(maildrop, keeper, deadline_ms, failure);
	case CONFIG_TAKE_OVER:
		return keeper_lock(keeper, bytes_of(maildrop->name),
				   KEEPER_LOCK_TAKE_OVER, task_self(), deadline_ms,
				   failure);
	case CONFIG_SHARE:
		break;
	}
	return NULL;
}

SUSPENDS bool maildrop_lock(struct maildrop *maildrop, struct keeper_client *keeper,
			    uint64_t deadline_ms, struct failure *failure)
{
	if (maildrop->upstream->route->when_locked == CONFIG_SHARE) {
		return true;
	}
	maildrop->lock = lock_by_policy(maildrop, keeper, deadline_ms, failure);
	if (!maildrop->lock && failure->kind == FAILURE_IN_USE) {
		failure_advise(failure, "wait until it ends, or set the route's "
					"when-locked: wait, take-over or share");
	}
	return maildrop->lock != NULL;
}
