/*
 * All goes well: one task per keeper connection reads answers; each wakes the session
 * that asked, by the number of its request.
 *
 * The keeper goes away: sessions go on with the locks they hold; who asks waits. The next
 * keeper hears first of every lock held, then every question that is still open again.
 * A session gives up on a question: the answer may still come, so the question stays
 * until then, and a lock that nobody wants any more is given back.
 */
#include "proxy/ipc/keeper_client_internal.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void keeper_client_say(struct keeper_client *client, const struct keeper_message *message)
{
	outbox_put(&client->outbox, message);
}

static void question_add(struct keeper_client *client, struct question *question)
{
	question->next = client->questions;
	question->at = &client->questions;
	if (question->next) {
		question->next->at = &question->next;
	}
	client->questions = question;
}

/* It is answered, or nobody will: nobody knows it any more. */
static void question_remove(struct question *question)
{
	*question->at = question->next;
	if (question->next) {
		question->next->at = question->at;
	}
}

void keeper_question_free(struct question *question)
{
	if (question->lock) {
		keeper_lock_free(question->lock);
	}
	free(question->text);
	free(question->set);
	buffer_release(&question->piece);
	secret_release(&question->secret);
	keeper_answer_free(question->proof);
	free(question);
}

static struct question *question_by_request(const struct keeper_client *client,
					    uint32_t request)
{
	struct question *question = client->questions;

	while (question && question->message.request != request) {
		question = question->next;
	}
	return question;
}

static void hold(struct keeper_client *client, struct question *question)
{
	struct keeper_lock *lock = question->lock;

	question->lock = NULL;
	lock->next = client->held;
	lock->at = &client->held;
	if (lock->next) {
		lock->next->at = &lock->next;
	}
	client->held = lock;
}

/* Nobody waits for it any more. */
static void answered_late(struct keeper_client *client, struct question *question)
{
	if (question->lock && question->number == 1) {
		keeper_client_say(client, &(struct keeper_message){
						  .type = KEEPER_UNLOCK,
						  .key = bytes_of(question->lock->key) });
	}
	if (question->message.type == KEEPER_ASK && question->number < KEEPER_SUSPECT) {
		struct keeper_message told = question->message; // the try was never made

		told.type = KEEPER_TELL;
		told.request = 0;
		told.number = KEEPER_NO_ANSWER;
		keeper_client_say(client, &told);
	}
	question_remove(question);
	keeper_question_free(question);
}

/* Is this the kind of answer that question wants? */
static bool is_answer_to(const struct question *question,
			 const struct keeper_message *message)
{
	static const enum keeper_message_type answers[KEEPER_TYPES] = {
		[KEEPER_LOCK] = KEEPER_LOCKED,      [KEEPER_ASK] = KEEPER_VERDICT,
		[KEEPER_LOGIN] = KEEPER_VERDICT,    [KEEPER_ASK_LEFT] = KEEPER_LEFTOVERS,
		[KEEPER_PROVE] = KEEPER_CREDENTIAL, [KEEPER_ASK_INDEX] = KEEPER_INDEX,
		[KEEPER_KEEP_INDEX] = KEEPER_KEPT,
	};

	return message->type == answers[question->message.type];
}

static bool on_answer(struct keeper_client *client, const struct keeper_message *message)
{
	struct question *question = question_by_request(client, message->request);

	if (!question || question->state == QUESTION_ANSWERED ||
	    !is_answer_to(question, message)) {
		return false;
	}
	question->number = message->number;
	free(question->set);
	question->set = memory_copy_text(message->set);
	if (message->type == KEEPER_CREDENTIAL) {
		question->proof = keeper_answer_copy(client, message);
	}
	if (message->type == KEEPER_INDEX) {
		buffer_init(&question->piece, KEEPER_PIECE_MAX);
		buffer_append(&question->piece, message->piece);
	}
	if (question->state == QUESTION_GIVEN_UP) {
		answered_late(client, question);
		return true;
	}
	question->state = QUESTION_ANSWERED;
	if (question->lock && question->number == 1) {
		hold(client, question);
	}
	gate_open(&question->answered);
	return true;
}

static void on_take_over(struct keeper_client *client, struct bytes key)
{
	struct keeper_lock *lock = client->held;

	while (lock && !bytes_equal(bytes_of(lock->key), key)) {
		lock = lock->next;
	}
	if (lock && !lock->is_taken_over) { // else it was given back meanwhile
		lock->is_taken_over = true;
		if (lock->holder) {
			task_cancel(lock->holder);
		}
	}
}

/* False: the keeper is broken. */
static bool on_message(struct keeper_client *client, struct bytes packet)
{
	struct keeper_message message;

	if (!keeper_message_decode(packet, false, &message)) {
		return false;
	}
	if (message.type == KEEPER_TAKE_OVER) {
		on_take_over(client, message.key);
		return true;
	}
	if (message.type == KEEPER_APOP) {
		client->offers_apop = message.number == 1;
		return true;
	}
	if (message.type == KEEPER_KICK) {
		keeper_kick_add(client, &message);
		return true;
	}
	return on_answer(client, &message);
}

static SUSPENDS void receive_all(void *argument)
{
	struct keeper_client *client = argument;
	struct failure failure;
	size_t len;
	bool ok = true;

	while (ok && channel_receive(client->channel, client->packet, &len, NULL,
				     DEADLINE_NEVER, &failure)) {
		ok = !client->outbox.is_overrun &&
		     on_message(client, (struct bytes){ client->packet, len });
		memory_wipe(client->packet, len); // there may be a secret in it
		if (!ok) {
			log_say(LOG_ERROR, "keeper lost", "it breaks the protocol");
		}
	}
	client->is_gone = true;
	gate_open(&client->changed);
}

static void declare(struct keeper_client *client)
{
	keeper_client_say(client, &(struct keeper_message){ .type = KEEPER_HELLO,
							    .number = client->slot });
	for (const struct keeper_lock *lock = client->held; lock; lock = lock->next) {
		keeper_client_say(client,
				  &(struct keeper_message){ .type = KEEPER_HOLD,
							    .key = bytes_of(lock->key) });
	}
	keeper_client_say(client, &(struct keeper_message){ .type = KEEPER_HELD_ALL });
}

/* The last keeper died over them. Those given up have no answer to wait for now. */
static void ask_again(struct keeper_client *client)
{
	struct question *question = client->questions;

	while (question) {
		struct question *next = question->next;

		if (question->state == QUESTION_GIVEN_UP) {
			question_remove(question);
			keeper_question_free(question);
		} else if (question->state == QUESTION_OPEN) {
			keeper_client_say(client, &question->message);
		}
		question = next;
	}
}

static SUSPENDS void talk(struct keeper_client *client)
{
	struct failure ignored;
	struct task *receiver;

	client->channel = channel_new(client->next_fd);
	client->next_fd = -1;
	client->is_gone = false;
	client->is_connected = true;
	client->offers_apop = false; // until this one says so
	outbox_start(&client->outbox, client->channel);
	declare(client);
	ask_again(client);
	receiver = task_start_child(receive_all, client);
	while (!client->is_gone && !client->is_ending && client->next_fd < 0 &&
	       gate_wait(&client->changed, DEADLINE_NEVER, &ignored)) {
	}
	client->is_connected = false;
	task_cancel(receiver);
	task_join(receiver);
	outbox_stop(&client->outbox);
	channel_close(client->channel);
	client->channel = NULL;
}

static SUSPENDS void run(void *argument)
{
	struct keeper_client *client = argument;
	struct failure ignored;

	while (!client->is_ending) {
		if (client->next_fd >= 0) {
			talk(client);
		} else {
			gate_wait(&client->changed, DEADLINE_NEVER, &ignored);
		}
	}
}

struct keeper_client *keeper_client_new(uint32_t slot,
					const unsigned char key[KEEPER_HASH_BYTES])
{
	struct keeper_client *client = memory_new(sizeof(*client));

	client->slot = slot;
	memcpy(client->key, key, KEEPER_HASH_BYTES);
	client->next_fd = -1;
	client->packet = memory_new(CHANNEL_MESSAGE_MAX);
	client->task = task_start_child(run, client);
	return client;
}

void keeper_client_connect(struct keeper_client *client, int fd)
{
	if (client->next_fd >= 0) {
		close(client->next_fd);
	}
	client->next_fd = fd;
	gate_open(&client->changed);
}

/* Closing the channel would drop what waits; the last words are few and sent at once. */
SUSPENDS void keeper_client_free(struct keeper_client *client)
{
	if (!client) {
		return;
	}
	client->is_ending = true;
	gate_open(&client->changed);
	task_join(client->task);
	while (client->questions) {
		struct question *question = client->questions;

		client->questions = question->next;
		keeper_question_free(question);
	}
	if (client->next_fd >= 0) {
		close(client->next_fd);
	}
	keeper_kicks_free(client);
	for (size_t i = 0; i < KEEPER_ADVICES_MAX; i++) {
		free(client->advices[i]);
	}
	memory_wipe(client->key, sizeof(client->key));
	free(client->packet);
	free(client);
}

/* No question stays open until the numbers come round. */
static uint32_t next_request(struct keeper_client *client)
{
	client->last_request++;
	if (client->last_request == 0) {
		client->last_request++; // none has 0
	}
	return client->last_request;
}

SUSPENDS bool keeper_question_ask(struct keeper_client *client, struct question *question,
				  uint64_t deadline_ms, struct failure *failure)
{
	question->message.request = next_request(client);
	question_add(client, question);
	if (client->is_connected) {
		keeper_client_say(client, &question->message);
	}
	if (gate_wait(&question->answered, deadline_ms, failure)) {
		question_remove(question);
		return true;
	}
	question->state = QUESTION_GIVEN_UP;
	if (question->lock) {
		question->lock->holder = NULL;
	}
	if (!client->is_connected) {
		question_remove(question);
		keeper_question_free(question);
	}
	return false;
}

bool keeper_unanswered(const struct keeper_client *client, bool waits_for_holder,
		       struct failure *failure)
{
	if (failure->kind == FAILURE_CANCELLED) {
		return false;
	}
	if (client->is_connected && waits_for_holder) {
		return failure_set(failure, FAILURE_IN_USE,
				   "the session that has this maildrop did not end");
	}
	return failure_set(failure, FAILURE_TEMPORARY, "no answer from the keeper");
}
