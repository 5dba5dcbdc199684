/*
 * What each account takes of its IMAP server in a day, whom the server wants slowed down,
 * and whose lists of a moment ago are wrong: in the census' memory, so that it holds for
 * all workers and outlives each.
 *
 * Everybody writes, without locks: two who write of one account at the same moment may
 * lose a little. A key is a keyed hash, as in the census. A set of 8 that is full loses
 * the account that was used longest ago.
 */
#ifndef PROXY_BASE_LEDGER_H
#define PROXY_BASE_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_WAYS 8
#define LEDGER_SETS 2048
#define LEDGER_DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

struct ledger_account {
	_Atomic uint64_t key;
	_Atomic uint64_t used_ms;
	_Atomic uint64_t calm_until_ms;   // nothing is asked ahead
	_Atomic uint64_t paused_until_ms; // nobody signs in
	_Atomic uint64_t strikes;         // in a row
	_Atomic uint64_t day;             // number of the day that the next two are about
	_Atomic uint64_t octets;
	_Atomic uint64_t octets_before; // of the day before it
	_Atomic uint64_t changed_ms; // when a list of its messages was last found wrong
};

struct ledger {
	struct ledger_account accounts[LEDGER_SETS * LEDGER_WAYS];
};

/* now_ms is monotonic, the same clock in all processes. No census: nothing happens. */

void ledger_take(uint64_t key, uint64_t octets, uint64_t now_ms);
/* In the last 24 hours, estimated. */
uint64_t ledger_taken(uint64_t key, uint64_t now_ms);

/* A list that was made of the account's messages is not right any more. */
void ledger_note_change(uint64_t key, uint64_t now_ms);
/* When that was noted last; 0: never, or others needed the place. */
uint64_t ledger_changed_ms(uint64_t key);

struct ledger_state {
	uint64_t calm_until_ms; // 0, or past: not slowed down
	uint64_t paused_until_ms;
};

struct ledger_state ledger_state(uint64_t key);

/*
 * The server wants the account slowed down. backoff_ms: for so long, as it says itself;
 * 0: it does not, and the time doubles with each strike. severe: nobody may sign in
 * meanwhile; else only from the second strike on. What holds now is returned.
 */
struct ledger_state ledger_slow_down(uint64_t key, uint64_t backoff_ms, bool severe,
				     uint64_t now_ms);

#endif
