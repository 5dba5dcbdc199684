/*
 * Two workers' clients and a keeper in one process, over real channels. A worker that
 * dies or breaks the rules is a bare channel end, spoken to by hand.
 */
#include "proxy/ipc/keeper_client.h"
#include "proxy/keeper/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON loop_deadline_ms(5000)
#define DROP bytes_of("imap.example.com:993\nada\nINBOX")

static const unsigned char key[KEEPER_HASH_BYTES] = { 42 };
static const struct config_limits limits = { .sign_in_delay_min_ms = 2000,
					     .sign_in_delay_max_ms = 15000 };

static struct keeper *keeper;
static struct keeper_client *ada, *bob; // two workers

static void attach(struct keeper_client *client)
{
	int ends[2];
	assert_true(channel_pair(ends));
	keeper_serve(keeper, ends[0]);
	keeper_client_connect(client, ends[1]);
}

static const char *state_directory; // NULL: in memory

static void open_keeper(void)
{
	struct failure failure;
	keeper = keeper_open(state_directory, &limits, &failure);
	assert_non_null(keeper);
}

struct scene {
	SUSPENDS void (*play)(void);
};

static SUSPENDS void run_scene(void *argument)
{
	const struct scene *scene = argument;
	open_keeper();
	ada = keeper_client_new(0, key);
	bob = keeper_client_new(1, key);
	attach(ada);
	attach(bob);
	scene->play();
	keeper_client_free(ada);
	keeper_client_free(bob);
	keeper_close(keeper);
}

static void play(SUSPENDS void (*scene_play)(void))
{
	struct scene scene = { scene_play };
	log_setup(LOG_ERROR, LOG_LOGFMT);
	loop_open();
	task_start(run_scene, &scene);
	loop_run();
	assert_int_equal(task_count(), 0);
	loop_close();
}

static SUSPENDS void nap(uint64_t ms)
{
	assert_true(task_sleep_until(loop_deadline_ms(ms)));
}

static SUSPENDS struct keeper_lock *lock(struct keeper_client *client,
					 enum keeper_when_locked when)
{
	struct failure failure;
	return keeper_lock(client, DROP, when, NULL, SOON, &failure);
}

static SUSPENDS void assert_not_locked(struct keeper_client *client,
				       enum keeper_when_locked when, uint64_t deadline_ms,
				       enum failure_kind kind)
{
	struct failure failure;
	assert_null(keeper_lock(client, DROP, when, NULL, deadline_ms, &failure));
	assert_int_equal(failure.kind, kind);
}

static SUSPENDS void assert_free(struct keeper_client *client)
{
	struct keeper_lock *held = lock(client, KEEPER_LOCK_REFUSE);
	assert_non_null(held);
	keeper_unlock(held);
}

static SUSPENDS void contention(void)
{
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_REFUSE);
	assert_non_null(held);
	assert_not_locked(bob, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	assert_not_locked(ada, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	assert_false(keeper_lock_is_taken_over(held));
	keeper_unlock(held);
	nap(20); // the message is on its way
	assert_free(bob);
	nap(20);
	assert_free(ada);
}

static void test_one_session_has_the_maildrop(void **state)
{
	(void)state;
	play(contention);
}

static struct bytes long_index(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		text[i] = (char)(i * 31 + len);
	}
	return (struct bytes){ text, len };
}

static struct keeper_index_transfer transfer_of(struct bytes index)
{
	return (struct keeper_index_transfer){ .maildrop = DROP,
					       .account = bytes_of("ada"),
					       .index = index };
}

static SUSPENDS bool pass_on(struct keeper_client *client, struct bytes index)
{
	struct keeper_index_transfer transfer = transfer_of(index);
	bool good = true;

	while (good && !keeper_index_is_kept(&transfer)) {
		good = keeper_keep_index(client, &transfer, SOON);
	}
	return good;
}

static SUSPENDS void assert_index(struct keeper_client *client, struct bytes index)
{
	struct buffer found;

	buffer_init(&found, 1 << 20);
	assert_int_equal(keeper_index(client, DROP, SOON, &found), index.len > 0);
	assert_true(bytes_equal(buffer_bytes(&found), index));
	buffer_release(&found);
}

static SUSPENDS void indexes(void)
{
	static const size_t lens[] = { 1, KEEPER_PIECE_MAX - 1, KEEPER_PIECE_MAX,
				       KEEPER_PIECE_MAX + 1, 3 * KEEPER_PIECE_MAX };
	char *text = memory_new(4 * KEEPER_PIECE_MAX);

	assert_index(bob, (struct bytes){ 0 });
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		const struct bytes index = long_index(text, lens[i]);

		assert_true(pass_on(ada, index));
		assert_index(bob, index);
		assert_index(ada, index);
	}
	free(text);
}

static void test_an_index_of_any_length_comes_back(void **state)
{
	(void)state;
	play(indexes);
}

/* Two workers pass one on for the same maildrop: whoever began last is taken. */
static SUSPENDS void two_indexes(void)
{
	char *text = memory_new(4 * KEEPER_PIECE_MAX);
	const struct bytes index = long_index(text, 2 * KEEPER_PIECE_MAX);
	struct keeper_index_transfer mine = transfer_of(index);
	struct keeper_index_transfer his = transfer_of(index);

	assert_true(keeper_keep_index(ada, &mine, SOON));
	assert_true(keeper_keep_index(bob, &his, SOON));
	assert_false(keeper_keep_index(ada, &mine, SOON));
	assert_index(ada, (struct bytes){ 0 });
	assert_true(keeper_keep_index(bob, &his, SOON));
	assert_false(keeper_index_is_kept(&his));
	assert_true(keeper_keep_index(bob, &his, SOON));
	assert_true(keeper_index_is_kept(&his));
	assert_index(ada, index);
	free(text);
}

static void test_an_index_is_one_workers_and_whole(void **state)
{
	(void)state;
	play(two_indexes);
}

static SUSPENDS bool login(struct keeper_client *client, const char *account)
{
	struct failure failure = { .kind = FAILURE_TOO_SOON };
	const bool good = keeper_login(client, bytes_of(account), 3600, SOON, &failure);

	assert_true(good || failure.kind == FAILURE_TOO_SOON);
	return good;
}

/* Three at once, whichever worker asks, also one that is new. */
static SUSPENDS void logins(void)
{
	assert_true(login(ada, "imap.example.com:993 ada"));
	assert_true(login(bob, "imap.example.com:993 ada"));
	assert_true(login(ada, "imap.example.com:993 ada"));
	assert_false(login(bob, "imap.example.com:993 ada"));
	attach(ada);
	assert_false(login(ada, "imap.example.com:993 ada"));
	assert_true(login(ada, "imap.example.com:993 bob"));
}

static void test_the_login_delay_holds_over_all_workers(void **state)
{
	(void)state;
	play(logins);
}

/* A session that holds the lock until it is told to end. */
struct session {
	struct keeper_client *client;
	struct keeper_lock *lock;
	bool was_taken_over;
	struct task *task;
};

static SUSPENDS void hold_until_told(void *argument)
{
	struct session *session = argument;
	struct failure failure;
	session->lock = keeper_lock(session->client, DROP, KEEPER_LOCK_REFUSE,
				    task_self(), SOON, &failure);
	assert_non_null(session->lock);
	assert_false(task_sleep_until(DEADLINE_NEVER));
	session->was_taken_over = keeper_lock_is_taken_over(session->lock);
	keeper_unlock(session->lock);
}

static SUSPENDS void take_over(void)
{
	struct session older = { .client = ada };
	older.task = task_start_child(hold_until_told, &older);
	nap(20);
	struct keeper_lock *held = lock(bob, KEEPER_LOCK_TAKE_OVER);
	assert_non_null(held);
	task_join(older.task);
	assert_true(older.was_taken_over);
	assert_not_locked(ada, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	keeper_unlock(held);
}

static void test_take_over_ends_the_older_session_first(void **state)
{
	(void)state;
	play(take_over);
}

static SUSPENDS void same_worker(void)
{
	struct session older = { .client = ada };
	older.task = task_start_child(hold_until_told, &older);
	nap(20);
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_TAKE_OVER);
	assert_non_null(held);
	task_join(older.task);
	assert_true(older.was_taken_over);
	assert_false(keeper_lock_is_taken_over(held));
	assert_not_locked(bob, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	keeper_unlock(held);
}

static void test_take_over_works_inside_one_worker(void **state)
{
	(void)state;
	play(same_worker);
}

static SUSPENDS void stubborn(void)
{
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_REFUSE);
	assert_non_null(held);
	assert_not_locked(bob, KEEPER_LOCK_TAKE_OVER, loop_deadline_ms(100),
			  FAILURE_IN_USE);
	assert_true(keeper_lock_is_taken_over(held));
	keeper_unlock(held); // now bob is granted what he wants no more
	nap(50);
	assert_free(ada);
}

static void test_a_lock_granted_too_late_is_given_back(void **state)
{
	(void)state;
	play(stubborn);
}

static SUSPENDS void ask_for_lock(void *argument)
{
	struct session *session = argument;
	struct failure failure;
	session->lock = keeper_lock(session->client, DROP, KEEPER_LOCK_TAKE_OVER,
				    task_self(), SOON, &failure);
	assert_null(session->lock);
	assert_int_equal(failure.kind, FAILURE_CANCELLED);
}

static SUSPENDS void cancelled(void)
{
	struct session asker = { .client = bob };
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_REFUSE);
	asker.task = task_start_child(ask_for_lock, &asker);
	nap(20);
	task_cancel(asker.task);
	task_join(asker.task);
	keeper_unlock(held);
	nap(50);
	assert_free(ada);
}

static void test_an_asker_that_is_cancelled_leaves_no_lock(void **state)
{
	(void)state;
	play(cancelled);
}

static SUSPENDS void no_keeper(void)
{
	struct keeper_client *lone = keeper_client_new(2, key);
	uint64_t before_ms = loop_now_ms();
	assert_not_locked(lone, KEEPER_LOCK_REFUSE, before_ms + 100, FAILURE_TEMPORARY);
	assert_not_locked(lone, KEEPER_LOCK_TAKE_OVER, before_ms + 200,
			  FAILURE_TEMPORARY);
	assert_in_range(loop_now_ms() - before_ms, 190, 3000);
	keeper_client_free(lone);
}

static void test_without_a_keeper_asking_waits_until_its_deadline(void **state)
{
	(void)state;
	play(no_keeper);
}

static SUSPENDS void attach_ada_later(void *argument)
{
	int *fd = argument;
	nap(300);
	keeper_client_connect(ada, *fd);
}

/* The new keeper is given both workers; only bob's speaks at once. */
static SUSPENDS struct task *restart_keeper(int *ada_fd)
{
	int ends[2];
	keeper_close(keeper);
	open_keeper();
	assert_true(channel_pair(ends));
	keeper_serve(keeper, ends[0]);
	*ada_fd = ends[1];
	attach(bob);
	return task_start_child(attach_ada_later, ada_fd);
}

static SUSPENDS void keeper_dies(void)
{
	int fd;
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_REFUSE);
	assert_non_null(held);
	struct task *later = restart_keeper(&fd);
	uint64_t before_ms = loop_now_ms();
	assert_not_locked(bob, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	assert_in_range(loop_now_ms() - before_ms, 200, 950); // ada had to be heard
	task_join(later);
	assert_false(keeper_lock_is_taken_over(held));
	keeper_unlock(held);
	nap(20);
	assert_free(bob);
}

static void test_locks_are_declared_to_a_new_keeper_before_any_is_granted(void **state)
{
	(void)state;
	play(keeper_dies);
}

static SUSPENDS void open_questions(void)
{
	struct session asker = { .client = bob };
	keeper_close(keeper);
	asker.task = task_start_child(hold_until_told, &asker); // asks nobody
	nap(20);
	open_keeper();
	attach(ada);
	attach(bob);
	nap(50);
	assert_non_null(asker.lock);
	assert_not_locked(ada, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	task_cancel(asker.task);
	task_join(asker.task);
	assert_false(asker.was_taken_over);
}

static void test_who_asks_while_the_keeper_is_away_is_answered_by_the_next(void **state)
{
	(void)state;
	play(open_questions);
}

static SUSPENDS void wait_for_lock(void *argument)
{
	assert_not_locked(argument, KEEPER_LOCK_TAKE_OVER, loop_deadline_ms(300),
			  FAILURE_IN_USE);
}

static SUSPENDS void wait_over_restart(struct keeper_client *holder,
				       struct keeper_client *asker)
{
	struct keeper_lock *held = lock(holder, KEEPER_LOCK_REFUSE);
	struct task *waiter = task_start_child(wait_for_lock, asker);
	nap(20);
	assert_true(keeper_lock_is_taken_over(held)); // told, and takes its time
	keeper_close(keeper);
	nap(20);
	open_keeper();
	attach(ada);
	attach(bob);
	task_join(waiter);
	assert_not_locked(asker, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	keeper_unlock(held);
	nap(20);
}

static SUSPENDS void waiters_over_restart(void)
{
	wait_over_restart(ada, bob);
	wait_over_restart(bob, ada);
}

static void test_a_keeper_that_goes_passes_no_lock_on(void **state)
{
	(void)state;
	play(waiters_over_restart);
}

static SUSPENDS void silent_worker(void)
{
	int ends[2];
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_REFUSE);
	keeper_close(keeper);
	open_keeper();
	assert_true(channel_pair(ends));
	keeper_serve(keeper, ends[0]);
	attach(bob);
	uint64_t before_ms = loop_now_ms();
	struct keeper_lock *second = lock(bob, KEEPER_LOCK_REFUSE);
	assert_non_null(second);
	assert_in_range(loop_now_ms() - before_ms, 900, 3000);
	keeper_client_connect(ada, ends[1]); // with a lock that bob has by now
	nap(50);
	assert_true(keeper_lock_is_taken_over(held));
	assert_false(keeper_lock_is_taken_over(second));
	keeper_unlock(held);
	nap(20);
	assert_not_locked(ada, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	keeper_unlock(second);
}

static void test_a_worker_that_declares_too_late_loses_what_others_have(void **state)
{
	(void)state;
	play(silent_worker);
}

/* A worker by hand. */
static SUSPENDS void say(struct channel *worker, const struct keeper_message *message)
{
	struct failure failure;
	struct buffer packet;
	buffer_init(&packet, CHANNEL_MESSAGE_MAX);
	assert_true(keeper_message_encode(message, &packet));
	assert_true(channel_send(worker, buffer_bytes(&packet), NULL, SOON, &failure));
	buffer_release(&packet);
}

static struct channel *bare_worker(void)
{
	int ends[2];
	assert_true(channel_pair(ends));
	keeper_serve(keeper, ends[0]);
	return channel_new(ends[1]);
}

static SUSPENDS struct channel *served_worker(void)
{
	struct channel *worker = bare_worker();
	say(worker, &(struct keeper_message){ .type = KEEPER_HELLO, .number = 9 });
	say(worker, &(struct keeper_message){ .type = KEEPER_HELD_ALL });
	return worker;
}

static SUSPENDS void hear(struct channel *worker, enum keeper_message_type type,
			  uint32_t number)
{
	struct failure failure;
	struct keeper_message message;
	char *packet = malloc(CHANNEL_MESSAGE_MAX);
	size_t len;
	assert_true(channel_receive(worker, packet, &len, NULL, SOON, &failure));
	assert_true(
		keeper_message_decode((struct bytes){ packet, len }, false, &message));
	assert_int_equal(message.type, type);
	assert_int_equal(message.number, number);
	free(packet);
}

static SUSPENDS void worker_dies(void)
{
	struct channel *worker = served_worker();
	say(worker,
	    &(struct keeper_message){ .type = KEEPER_LOCK, .request = 1, .key = DROP });
	hear(worker, KEEPER_LOCKED, 1);
	assert_not_locked(bob, KEEPER_LOCK_REFUSE, SOON, FAILURE_IN_USE);
	channel_close(worker);
	uint64_t before_ms = loop_now_ms();
	nap(1);
	assert_free(bob);
	assert_in_range(loop_now_ms() - before_ms, 0, 500);
}

static void test_a_dead_workers_locks_are_free_within_a_moment(void **state)
{
	(void)state;
	play(worker_dies);
}

static SUSPENDS void waiter_of_the_dead(void)
{
	struct channel *worker = served_worker();
	say(worker,
	    &(struct keeper_message){ .type = KEEPER_LOCK, .request = 1, .key = DROP });
	hear(worker, KEEPER_LOCKED, 1);
	struct failure failure;
	assert_null(keeper_lock(bob, DROP, KEEPER_LOCK_TAKE_OVER, NULL,
				loop_deadline_ms(50), &failure));
	hear(worker, KEEPER_TAKE_OVER, 0);
	channel_close(worker); // killed before it could end the session
	struct keeper_lock *held = lock(ada, KEEPER_LOCK_TAKE_OVER);
	assert_non_null(held);
	keeper_unlock(held);
}

static void test_a_lock_of_the_dead_passes_to_who_waits_for_it(void **state)
{
	(void)state;
	play(waiter_of_the_dead);
}

static SUSPENDS void assert_cut_off(struct channel *worker)
{
	struct failure failure;
	char *packet = malloc(CHANNEL_MESSAGE_MAX);
	size_t len;
	assert_false(channel_receive(worker, packet, &len, NULL, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PEER_GONE);
	free(packet);
	channel_close(worker);
}

static SUSPENDS void bad_manners(void)
{
	struct failure failure;
	struct channel *worker;
	const struct keeper_message ill_timed[] = {
		{ .type = KEEPER_LOCK, .request = 1, .key = DROP },
		{ .type = KEEPER_HELD_ALL },
		{ .type = KEEPER_HOLD, .key = DROP },
	};

	log_setup(LOG_ERROR, LOG_LOGFMT);
	for (size_t i = 0; i < sizeof(ill_timed) / sizeof(*ill_timed); i++) {
		worker = bare_worker();
		say(worker, &ill_timed[i]);
		assert_cut_off(worker);
	}
	worker = served_worker();
	say(worker, &(struct keeper_message){ .type = KEEPER_HELLO, .number = 9 });
	assert_cut_off(worker);
	worker = served_worker();
	say(worker, &(struct keeper_message){ .type = KEEPER_HOLD, .key = DROP });
	assert_cut_off(worker);
	worker = served_worker();
	say(worker, &(struct keeper_message){ .type = KEEPER_TAKE_OVER, .key = DROP });
	assert_cut_off(worker);
	worker = served_worker();
	assert_true(channel_send(worker, bytes_of("\001\377"), NULL, SOON, &failure));
	assert_cut_off(worker);
	assert_free(bob); // the others do not notice
}

static void test_unknown_or_ill_timed_messages_end_the_sender(void **state)
{
	(void)state;
	play(bad_manners);
}

static struct address address_of(const char *text)
{
	struct address address;
	assert_true(address_parse(bytes_of(text), 0, &address));
	return address;
}

static SUSPENDS bool try(struct keeper_client *client, const char *from,
			 const char *account, const char *secret,
			 enum keeper_outcome outcome, uint64_t *delay_ms,
			 struct failure *failure)
{
	struct address address = address_of(from);
	struct keeper_sign_in who = { .address = &address,
				      .account = bytes_of(account),
				      .secret = bytes_of(secret) };
	if (!keeper_ask(client, &who, SOON, delay_ms, failure)) {
		return false;
	}
	keeper_tell(client, &who, outcome);
	return true;
}

static SUSPENDS void guesses(void)
{
	static const char *const passwords[] = { "a", "b", "c", "d", "e", "f", "g", "h",
						 "i", "j", "k", "l", "m", "n", "o", "p" };
	struct failure failure;
	uint64_t delay_ms = 0;
	unsigned allowed = 0;
	for (size_t i = 0; i < 16; i++) { // through both workers in turn
		allowed += try(i % 2 ? ada : bob, "192.0.2.1", "ada", passwords[i],
			       KEEPER_WRONG, &delay_ms, &failure);
		nap(5);
	}
	assert_in_range(allowed, 3, 10);
	assert_int_equal(failure.kind, FAILURE_AUTH);
	assert_true(try(ada, "198.51.100.1", "ada", "right", KEEPER_RIGHT, &delay_ms,
			&failure));
	assert_int_equal(delay_ms, 0);
	assert_true(try(bob, "::ffff:198.51.100.1", "ada", "right", KEEPER_RIGHT,
			&delay_ms, &failure));
	assert_int_equal(delay_ms, 0);
	assert_true(
		try(NULL, "192.0.2.1", "ada", "x", KEEPER_WRONG, &delay_ms, &failure));
	assert_int_equal(delay_ms, 0);
}

static void test_guesses_count_over_all_workers(void **state)
{
	(void)state;
	play(guesses);
}

static SUSPENDS void restart(void)
{
	keeper_close(keeper);
	open_keeper();
	attach(ada);
	attach(bob);
}

static SUSPENDS void guesses_and_a_restart(void)
{
	static const char *const passwords[] = { "a", "b", "c", "d", "e", "f" };
	struct failure failure;
	uint64_t delay_ms = 0;
	assert_true(try(ada, "203.0.113.5", "ada", "right", KEEPER_RIGHT, &delay_ms,
			&failure));
	keeper_tell_ended(ada, bytes_of("ada"),
			  &(struct keeper_session){ .retrieved = 3 });
	for (size_t i = 0; i < 6; i++) {
		try(ada, "192.0.2.1", "ada", passwords[i], KEEPER_WRONG, &delay_ms,
		    &failure);
	}
	nap(20);
	restart();
	for (size_t i = 0; i < 2; i++) { // the first books the next one's moment
		assert_true(try(bob, "192.0.2.1", "ada", passwords[i], KEEPER_WRONG,
				&delay_ms, &failure));
	}
	assert_in_range(delay_ms, 2000, 15000);
	assert_true(try(bob, "203.0.113.5", "ada", "right", KEEPER_RIGHT, &delay_ms,
			&failure));
	assert_int_equal(delay_ms, 0);
}

static void test_what_was_learnt_outlives_the_keeper(void **state)
{
	static const char *const names[] = { "popbridge.db", "popbridge.lock" };
	char directory[] = "keeper-test-XXXXXX";
	char path[64];
	(void)state;
	assert_non_null(mkdtemp(directory));
	state_directory = directory;
	play(guesses_and_a_restart);
	state_directory = NULL;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(directory), 0);
}

static SUSPENDS void die_signing_in(void)
{
	struct channel *worker = served_worker();
	say(worker, &(struct keeper_message){ .type = KEEPER_ASK,
					      .request = 1,
					      .account = bytes_of("poison") });
	hear(worker, KEEPER_VERDICT, 0);
	channel_close(worker);
	nap(20);
}

static SUSPENDS void poison(void)
{
	struct failure failure;
	uint64_t delay_ms;
	die_signing_in();
	assert_true(try(bob, "192.0.2.1", "poison", "x", KEEPER_RIGHT, &delay_ms,
			&failure)); // it got through: nothing wrong with it
	nap(20);
	die_signing_in();
	die_signing_in();
	assert_false(
		try(bob, "192.0.2.1", "poison", "x", KEEPER_RIGHT, &delay_ms, &failure));
	assert_int_equal(failure.kind, FAILURE_TEMPORARY);
	assert_true(
		try(bob, "192.0.2.1", "other", "x", KEEPER_RIGHT, &delay_ms, &failure));
}

static void test_an_account_that_kills_workers_twice_is_refused(void **state)
{
	(void)state;
	play(poison);
}

static SUSPENDS void nobody(void)
{
	struct keeper_lock *one = lock(NULL, KEEPER_LOCK_REFUSE);
	struct keeper_lock *two = lock(NULL, KEEPER_LOCK_REFUSE);
	assert_non_null(one);
	assert_non_null(two);
	assert_false(keeper_lock_is_taken_over(one));
	assert_false(keeper_lock_is_taken_over(NULL));
	keeper_unlock(one);
	keeper_unlock(two);
	keeper_unlock(NULL);
	keeper_tell_ended(NULL, bytes_of("ada"), &(struct keeper_session){ 1, 0, 1 });
	keeper_client_free(NULL);
}

static void test_no_client_means_no_lock_and_no_throttle(void **state)
{
	(void)state;
	play(nobody);
}

static SUSPENDS void many(void)
{
	enum { COUNT = 3000 };
	static struct keeper_lock *held[COUNT];
	struct failure failure;
	char name[32];
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "maildrop %d", i);
		held[i] = keeper_lock(ada, bytes_of(name), KEEPER_LOCK_REFUSE, NULL, SOON,
				      &failure);
		assert_non_null(held[i]);
	}
	keeper_close(keeper);
	open_keeper();
	attach(ada);
	attach(bob);
	for (int i = 0; i < COUNT; i += 100) {
		snprintf(name, sizeof(name), "maildrop %d", i);
		assert_null(keeper_lock(bob, bytes_of(name), KEEPER_LOCK_REFUSE, NULL,
					SOON, &failure));
		assert_int_equal(failure.kind, FAILURE_IN_USE);
	}
	for (int i = 0; i < COUNT; i++) {
		keeper_unlock(held[i]);
	}
}

static void test_thousands_of_locks_outlive_a_keeper(void **state)
{
	(void)state;
	play(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_session_has_the_maildrop),
		cmocka_unit_test(test_an_index_of_any_length_comes_back),
		cmocka_unit_test(test_an_index_is_one_workers_and_whole),
		cmocka_unit_test(test_the_login_delay_holds_over_all_workers),
		cmocka_unit_test(test_take_over_ends_the_older_session_first),
		cmocka_unit_test(test_take_over_works_inside_one_worker),
		cmocka_unit_test(test_a_lock_granted_too_late_is_given_back),
		cmocka_unit_test(test_an_asker_that_is_cancelled_leaves_no_lock),
		cmocka_unit_test(test_without_a_keeper_asking_waits_until_its_deadline),
		cmocka_unit_test(
			test_locks_are_declared_to_a_new_keeper_before_any_is_granted),
		cmocka_unit_test(
			test_who_asks_while_the_keeper_is_away_is_answered_by_the_next),
		cmocka_unit_test(test_a_keeper_that_goes_passes_no_lock_on),
		cmocka_unit_test(
			test_a_worker_that_declares_too_late_loses_what_others_have),
		cmocka_unit_test(test_a_dead_workers_locks_are_free_within_a_moment),
		cmocka_unit_test(test_a_lock_of_the_dead_passes_to_who_waits_for_it),
		cmocka_unit_test(test_unknown_or_ill_timed_messages_end_the_sender),
		cmocka_unit_test(test_guesses_count_over_all_workers),
		cmocka_unit_test(test_what_was_learnt_outlives_the_keeper),
		cmocka_unit_test(test_an_account_that_kills_workers_twice_is_refused),
		cmocka_unit_test(test_no_client_means_no_lock_and_no_throttle),
		cmocka_unit_test(test_thousands_of_locks_outlive_a_keeper),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
