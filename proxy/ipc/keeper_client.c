/*
 * All goes well: one task per keeper connection reads answers; each wakes the session
 * that asked, by the number of its request.
 *
 * The keeper goes away: sessions go on with the locks they hold; who asks waits. The next
 * keeper hears first of every lock held, then every question that is still open again.
 * A session gives up on a question: the answer may still come, so the question stays
 * until then, and a lock that nobody wants any more is given back.
 */
#include "proxy/ipc/keeper_client.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/ipc/outbox.h"
#include "proxy/rt/keyed_hash.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(KEEPER_HASH_BYTES == KEYED_HASH_BYTES, "one hash");

struct keeper_lock {
	struct keeper_lock *next;     // keeper_client::held
	struct keeper_lock **at;      // what points to it there
	struct keeper_client *client; // NULL: no keeper by intention
	char *key;                    // owned
	struct task *holder;
	bool is_taken_over;
};

enum question_state { QUESTION_OPEN, QUESTION_ANSWERED, QUESTION_GIVEN_UP };

/* Something asked and not yet answered. */
struct question {
	struct question *next; // keeper_client::questions
	struct question **at;  // what points to it there
	enum question_state state;
	struct keeper_message message; // its texts are owned by lock and account
	uint32_t number;               // the answer
	struct keeper_lock *lock;      // owned while open; NULL: it is about a sign-in
	char *account;                 // owned
	struct gate answered;
};

struct keeper_client {
	uint32_t slot;
	unsigned char key[KEEPER_HASH_BYTES];
	int next_fd;       // a keeper to connect to; -1: none
	bool is_connected; // and everything is declared
	bool is_gone;      // this connection is over
	bool is_ending;
	uint32_t last_request;
	struct question *questions; // question::next
	struct keeper_lock *held;   // keeper_lock::next
	struct channel *channel;
	struct outbox outbox;
	struct gate changed; // next_fd, is_gone, is_ending
	struct task *task;
	char *packet; // CHANNEL_MESSAGE_MAX
};

static void lock_free(struct keeper_lock *lock)
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

static void say(struct keeper_client *client, const struct keeper_message *message)
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

static void question_free(struct question *question)
{
	if (question->lock) {
		lock_free(question->lock);
	}
	free(question->account);
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
		say(client,
		    &(struct keeper_message){ .type = KEEPER_UNLOCK,
					      .key = bytes_of(question->lock->key) });
	}
	if (!question->lock && question->number < KEEPER_SUSPECT) {
		struct keeper_message told = question->message; // the try was never made

		told.type = KEEPER_TELL;
		told.request = 0;
		told.number = KEEPER_NO_ANSWER;
		say(client, &told);
	}
	question_remove(question);
	question_free(question);
}

static bool on_answer(struct keeper_client *client, const struct keeper_message *message)
{
	struct question *question = question_by_request(client, message->request);

	if (!question || question->state == QUESTION_ANSWERED ||
	    (message->type == KEEPER_LOCKED) != (question->lock != NULL)) {
		return false;
	}
	question->number = message->number;
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

void keeper_lock_keep(struct keeper_lock *lock)
{
	if (lock) {
		lock->holder = NULL;
	}
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
		if (!ok) {
			log_say(LOG_ERROR, "keeper lost", "it breaks the protocol");
		}
	}
	client->is_gone = true;
	gate_open(&client->changed);
}

static void declare(struct keeper_client *client)
{
	say(client,
	    &(struct keeper_message){ .type = KEEPER_HELLO, .number = client->slot });
	for (const struct keeper_lock *lock = client->held; lock; lock = lock->next) {
		say(client, &(struct keeper_message){ .type = KEEPER_HOLD,
						      .key = bytes_of(lock->key) });
	}
	say(client, &(struct keeper_message){ .type = KEEPER_HELD_ALL });
}

/* The last keeper died over them. Those given up have no answer to wait for now. */
static void ask_again(struct keeper_client *client)
{
	struct question *question = client->questions;

	while (question) {
		struct question *next = question->next;

		if (question->state == QUESTION_GIVEN_UP) {
			question_remove(question);
			question_free(question);
		} else if (question->state == QUESTION_OPEN) {
			say(client, &question->message);
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
		question_free(question);
	}
	if (client->next_fd >= 0) {
		close(client->next_fd);
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

/* Waits for the answer. False: it is given up, and not the caller's any more. */
static SUSPENDS bool question_ask(struct keeper_client *client, struct question *question,
				  uint64_t deadline_ms, struct failure *failure)
{
	question->message.request = next_request(client);
	question_add(client, question);
	if (client->is_connected) {
		say(client, &question->message);
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
		question_free(question);
	}
	return false;
}

/* Nobody answered: what that means depends on whether there was anybody. */
static bool unanswered(const struct keeper_client *client, bool waits_for_holder,
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
		lock_free(lock);
		failure_set(failure, FAILURE_PERMANENT, "no name for a maildrop");
		return NULL;
	}
	question = memory_new(sizeof(*question));
	question->lock = lock;
	question->message = (struct keeper_message){ .type = KEEPER_LOCK,
						     .number = when,
						     .key = bytes_of(lock->key) };
	if (!question_ask(client, question, deadline_ms, failure)) {
		unanswered(client, when == KEEPER_LOCK_TAKE_OVER, failure);
		return NULL;
	}
	if (question->number != 1) {
		in_use(failure);
		lock = NULL; // freed with the question
	}
	question_free(question);
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
		say(lock->client, &(struct keeper_message){ .type = KEEPER_UNLOCK,
							    .key = bytes_of(lock->key) });
	}
	lock_free(lock);
}

bool keeper_lock_is_taken_over(const struct keeper_lock *lock)
{
	return lock && lock->is_taken_over;
}

/* IPv4 is mapped into IPv6, so that one client has one address on every listener. */
static void address_octets(const struct address *address,
			   unsigned char out[KEEPER_ADDRESS_BYTES])
{
	memset(out, 0, KEEPER_ADDRESS_BYTES);
	if (address->socket.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 =
			(const struct sockaddr_in6 *)&address->socket;
		memcpy(out, v6->sin6_addr.s6_addr, KEEPER_ADDRESS_BYTES);
	} else if (address->socket.ss_family == AF_INET) {
		const struct sockaddr_in *v4 =
			(const struct sockaddr_in *)&address->socket;
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &v4->sin_addr, 4);
	}
}

static struct keeper_message sign_in_message(const struct keeper_client *client,
					     enum keeper_message_type type,
					     const struct keeper_sign_in *who)
{
	struct keeper_message message = { .type = type,
					  .shared_address = who->shared_address,
					  .account = who->account };

	address_octets(who->address, message.address);
	keyed_hash(client->key, who->account, who->secret, message.hash);
	return message;
}

static bool verdict(uint32_t number, uint64_t *delay_ms, struct failure *failure)
{
	if (number == KEEPER_REFUSE) {
		return failure_set(failure, FAILURE_AUTH,
				   "too many wrong passwords from there or for this "
				   "account; not asked upstream");
	}
	if (number == KEEPER_SUSPECT) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "workers died while this account signed in");
	}
	*delay_ms = number;
	return true;
}

SUSPENDS bool keeper_ask(struct keeper_client *client, const struct keeper_sign_in *who,
			 uint64_t deadline_ms, uint64_t *delay_ms,
			 struct failure *failure)
{
	*delay_ms = 0;
	if (!client) {
		return true;
	}
	if (who->account.len > KEEPER_TEXT_MAX) {
		return failure_set(failure, FAILURE_AUTH, "no account has such a name");
	}
	struct question *question = memory_new(sizeof(*question));

	question->message = sign_in_message(client, KEEPER_ASK, who);
	question->account = memory_copy_text(who->account);
	question->message.account = (struct bytes){ question->account, who->account.len };
	if (!question_ask(client, question, deadline_ms, failure)) {
		return unanswered(client, false, failure);
	}
	const uint32_t number = question->number;

	question_free(question);
	return verdict(number, delay_ms, failure);
}

void keeper_tell(struct keeper_client *client, const struct keeper_sign_in *who,
		 enum keeper_outcome outcome)
{
	if (client && client->is_connected) {
		struct keeper_message message = sign_in_message(client, KEEPER_TELL, who);

		message.number = outcome;
		say(client, &message);
	}
}

void keeper_tell_ended(struct keeper_client *client, struct bytes account,
		       uint32_t retrieved, uint32_t lost_dele)
{
	if (client) {
		say(client, &(struct keeper_message){ .type = KEEPER_ENDED,
						      .number = retrieved,
						      .lost_dele = lost_dele,
						      .account = account });
	}
}
