/*
 * All goes well: a worker says hello, declares the locks it holds, and is then answered
 * message by message by a task of its own. The tables change only between two calls that
 * wait, so what one worker is told is true for all.
 *
 * A worker dies or breaks the protocol: its channel is closed, its locks are free at
 * once, who waited for one gets it. This process dies: nothing is held here that the
 * workers do not declare to the next one; the store is whole.
 */
#include "proxy/keeper/keeper.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/admin.h"
#include "proxy/keeper/keeper_internal.h"
#include "proxy/keeper/page.h"
#include "proxy/keeper/proof.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DECLARE_MS 1000
#define TICK_MS 1000
#define PLACES 65536         // of the throttle
#define SAVE_PLACES_TICKS 15 // throttle places are written this often
#define SAVE_PLACES_MAX 4096 // at a time, so that nobody waits for it
#define EXPIRE_TICKS (60 * 60)
#define CONSENTS_TICKS 60

uint64_t keeper_wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

struct worker *keeper_worker_by_id(const struct keeper *keeper, uint32_t id)
{
	struct worker *worker = keeper->workers;

	while (worker && worker->id != id) {
		worker = worker->next;
	}
	return worker;
}

static void say(struct worker *worker, const struct keeper_message *message)
{
	if (worker) {
		outbox_put(&worker->outbox, message);
	}
}

size_t keeper_say_to_all(struct keeper *keeper, const struct keeper_message *message)
{
	size_t count = 0;

	for (struct worker *worker = keeper->workers; worker; worker = worker->next) {
		if (worker->state == WORKER_SERVED) {
			say(worker, message);
			count++;
		}
	}
	return count;
}

/* Worker 0: nobody. */
static void answer_ticket(struct keeper *keeper, struct lock_ticket ticket, bool granted)
{
	say(keeper_worker_by_id(keeper, ticket.worker),
	    &(struct keeper_message){ .type = KEEPER_LOCKED,
				      .request = ticket.request,
				      .number = granted });
}

static void answer_tickets(struct keeper *keeper, struct lock_tickets tickets,
			   bool granted)
{
	for (size_t i = 0; i < tickets.count; i++) {
		answer_ticket(keeper, tickets.list[i], granted);
	}
	free(tickets.list);
}

static void tell_to_end(struct worker *holder, struct bytes key)
{
	say(holder, &(struct keeper_message){ .type = KEEPER_TAKE_OVER, .key = key });
}

static void on_lock(struct worker *worker, const struct keeper_message *message)
{
	struct keeper *keeper = worker->keeper;
	struct lock_ticket ticket = { worker->id, message->request };
	struct lock_answer answer =
		lock_table_ask(keeper->locks, message->key, ticket,
			       (enum keeper_when_locked)message->number, loop_now_ms());

	switch (answer.verdict) {
	case LOCK_GRANTED:
		answer_ticket(keeper, ticket, true);
		return;
	case LOCK_REFUSED:
		answer_ticket(keeper, ticket, false);
		return;
	case LOCK_WAITS:
		answer_ticket(keeper, answer.displaced, false);
		tell_to_end(keeper_worker_by_id(keeper, answer.holder), message->key);
		return;
	}
}

/* Nobody may hold it beside another: the one who comes late with it has to end. */
static void on_hold(struct worker *worker, const struct keeper_message *message)
{
	if (!lock_table_hold(worker->keeper->locks, message->key, worker->id)) {
		tell_to_end(worker, message->key);
	}
}

static void on_unlock(struct worker *worker, const struct keeper_message *message)
{
	struct keeper *keeper = worker->keeper;

	answer_ticket(keeper, lock_table_unlock(keeper->locks, message->key, worker->id),
		      true);
}

static bool on_ask(struct worker *worker, const struct keeper_message *message)
{
	struct keeper_message verdict = { .type = KEEPER_VERDICT,
					  .request = message->request };

	if (!keeper_sign_in_ask(worker, message, &verdict.number)) {
		return false;
	}
	say(worker, &verdict);
	return true;
}

static void on_login(struct worker *worker, const struct keeper_message *message)
{
	const struct keeper_message verdict = {
		.type = KEEPER_VERDICT,
		.request = message->request,
		.number =
			login_delay_ask(worker->keeper->login_delays, message->key,
					(uint64_t)message->number * 1000, loop_now_ms()),
	};

	say(worker, &verdict);
}

/* What an operator may want to know of a session that is over, or of a failure. */
static void on_ended(struct worker *worker, const struct keeper_message *message)
{
	const struct store_session session = { .retrieved = message->number,
					       .removed = message->removed,
					       .lost_dele = message->lost_dele };

	store_note_ended(worker->keeper->store, message->account, &session,
			 keeper_wall_s());
}

static void on_failed(struct worker *worker, const struct keeper_message *message)
{
	struct store_failure failure = { .reference = message->number,
					 .kind = message->kind,
					 .account = message->account,
					 .answer = message->answer,
					 .cause = message->cause,
					 .advice = message->advice };

	memcpy(failure.address, message->address, KEEPER_ADDRESS_BYTES);
	store_note_failure(worker->keeper->store, &failure, keeper_wall_s());
}

static void on_left(struct worker *worker, const struct keeper_message *message)
{
	const struct store_leftover left = { .maildrop = message->key,
					     .account = message->account,
					     .uidvalidity = message->number,
					     .set = message->set };

	store_note_left(worker->keeper->store, &left, keeper_wall_s());
}

static void on_ask_left(struct worker *worker, const struct keeper_message *message)
{
	struct buffer set;

	buffer_init(&set, KEEPER_SET_MAX);
	store_left(worker->keeper->store, message->key, message->number, keeper_wall_s(),
		   &set);
	say(worker, &(struct keeper_message){ .type = KEEPER_LEFTOVERS,
					      .request = message->request,
					      .set = buffer_bytes(&set) });
	buffer_release(&set);
}

/* No word is a no. */
static void say_apop(struct worker *worker)
{
	if (device_any_apop(worker->keeper->store)) {
		say(worker, &(struct keeper_message){ .type = KEEPER_APOP, .number = 1 });
	}
}

static void has_declared(struct worker *worker)
{
	worker->state = WORKER_SERVED;
	worker->keeper->undeclared--;
	gate_open(&worker->keeper->declared);
	say_apop(worker);
}

void keeper_tell_apop(struct keeper *keeper)
{
	keeper_say_to_all(keeper, &(struct keeper_message){
					  .type = KEEPER_APOP,
					  .number = device_any_apop(keeper->store) });
}

/* What others declare decides what this one may be granted. False: told to end. */
static SUSPENDS bool wait_for_others(struct keeper *keeper)
{
	const uint64_t until_ms = loop_deadline_ms(DECLARE_MS);
	struct failure failure = { .kind = FAILURE_TIMEOUT };

	while (keeper->undeclared > 0 &&
	       gate_wait(&keeper->declared, until_ms, &failure)) {
	}
	return keeper->undeclared == 0 || failure.kind != FAILURE_CANCELLED;
}

static SUSPENDS bool on_declaration(struct worker *worker,
				    const struct keeper_message *message)
{
	if (message->type == KEEPER_HOLD) {
		on_hold(worker, message);
		return true;
	}
	if (message->type == KEEPER_HELD_ALL) {
		has_declared(worker);
		return wait_for_others(worker->keeper);
	}
	return false;
}

static bool on_request(struct worker *worker, const struct keeper_message *message)
{
	switch (message->type) {
	case KEEPER_LOCK:
		on_lock(worker, message);
		return true;
	case KEEPER_UNLOCK:
		on_unlock(worker, message);
		return true;
	case KEEPER_ASK:
		return on_ask(worker, message);
	case KEEPER_TELL:
		keeper_sign_in_tell(worker, message);
		return true;
	case KEEPER_LOGIN:
		on_login(worker, message);
		return true;
	case KEEPER_ENDED:
		on_ended(worker, message);
		return true;
	case KEEPER_FAILED:
		on_failed(worker, message);
		return true;
	case KEEPER_LEFT:
		on_left(worker, message);
		return true;
	case KEEPER_ASK_LEFT:
		on_ask_left(worker, message);
		return true;
	case KEEPER_KICKED:
		admin_kicked(worker->keeper, message);
		return true;
	case KEEPER_KEEP_INDEX:
		keeper_index_keep(worker, message);
		return true;
	case KEEPER_ASK_INDEX:
		keeper_index_ask(worker, message);
		return true;
	case KEEPER_KNOWN:
		keeper_note_known(worker, message);
		return true;
	case KEEPER_PROVE:
		prover_take(worker->keeper->prover, worker, message);
		return true;
	case KEEPER_HELLO:
	case KEEPER_HOLD:
	case KEEPER_HELD_ALL:
	case KEEPER_LOCKED:
	case KEEPER_VERDICT:
	case KEEPER_TAKE_OVER:
	case KEEPER_KICK:
	case KEEPER_LEFTOVERS:
	case KEEPER_CREDENTIAL:
	case KEEPER_APOP:
	case KEEPER_INDEX:
	case KEEPER_KEPT:
		return false; // said already, or not for a worker to say
	}
	return false;
}

/* False: the worker is broken. */
static SUSPENDS bool on_message(struct worker *worker, struct bytes packet)
{
	struct keeper_message message;

	if (!keeper_message_decode(packet, true, &message) || worker->outbox.is_overrun) {
		return false;
	}
	switch (worker->state) {
	case WORKER_NEW:
		worker->slot = message.number;
		worker->state = WORKER_DECLARING;
		return message.type == KEEPER_HELLO;
	case WORKER_DECLARING:
		return on_declaration(worker, &message);
	case WORKER_SERVED:
		return on_request(worker, &message);
	case WORKER_LEAVING:
		return false;
	}
	return false;
}

/* Until the worker is gone or broken: how it ended. */
static SUSPENDS enum failure_kind answer_all(struct worker *worker)
{
	struct failure failure;
	size_t len;

	while (channel_receive(worker->channel, worker->packet, &len, NULL,
			       DEADLINE_NEVER, &failure)) {
		if (!on_message(worker, (struct bytes){ worker->packet, len })) {
			return task_is_cancelled() ? FAILURE_CANCELLED : FAILURE_PROTOCOL;
		}
	}
	return failure.kind;
}

static void unlink_worker(struct worker *worker)
{
	struct worker **link = &worker->keeper->workers;

	while (*link != worker) {
		link = &(*link)->next;
	}
	*link = worker->next;
}

/* Everything it had is free, at once: closing the channel may take a moment. */
static void let_go(struct worker *worker, enum failure_kind how)
{
	struct keeper *keeper = worker->keeper;

	if (worker->state == WORKER_LEAVING) {
		return;
	}
	if (worker->state != WORKER_SERVED) {
		has_declared(worker);
	}
	worker->state = WORKER_LEAVING;
	unlink_worker(worker);
	worker->next = keeper->leaving;
	keeper->leaving = worker;
	/* When it is the keeper that goes, its sessions go on and hold what they hold. */
	if (how != FAILURE_CANCELLED) {
		answer_tickets(keeper, lock_table_drop_worker(keeper->locks, worker->id),
			       true);
	}
	keeper_sign_in_end(worker, how == FAILURE_PEER_GONE);
	if (how == FAILURE_PROTOCOL) {
		log_say(LOG_ERROR, "worker cut off",
			"worker %u breaks the keeper's protocol", worker->slot);
	}
}

static SUSPENDS void serve(void *argument)
{
	struct worker *worker = argument;

	worker->task = task_self();
	outbox_start(&worker->outbox, worker->channel);
	let_go(worker, answer_all(worker));
	outbox_stop(&worker->outbox);
	channel_close(worker->channel);
}

static SUSPENDS void join_leaving(struct keeper *keeper)
{
	struct worker *worker;

	while ((worker = keeper->leaving)) {
		keeper->leaving = worker->next;
		task_join(worker->task);
		free(worker->packet);
		free(worker);
	}
}

void keeper_serve(struct keeper *keeper, int fd)
{
	struct worker *worker = memory_new(sizeof(*worker));

	worker->keeper = keeper;
	worker->id = ++keeper->last_id;
	worker->channel = channel_new(fd);
	worker->packet = memory_new(CHANNEL_MESSAGE_MAX);
	worker->next = keeper->workers;
	keeper->workers = worker;
	keeper->undeclared++;
	worker->task = task_start_child(serve, worker);
}

static void save_places(struct keeper *keeper, size_t max, size_t *cursor)
{
	struct throttle_record record;
	size_t saved = 0;

	while (saved < max &&
	       throttle_next_changed(keeper->throttle, cursor, loop_now_ms(), &record)) {
		store_save_place(keeper->store, &record, keeper_wall_s());
		saved++;
	}
	if (saved < max) {
		*cursor = 0;
	}
}

static void tick(struct keeper *keeper, uint64_t ticks, size_t *cursor)
{
	answer_tickets(keeper, lock_table_expire(keeper->locks, loop_now_ms()), false);
	for (struct worker *worker = keeper->workers; worker; worker = worker->next) {
		keeper_sign_in_expire(worker);
	}
	suspects_expire(keeper->suspects, loop_now_ms());
	if (keeper->tokens) {
		tokens_retry(keeper->tokens);
	}
	if (ticks % SAVE_PLACES_TICKS == 0) {
		save_places(keeper, SAVE_PLACES_MAX, cursor);
	}
	if (ticks % CONSENTS_TICKS == 0) {
		consents_look(&keeper->consents, keeper->store, keeper_wall_s());
	}
	if (ticks % EXPIRE_TICKS == 0) {
		store_expire(keeper->store, keeper_wall_s());
	}
	store_commit(keeper->store);
}

static SUSPENDS void tick_on(void *argument)
{
	struct keeper *keeper = argument;
	uint64_t ticks = 0;
	size_t cursor = 0;

	while (task_sleep_until(loop_deadline_ms(TICK_MS))) {
		tick(keeper, ticks++, &cursor);
		join_leaving(keeper);
	}
}

struct keeper *keeper_open(const char *state_directory,
			   const struct config_limits *limits, struct failure *failure)
{
	return keeper_open_from(state_directory, -1, limits, failure);
}

struct keeper *keeper_open_from(const char *state_directory, int memory,
				const struct config_limits *limits,
				struct failure *failure)
{
	unsigned char key[THROTTLE_KEY_BYTES];
	struct store *store = state_directory ? store_open(state_directory, failure)
					      : store_open_memory(memory, failure);

	if (!store) {
		return NULL;
	}
	if (!state_directory) {
		log_say(LOG_INFO, "nothing is kept",
			"no state directory: throttles and statistics end with this "
			"process");
	}
	struct keeper *keeper = memory_new(sizeof(*keeper));

	keeper->store = store;
	keeper->is_in_memory = !state_directory;
	store_key(store, "throttle key", key);
	keeper->throttle = throttle_new(limits->sign_in_delay_min_ms,
					limits->sign_in_delay_max_ms, PLACES, key);
	memory_wipe(key, sizeof(key));
	store_restore_places(store, keeper->throttle, keeper_wall_s(), loop_now_ms());
	keeper->suspects = suspects_new();
	keeper->locks = lock_table_new();
	keeper->login_delays = login_delay_new();
	keeper->ticker = task_start_child(tick_on, keeper);
	return keeper;
}

bool keeper_use_accounts(struct keeper *keeper, const struct config *config,
			 struct failure *failure)
{
	unsigned char key[STORE_KEY_BYTES];

	keeper->vault = vault_open(keeper->store, config->master_key, failure);
	if (!keeper->vault) {
		return false;
	}
	store_key(keeper->store, "device key", key);
	keeper->tokens = tokens_new(keeper->store, keeper->vault, config);
	keeper->prover = prover_new(keeper, key);
	keeper->page = page_new(keeper, config);
	memory_wipe(key, sizeof(key));
	return true;
}

SUSPENDS void keeper_ask_for_tokens(struct keeper *keeper, int fd)
{
	tokens_connect(keeper->tokens, fd);
}

SUSPENDS void keeper_serve_page(struct keeper *keeper, int fd)
{
	page_connect(keeper->page, fd);
}

void keeper_limit(struct keeper *keeper, const struct config_limits *limits)
{
	throttle_limit(keeper->throttle, limits->sign_in_delay_min_ms,
		       limits->sign_in_delay_max_ms);
}

/* Nobody is served any more, and the store has everything. */
static SUSPENDS void settle(struct keeper *keeper)
{
	size_t cursor = 0;

	admin_close(keeper->admin); // its name is free before the store is
	keeper->admin = NULL;
	for (struct worker *worker; (worker = keeper->workers);) {
		task_cancel(worker->task);
		let_go(worker, FAILURE_CANCELLED);
	}
	task_cancel(keeper->ticker);
	task_join(keeper->ticker);
	join_leaving(keeper);
	page_free(keeper->page);
	prover_free(keeper->prover);
	tokens_free(keeper->tokens);
	vault_close(keeper->vault);
	save_places(keeper, SIZE_MAX, &cursor);
	store_commit(keeper->store);
}

static void release(struct keeper *keeper)
{
	store_close(keeper->store);
	throttle_free(keeper->throttle);
	suspects_free(keeper->suspects);
	lock_table_free(keeper->locks);
	login_delay_free(keeper->login_delays);
	free(keeper);
}

SUSPENDS void keeper_close(struct keeper *keeper)
{
	if (keeper) {
		settle(keeper);
		release(keeper);
	}
}

SUSPENDS int keeper_close_to_memory(struct keeper *keeper)
{
	int memory = -1;

	settle(keeper);
	if (keeper->is_in_memory) {
		memory = store_copy(keeper->store);
	}
	release(keeper);
	return memory;
}
