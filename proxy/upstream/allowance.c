#include "proxy/upstream/allowance.h"

#include "protocol/buffer.h"
#include "protocol/imap_backoff.h"
#include "proxy/base/log.h"
#include "proxy/rt/task.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX 2048

static uint64_t key_of(const struct upstream *upstream, const char *what,
		       struct bytes user)
{
	const struct config_route *route = upstream->route;
	unsigned char hash[KEYED_HASH_BYTES];
	struct buffer context;
	uint64_t key;

	buffer_init(&context, KEY_MAX);
	buffer_printf(&context, "upstream %s %s:%u", what, route->host, route->port);
	keyed_hash(upstream->secret, buffer_bytes(&context), user, hash);
	buffer_release(&context);
	memcpy(&key, hash, sizeof(key));
	return key == CENSUS_ALL ? 1 : key;
}

struct allowance allowance_of(const struct upstream *upstream, struct bytes user)
{
	return (struct allowance){
		.upstream = upstream,
		.server_key = key_of(upstream, "server", (struct bytes){ 0 }),
		.account_key = key_of(upstream, "account", user),
	};
}

struct allowance_place allowance_enter(const struct allowance *allowance)
{
	struct allowance_place place = { 0 };

	if (allowance->upstream) {
		place.server = census_enter(allowance->server_key);
		place.account = census_enter(allowance->account_key);
		census_arrived(place.server, loop_now_ms());
	}
	return place;
}

void allowance_leave(struct allowance_place *place)
{
	census_leave(place->server);
	census_leave(place->account);
	*place = (struct allowance_place){ 0 };
}

/* limit 0: any. */
static bool is_full(uint64_t key, uint32_t limit)
{
	return limit > 0 && census_sessions(key) >= limit;
}

static bool is_too_fast(uint64_t key, uint32_t rate)
{
	return rate > 0 && census_arrivals(key, loop_now_ms()) >=
				   (uint64_t)rate * (CENSUS_WINDOW_MS / 1000);
}

/* Returns false. */
static bool held_back(const struct allowance *allowance, struct failure *failure,
		      const char *advice)
{
	metrics_upstream_held_back(allowance->upstream->metrics);
	return failure_advise(failure, advice);
}

enum allowance_verdict allowance_judge(const struct allowance *allowance,
				       struct failure *failure)
{
	const struct config_route *route = allowance->upstream->route;
	enum allowance_verdict verdict = ALLOWANCE_ACCOUNT_CROWDED;
	const char *setting;

	if (is_full(allowance->account_key, route->server_connections_per_account)) {
		setting = "the account has as many connections to its server as "
			  "server-connections-per-account allows";
	} else if (is_full(allowance->server_key, route->server_connections)) {
		setting = "there are as many connections to the server as "
			  "server-connections allows";
		verdict = ALLOWANCE_SERVER_CROWDED;
	} else if (is_too_fast(allowance->server_key, route->server_sign_in_rate)) {
		setting = "there are as many sign-ins at the server as "
			  "server-sign-in-rate allows";
		verdict = ALLOWANCE_TOO_FAST;
	} else {
		return ALLOWANCE_GOOD;
	}
	failure_set(failure, FAILURE_TEMPORARY, "%s", setting);
	failure_advise(failure, "wait, or raise the setting if the server's provider "
				"allows it");
	return verdict;
}

static bool is_within(const struct allowance *allowance, unsigned percent)
{
	const uint64_t most = allowance->upstream->route->server_octets_per_day;

	return most == 0 ||
	       ledger_taken(allowance->account_key, loop_now_ms()) < most / 100 * percent;
}

bool allowance_has_octets(const struct allowance *allowance, struct failure *failure)
{
	if (!allowance->upstream || is_within(allowance, 100)) {
		return true;
	}
	failure_set(
		failure, FAILURE_TEMPORARY,
		"the account has had what server-octets-per-day allows in the last 24 "
		"hours");
	return held_back(allowance, failure,
			 "wait, or raise the setting if the server's provider allows it");
}

bool allowance_permits(const struct allowance *allowance, struct failure *failure)
{
	const uint64_t now_ms = loop_now_ms();
	uint64_t until_ms;

	if (!allowance->upstream) {
		return true;
	}
	until_ms = ledger_state(allowance->account_key).paused_until_ms;
	if (now_ms < until_ms) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "the server asked for less, and is left alone for %" PRIu64
			    " s more",
			    (until_ms - now_ms + 999) / 1000);
		return held_back(allowance, failure,
				 "let fewer devices ask for this account, or less often "
				 "(min-poll)");
	}
	return allowance_has_octets(allowance, failure);
}

bool allowance_permits_ahead(const struct allowance *allowance)
{
	return !allowance->upstream ||
	       (loop_now_ms() >= ledger_state(allowance->account_key).calm_until_ms &&
		is_within(allowance, 90));
}

void allowance_note_change(const struct allowance *allowance)
{
	ledger_note_change(allowance->account_key, loop_now_ms());
}

uint64_t allowance_changed_ms(const struct allowance *allowance)
{
	return ledger_changed_ms(allowance->account_key);
}

void allowance_take(const struct allowance *allowance, uint64_t octets)
{
	if (allowance->upstream && octets > 0 &&
	    allowance->upstream->route->server_octets_per_day > 0) {
		ledger_take(allowance->account_key, octets, loop_now_ms());
	}
}

static bool says(struct bytes text, const char *words)
{
	const size_t len = strlen(words);

	for (; text.len >= len; bytes_skip(&text, 1)) {
		if (strncasecmp(text.at, words, len) == 0) {
			return true;
		}
	}
	return false;
}

/* Gmail says THROTTLED with an OK too; the others may mean something else then. */
static bool asks_for_less(const struct imap_wire_event *event)
{
	if (event->code == IMAP_WIRE_CODE_THROTTLED) {
		return true;
	}
	return event->condition != IMAP_WIRE_OK &&
	       (event->code == IMAP_WIRE_CODE_LIMIT ||
		event->code == IMAP_WIRE_CODE_OVERQUOTA ||
		says(event->text, "too many simultaneous connections"));
}

static void log_slowed_down(const char *session_id, const struct upstream *upstream,
			    const struct imap_wire_event *event,
			    const struct ledger_state *state)
{
	const uint64_t now_ms = loop_now_ms();
	struct log_line line;

	if (!log_begin(&line, LOG_WARNING, "server asks for less")) {
		return;
	}
	log_string(&line, "session", session_id);
	log_string(&line, "server", upstream->route->server);
	log_string(&line, "code", imap_wire_code_name(event->code));
	log_number(&line, "no_sign_in_seconds",
		   state->paused_until_ms > now_ms
			   ? (state->paused_until_ms - now_ms) / 1000
			   : 0);
	log_number(&line, "no_read_ahead_seconds",
		   state->calm_until_ms > now_ms ? (state->calm_until_ms - now_ms) / 1000
						 : 0);
	log_end(&line);
}

void allowance_heed(const struct allowance *allowance, const char *session_id,
		    const struct imap_wire_event *event, bool begun)
{
	const bool refused = event->condition != IMAP_WIRE_OK;
	struct ledger_state state;
	uint64_t backoff_ms = 0;

	if (!allowance->upstream ||
	    !((refused && imap_backoff_parse(event->text, &backoff_ms)) ||
	      asks_for_less(event))) {
		return;
	}
	state = ledger_slow_down(allowance->account_key, backoff_ms, refused && !begun,
				 loop_now_ms());
	metrics_upstream_slowed_down(allowance->upstream->metrics);
	log_slowed_down(session_id, allowance->upstream, event, &state);
}
