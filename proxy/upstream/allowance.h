/*
 * What a route lets an account take of its IMAP server (the settings server-...), and
 * what the server itself wants less of. Over all workers: connections are counted in the
 * census, octets and the server's complaints in the ledger beside it.
 *
 * First nothing is asked ahead any more, then nobody signs in for a while.
 */
#ifndef PROXY_UPSTREAM_ALLOWANCE_H
#define PROXY_UPSTREAM_ALLOWANCE_H

#include "protocol/imap_wire.h"
#include "proxy/base/census.h"
#include "proxy/base/failure.h"
#include "proxy/upstream/upstream.h"

/* Of one account. Zeroed: nothing is limited. */
struct allowance {
	const struct upstream *upstream; // borrowed
	uint64_t server_key;
	uint64_t account_key;
};

/* user: the upstream one. */
struct allowance allowance_of(const struct upstream *upstream, struct bytes user);

/* One connection of it, as long as it is counted. Zeroed is valid. */
struct allowance_place {
	struct census_place *server, *account;
};

struct allowance_place allowance_enter(const struct allowance *allowance);
void allowance_leave(struct allowance_place *place);

enum allowance_verdict {
	ALLOWANCE_GOOD,
	ALLOWANCE_ACCOUNT_CROWDED,
	ALLOWANCE_SERVER_CROWDED,
	ALLOWANCE_TOO_FAST,
};

/* May one more connection sign in? If not, it may pass soon: else FAILURE_TEMPORARY. */
enum allowance_verdict allowance_judge(const struct allowance *allowance,
				       struct failure *failure);

/*
 * May the server be asked anything? FAILURE_TEMPORARY: it wants to be left alone, or the
 * day's octets are used up.
 */
bool allowance_permits(const struct allowance *allowance, struct failure *failure);
/* Of that, the octets alone: for who is signed in. */
bool allowance_has_octets(const struct allowance *allowance, struct failure *failure);
/* May messages be asked for before the client wants them? */
bool allowance_permits_ahead(const struct allowance *allowance);

/* Lists of its messages are wrong by now; when that was said last, by any worker. */
void allowance_note_change(const struct allowance *allowance);
uint64_t allowance_changed_ms(const struct allowance *allowance);

/* So many octets came. */
void allowance_take(const struct allowance *allowance, uint64_t octets);

/*
 * A tagged answer or BYE: where it asks for less, that is heeded, logged and counted.
 * begun: the session has its folder open.
 */
void allowance_heed(const struct allowance *allowance, const char *session_id,
		    const struct imap_wire_event *event, bool begun);

#endif
