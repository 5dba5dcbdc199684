/*
 * All goes well: a sign-in is asked for, allowed, and told the end of. It is not told:
 * the worker died, so the account may be why; or it forgot, and the try stays counted.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/keeper_internal.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 50000 // of one worker
#define ATTEMPT_MS (5 * 60 * 1000)

static uint64_t short_hash(const struct keeper_message *message)
{
	uint64_t hash;

	memcpy(&hash, message->hash, sizeof(hash));
	return hash;
}

static struct bytes account_of(const struct attempt *attempt)
{
	return (struct bytes){ attempt->account, attempt->account_len };
}

static void attempt_free(struct attempt *attempt)
{
	free(attempt->account);
	free(attempt);
}

static bool is_known(struct keeper *keeper, const struct keeper_message *message)
{
	unsigned char block[KEEPER_ADDRESS_BYTES];

	throttle_block(message->address, block);
	return store_is_known(keeper->store, message->account, block);
}

static struct attempt *attempt_new(struct keeper *keeper,
				   const struct keeper_message *message)
{
	struct attempt *attempt = memory_new(sizeof(*attempt));

	memcpy(attempt->address, message->address, KEEPER_ADDRESS_BYTES);
	attempt->shared = message->shared_address;
	attempt->known = is_known(keeper, message);
	attempt->hash = short_hash(message);
	attempt->account = memory_copy_text(message->account);
	attempt->account_len = message->account.len;
	attempt->asked_ms = loop_now_ms();
	return attempt;
}

static struct throttle_try try_of(const struct attempt *attempt)
{
	return (struct throttle_try){ .address = attempt->address,
				      .shared = attempt->shared,
				      .known = attempt->known,
				      .account = account_of(attempt),
				      .hash = attempt->hash };
}

static uint32_t judge(struct keeper *keeper, struct attempt *attempt)
{
	struct throttle_try try = try_of(attempt);

	if (suspects_are_refused(keeper->suspects, try.account, attempt->asked_ms)) {
		return KEEPER_SUSPECT;
	}
	return throttle_ask(keeper->throttle, &try, attempt->asked_ms, &attempt->charge);
}

bool keeper_sign_in_ask(struct worker *worker, const struct keeper_message *message,
			uint32_t *number)
{
	struct attempt *attempt;

	if (worker->attempt_count >= ATTEMPTS_MAX) {
		return false;
	}
	attempt = attempt_new(worker->keeper, message);
	*number = judge(worker->keeper, attempt);
	if (*number == KEEPER_REFUSE || *number == KEEPER_SUSPECT) {
		attempt_free(attempt);
		return true;
	}
	attempt->next = worker->attempts;
	worker->attempts = attempt;
	worker->attempt_count++;
	return true;
}

static bool is_about(const struct attempt *attempt, const struct keeper_message *message)
{
	return attempt->hash == short_hash(message) &&
	       memcmp(attempt->address, message->address, KEEPER_ADDRESS_BYTES) == 0 &&
	       bytes_equal(account_of(attempt), message->account);
}

/* Any of those alike; NULL: it was asked of the keeper before. */
static struct attempt *take_attempt(struct worker *worker,
				    const struct keeper_message *message)
{
	struct attempt **link = &worker->attempts;
	struct attempt *attempt;

	while (*link && !is_about(*link, message)) {
		link = &(*link)->next;
	}
	attempt = *link;
	if (attempt) {
		*link = attempt->next;
		worker->attempt_count--;
	}
	return attempt;
}

static void remember(struct keeper *keeper, const struct attempt *attempt,
		     enum keeper_outcome outcome)
{
	const uint64_t now_s = keeper_wall_s();
	unsigned char block[KEEPER_ADDRESS_BYTES];

	store_note_sign_in(keeper->store, account_of(attempt), attempt->address, outcome,
			   now_s);
	/* Behind a shared address anybody may be. */
	if (outcome == KEEPER_RIGHT && !attempt->shared) {
		throttle_block(attempt->address, block);
		store_note_known(keeper->store, account_of(attempt), block, now_s);
	}
}

void keeper_sign_in_tell(struct worker *worker, const struct keeper_message *message)
{
	struct keeper *keeper = worker->keeper;
	struct attempt *attempt = take_attempt(worker, message);
	const enum keeper_outcome outcome = (enum keeper_outcome)message->number;

	if (!attempt) {
		attempt = attempt_new(keeper, message);
	}
	struct throttle_try try = try_of(attempt);

	throttle_tell(keeper->throttle, &try, &attempt->charge, outcome, loop_now_ms());
	suspects_clear(keeper->suspects, message->account);
	remember(keeper, attempt, outcome);
	if (outcome == KEEPER_RIGHT && message->tls != KEEPER_TLS_MODERN) {
		store_note_legacy(keeper->store, message->account, message->address,
				  message->tls, keeper_wall_s());
	}
	attempt_free(attempt);
}

void keeper_sign_in_expire(struct worker *worker)
{
	const uint64_t now_ms = loop_now_ms();
	struct attempt **link = &worker->attempts;

	while (*link) {
		struct attempt *attempt = *link;

		if (now_ms - attempt->asked_ms < ATTEMPT_MS) {
			link = &attempt->next;
			continue;
		}
		*link = attempt->next;
		worker->attempt_count--;
		attempt_free(attempt);
	}
}

static void blame(struct keeper *keeper, const struct attempt *attempt)
{
	const struct bytes account = account_of(attempt);
	struct log_line line;

	if (!suspects_blame(keeper->suspects, account, loop_now_ms())) {
		return;
	}
	store_note_suspect(keeper->store, account, keeper_wall_s());
	if (log_begin(&line, LOG_ERROR, "account refused for a while")) {
		log_text(&line, "user", account);
		log_string(&line, "cause", "workers died while it signed in");
		log_end(&line);
	}
}

void keeper_sign_in_end(struct worker *worker, bool is_dead)
{
	while (worker->attempts) {
		struct attempt *attempt = worker->attempts;

		worker->attempts = attempt->next;
		if (is_dead) {
			blame(worker->keeper, attempt);
		}
		attempt_free(attempt);
	}
	worker->attempt_count = 0;
}
