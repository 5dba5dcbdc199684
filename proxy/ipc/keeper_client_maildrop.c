#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_client_internal.h"

#include <stdlib.h>
#include <string.h>

void keeper_lock_free(struct keeper_lock *lock)
{
	free(lock->key);
	free(lock);
}

static struct keeper_lock *lock_new(struct keeper_client *client, struct bytes key,
				    struct task *holder)
{
	struct keeper_lock *lock = memory_new(sizeof(*lock));

	lock->client = client;
	lock->key = memory_copy_text(key);
	lock->holder = holder;
	return lock;
}

void keeper_lock_keep(struct keeper_lock *lock)
{
	if (lock) {
		lock->holder = NULL;
	}
}

static bool in_use(struct failure *failure)
{
	failure_set(failure, FAILURE_IN_USE, "another session has this maildrop");
	return failure_advise(
		failure, "wait until it ends, or set when-locked: take-over or share");
}

SUSPENDS struct keeper_lock *keeper_lock(struct keeper_client *client, struct bytes key,
					 enum keeper_when_locked when,
					 struct task *holder, uint64_t deadline_ms,
					 struct failure *failure)
{
	struct keeper_lock *lock = lock_new(client, key, holder);
	struct question *question;

	if (!client) {
		return lock;
	}
	if (key.len == 0 || key.len > KEEPER_TEXT_MAX || memchr(key.at, '\0', key.len)) {
		keeper_lock_free(lock);
		failure_set(failure, FAILURE_PERMANENT, "no name for a maildrop");
		return NULL;
	}
	question = memory_new(sizeof(*question));
	question->lock = lock;
	question->message = (struct keeper_message){ .type = KEEPER_LOCK,
						     .number = when,
						     .key = bytes_of(lock->key) };
	if (!keeper_question_ask(client, question, deadline_ms, failure)) {
		keeper_unanswered(client, when == KEEPER_LOCK_TAKE_OVER, failure);
		return NULL;
	}
	if (question->number != 1) {
		in_use(failure);
		lock = NULL; // freed with the question
	}
	keeper_question_free(question);
	return lock;
}

void keeper_unlock(struct keeper_lock *lock)
{
	if (!lock) {
		return;
	}
	if (lock->client) {
		*lock->at = lock->next;
		if (lock->next) {
			lock->next->at = lock->at;
		}
		keeper_client_say(lock->client,
				  &(struct keeper_message){ .type = KEEPER_UNLOCK,
							    .key = bytes_of(lock->key) });
	}
	keeper_lock_free(lock);
}

bool keeper_lock_is_taken_over(const struct keeper_lock *lock)
{
	return lock && lock->is_taken_over;
}

void keeper_tell_left(struct keeper_client *client, struct bytes maildrop,
		      struct bytes account, uint32_t uidvalidity, struct bytes set)
{
	if (client) {
		keeper_client_say(client, &(struct keeper_message){ .type = KEEPER_LEFT,
								    .key = maildrop,
								    .account = account,
								    .number = uidvalidity,
								    .set = set });
	}
}

SUSPENDS void keeper_left(struct keeper_client *client, struct bytes maildrop,
			  uint32_t uidvalidity, uint64_t deadline_ms, struct buffer *set)
{
	struct question *question;
	struct failure ignored;

	buffer_clear(set);
	if (!client || maildrop.len == 0 || maildrop.len > KEEPER_TEXT_MAX) {
		return;
	}
	question = memory_new(sizeof(*question));
	question->text = memory_copy_text(maildrop);
	question->message =
		(struct keeper_message){ .type = KEEPER_ASK_LEFT,
					 .number = uidvalidity,
					 .key = { question->text, maildrop.len } };
	if (keeper_question_ask(client, question, deadline_ms, &ignored)) {
		buffer_append(set, bytes_of(question->set));
		keeper_question_free(question);
	}
}
