#include "proxy/base/ledger.h"

#include "proxy/base/census.h"

#define CALM_MS ((uint64_t)10 * 60 * 1000)
#define PAUSE_MS ((uint64_t)30 * 1000)
#define PAUSE_MAX_MS ((uint64_t)15 * 60 * 1000)
#define BACKOFF_MIN_MS ((uint64_t)1000)
#define BACKOFF_MAX_MS ((uint64_t)60 * 60 * 1000)

static struct ledger_account *set_of(uint64_t key)
{
	struct ledger *ledger = census_ledger();

	return ledger ? &ledger->accounts[key % LEDGER_SETS * LEDGER_WAYS] : NULL;
}

static struct ledger_account *find(uint64_t key)
{
	struct ledger_account *set = set_of(key);

	for (size_t i = 0; set && i < LEDGER_WAYS; i++) {
		if (atomic_load(&set[i].key) == key) {
			return &set[i];
		}
	}
	return NULL;
}

static struct ledger_account *settle(struct ledger_account *account, uint64_t key)
{
	atomic_store(&account->key, 0);
	atomic_store(&account->calm_until_ms, 0);
	atomic_store(&account->paused_until_ms, 0);
	atomic_store(&account->strikes, 0);
	atomic_store(&account->day, 0);
	atomic_store(&account->octets, 0);
	atomic_store(&account->octets_before, 0);
	atomic_store(&account->changed_ms, 0);
	atomic_store(&account->key, key);
	return account;
}

/* NULL: there is no census. */
static struct ledger_account *open_account(uint64_t key, uint64_t now_ms)
{
	struct ledger_account *account = find(key);
	struct ledger_account *set = set_of(key);

	if (!account && set) {
		account = &set[0];
		for (size_t i = 1; i < LEDGER_WAYS; i++) {
			if (atomic_load(&set[i].used_ms) <
			    atomic_load(&account->used_ms)) {
				account = &set[i];
			}
		}
		settle(account, key);
	}
	if (account) {
		atomic_store(&account->used_ms, now_ms);
	}
	return account;
}

/* One of those who see the new day first moves the old one's octets. */
static void begin_day(struct ledger_account *account, uint64_t day)
{
	uint64_t last = atomic_load(&account->day);

	if (last != day && atomic_compare_exchange_strong(&account->day, &last, day)) {
		const uint64_t octets = atomic_exchange(&account->octets, 0);

		atomic_store(&account->octets_before, last + 1 == day ? octets : 0);
	}
}

void ledger_take(uint64_t key, uint64_t octets, uint64_t now_ms)
{
	struct ledger_account *account = open_account(key, now_ms);

	if (account) {
		begin_day(account, now_ms / LEDGER_DAY_MS);
		atomic_fetch_add(&account->octets, octets);
	}
}

/* What of the day before is still within the last 24 hours. */
static uint64_t share_of_last(uint64_t octets, uint64_t now_ms)
{
	const uint64_t left_s = (LEDGER_DAY_MS - now_ms % LEDGER_DAY_MS) / 1000;

	return octets / (LEDGER_DAY_MS / 1000) * left_s;
}

uint64_t ledger_taken(uint64_t key, uint64_t now_ms)
{
	const struct ledger_account *account = find(key);
	const uint64_t day = now_ms / LEDGER_DAY_MS;

	if (!account) {
		return 0;
	}
	const uint64_t last = atomic_load(&account->day);
	const uint64_t octets = atomic_load(&account->octets);

	if (last == day) {
		return octets +
		       share_of_last(atomic_load(&account->octets_before), now_ms);
	}
	return last + 1 == day ? share_of_last(octets, now_ms) : 0;
}

/* Of two that say when, the later time. */
static void extend(_Atomic uint64_t *until_ms, uint64_t to_ms)
{
	if (atomic_load(until_ms) < to_ms) {
		atomic_store(until_ms, to_ms);
	}
}

void ledger_note_change(uint64_t key, uint64_t now_ms)
{
	struct ledger_account *account = open_account(key, now_ms);

	if (account) {
		extend(&account->changed_ms, now_ms);
	}
}

uint64_t ledger_changed_ms(uint64_t key)
{
	const struct ledger_account *account = find(key);

	return account ? atomic_load(&account->changed_ms) : 0;
}

struct ledger_state ledger_state(uint64_t key)
{
	const struct ledger_account *account = find(key);

	if (!account) {
		return (struct ledger_state){ 0 };
	}
	return (struct ledger_state){ atomic_load(&account->calm_until_ms),
				      atomic_load(&account->paused_until_ms) };
}

/* Said by the server, which may say anything; or by us. */
static uint64_t pause_ms(uint64_t backoff_ms, uint64_t strikes)
{
	uint64_t ms = PAUSE_MS;

	if (backoff_ms > 0) {
		ms = backoff_ms > BACKOFF_MIN_MS ? backoff_ms : BACKOFF_MIN_MS;
		return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
	}
	while (strikes-- > 1 && ms < PAUSE_MAX_MS) {
		ms *= 2;
	}
	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

struct ledger_state ledger_slow_down(uint64_t key, uint64_t backoff_ms, bool severe,
				     uint64_t now_ms)
{
	struct ledger_account *account = open_account(key, now_ms);

	if (!account) {
		return (struct ledger_state){ 0 };
	}
	if (now_ms >= atomic_load(&account->calm_until_ms)) {
		atomic_store(&account->strikes, 0);
	}
	const uint64_t strikes = atomic_fetch_add(&account->strikes, 1) + 1;
	const uint64_t ms = pause_ms(backoff_ms, strikes);

	if (severe || backoff_ms > 0 || strikes > 1) {
		extend(&account->paused_until_ms, now_ms + ms);
	}
	extend(&account->calm_until_ms, now_ms + ms + CALM_MS);
	return ledger_state(key);
}
