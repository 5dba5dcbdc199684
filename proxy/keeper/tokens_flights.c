/*
 * When a provider may be asked for an account's token: one refresh at a time, none too
 * soon after one that failed, and no other token in place of one that is new.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <stdlib.h>

#define SET_BACK_FIRST_MS 2000
#define SET_BACK_LONGEST_MS (5 * 60 * 1000)
#define SET_BACKS_MAX 20000
#define RETRIED_MS 16000   // set back for longer: the next client asks
#define RETRIES_AT_ONCE 16 // a second
#define RENEWED_MS 5000    // a token got anew is not got anew again before

/* ---- refreshes under way ---- */

const struct flight *tokens_flight_of(const struct tokens *tokens, struct bytes account)
{
	const struct flight *flight = tokens->flights;

	while (flight && !bytes_equal(bytes_of(flight->account), account)) {
		flight = flight->next;
	}
	return flight;
}

void tokens_land(struct flight *flight)
{
	struct tokens *tokens = flight->tokens;
	struct flight **link = &tokens->flights;

	while (*link != flight) {
		link = &(*link)->next;
	}
	*link = flight->next;
	free(flight->account);
	free(flight);
	gate_open(&tokens->landed);
}

SUSPENDS bool tokens_wait(struct tokens *tokens, struct bytes account,
			  uint64_t deadline_ms, struct failure *failure)
{
	if (!tokens_flight_of(tokens, account)) {
		tokens_fly(tokens, account);
	}
	while (tokens_flight_of(tokens, account)) {
		if (!gate_wait(&tokens->landed, deadline_ms, failure)) {
			if (failure->kind != FAILURE_CANCELLED) {
				failure_set(failure, FAILURE_TEMPORARY,
					    "the provider has not answered yet");
			}
			return false;
		}
	}
	return true;
}

/* ---- what was got anew ---- */

static void expire_renewals(struct tokens *tokens)
{
	struct renewal **link = &tokens->renewals;

	while (*link) {
		struct renewal *renewal = *link;

		if (loop_now_ms() < renewal->until_ms) {
			link = &renewal->next;
			continue;
		}
		*link = renewal->next;
		free(renewal->account);
		free(renewal);
	}
}

bool tokens_is_to_renew(struct tokens *tokens, struct bytes account)
{
	struct renewal *renewal;

	if (tokens_flight_of(tokens, account)) {
		return true; // it is under way
	}
	expire_renewals(tokens);
	for (renewal = tokens->renewals; renewal; renewal = renewal->next) {
		if (bytes_equal(bytes_of(renewal->account), account)) {
			return false;
		}
	}
	renewal = memory_new(sizeof(*renewal));
	renewal->account = memory_copy_text(account);
	renewal->until_ms = loop_deadline_ms(RENEWED_MS);
	renewal->next = tokens->renewals;
	tokens->renewals = renewal;
	return true;
}

/* ---- set-backs ---- */

static struct set_back **find_set_back(struct tokens *tokens, struct bytes account)
{
	struct set_back **link = &tokens->set_backs;

	while (*link && !bytes_equal(bytes_of((*link)->account), account)) {
		link = &(*link)->next;
	}
	return link;
}

bool tokens_may_fly(struct tokens *tokens, struct bytes account, struct failure *failure)
{
	const struct set_back *set_back = *find_set_back(tokens, account);

	if (tokens_flight_of(tokens, account)) {
		return false;
	}
	if (!set_back || loop_now_ms() >= set_back->until_ms) {
		return true;
	}
	if (failure) {
		*failure = set_back->failure;
	}
	return false;
}

void tokens_set_back(struct tokens *tokens, struct bytes account,
		     const struct failure *failure)
{
	struct set_back *set_back = *find_set_back(tokens, account);

	if (!set_back && tokens->set_back_count < SET_BACKS_MAX) {
		set_back = memory_new(sizeof(*set_back));
		set_back->account = memory_copy_text(account);
		set_back->next = tokens->set_backs;
		tokens->set_backs = set_back;
		tokens->set_back_count++;
	}
	if (set_back) {
		set_back->delay_ms = set_back->delay_ms == 0 ? SET_BACK_FIRST_MS
				     : set_back->delay_ms * 2 < SET_BACK_LONGEST_MS
					     ? set_back->delay_ms * 2
					     : SET_BACK_LONGEST_MS;
		set_back->until_ms = loop_deadline_ms(set_back->delay_ms);
		set_back->failure = *failure;
	}
}

void tokens_set_back_end(struct tokens *tokens, struct bytes account)
{
	struct set_back **link = find_set_back(tokens, account);
	struct set_back *set_back = *link;

	if (set_back) {
		*link = set_back->next;
		tokens->set_back_count--;
		free(set_back->account);
		free(set_back);
	}
}

bool tokens_is_set_back(struct tokens *tokens, struct bytes account)
{
	return *find_set_back(tokens, account) != NULL;
}

static bool is_to_retry(const struct tokens *tokens, const struct set_back *set_back)
{
	const struct bytes account = bytes_of(set_back->account);

	return set_back->failure.kind == FAILURE_TEMPORARY &&
	       set_back->delay_ms <= RETRIED_MS && loop_now_ms() >= set_back->until_ms &&
	       !tokens_is_app_key(account) && !tokens_flight_of(tokens, account);
}

/*
 * A refresh begins at once, and may end the set-back of its own account. Few at a time:
 * after an outage there are as many as there are accounts.
 */
void tokens_retry(struct tokens *tokens)
{
	size_t begun = 0;

	for (struct set_back *set_back = tokens->set_backs, *next;
	     set_back && begun < RETRIES_AT_ONCE; set_back = next) {
		next = set_back->next;
		if (is_to_retry(tokens, set_back)) {
			tokens_fly(tokens, bytes_of(set_back->account));
			begun++;
		}
	}
}

void tokens_free_flights(struct tokens *tokens)
{
	while (tokens->set_backs) {
		tokens_set_back_end(tokens, bytes_of(tokens->set_backs->account));
	}
	while (tokens->renewals) {
		tokens->renewals->until_ms = 0;
		expire_renewals(tokens);
	}
}
