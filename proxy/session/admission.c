/*
 * Who may come in, and who has to go when it gets crowded.
 *
 * All goes well: a session is counted in all, by its address block and, once it has
 * signed in, by its account; in shared memory, so over all workers. What can go wrong: a
 * flood from one address (refused by its own count and rate, which cost nobody else
 * anything), a flood from many (from nine tenths on, those who have waited longest
 * without signing in go first, whichever worker has them; whoever is new may have a few
 * seconds as long as there is room). Whoever is told to go hears why, where no answer is
 * half said.
 *
 * Counted first and looked at then: two workers at the last free place may both refuse,
 * never both admit.
 */
#include "proxy/rt/keyed_hash.h"
#include "proxy/session/session_internal.h"

#include <inttypes.h>
#include <string.h>

#define WIDE_FACTOR 4  // a /48 may have as many as so many addresses
#define BLOCK_OCTETS 8 // of IPv6
#define WIDE_OCTETS 6  // of IPv6
#define GRACE_MS 3000  // for newcomers, while there is room
#define TEND_MS 500    // how soon others' wishes are heard
#define LOG_MS 1000    // between two lines about who was turned away
#define GOODBYE "-ERR [SYS/TEMP] too many sessions, try again later\r\n"

/* Keys ----------------------------------------------------------------------------- */

static uint64_t key_of(const struct session *session, enum admission_count what,
		       struct bytes more, struct bytes text)
{
	unsigned char hash[KEYED_HASH_BYTES];
	char context[1 + NAME_MAX_OCTETS];
	const size_t len = more.len < NAME_MAX_OCTETS ? more.len : NAME_MAX_OCTETS;
	uint64_t key;

	context[0] = (char)what;
	memcpy(context + 1, more.at, len);
	keyed_hash(session->service->census_key, (struct bytes){ context, 1 + len }, text,
		   hash);
	memcpy(&key, hash, sizeof(key));
	return key == CENSUS_ALL ? 1 : key;
}

/* Whoever is on this machine may be many, and so may those behind one address. */
static bool has_own_address(const struct session *session)
{
	return !address_is_loopback(stream_peer(session->client)) &&
	       !session_is_from_many(session);
}

/* False: no such block, as the /48 of an IPv4 address. */
static bool block_key(const struct session *session, enum admission_count what,
		      uint64_t *key)
{
	const unsigned char *octets;
	size_t len = address_octets(stream_peer(session->client), &octets);

	if (len == 0 || (len == 4 && what == ADMISSION_WIDE)) {
		return false;
	}
	if (len > 4) {
		len = what == ADMISSION_WIDE ? WIDE_OCTETS : BLOCK_OCTETS;
	}
	*key = key_of(session, what, bytes_of(""),
		      (struct bytes){ (const char *)octets, len });
	return true;
}

/* Newcomers ------------------------------------------------------------------------ */

static void publish_oldest(const struct service *service)
{
	const struct session *oldest = TAILQ_FIRST(&service->newcomers);

	census_set_oldest(oldest ? oldest->started_ms : 0);
}

static void join_newcomers(struct session *session)
{
	TAILQ_INSERT_TAIL(&session->service->newcomers, session, newcomer);
	session->is_newcomer = true;
	publish_oldest(session->service);
}

static void leave_newcomers(struct session *session)
{
	if (session->is_newcomer) {
		TAILQ_REMOVE(&session->service->newcomers, session, newcomer);
		session->is_newcomer = false;
		publish_oldest(session->service);
	}
}

/*
 * The one that is here longest, but who has sent a password: he is about to be signed in
 * or refused. NULL: nobody has been here so long.
 */
static struct session *oldest_newcomer(const struct service *service, uint64_t age_ms)
{
	struct session *session = TAILQ_FIRST(&service->newcomers);

	while (session && session->state != METRICS_STATE_AUTHORIZATION) {
		session = TAILQ_NEXT(session, newcomer);
	}
	return session && loop_now_ms() - session->started_ms >= age_ms ? session : NULL;
}

/* One that has been here for so long. False: nobody has. */
static bool drop_oldest(struct service *service, uint64_t age_ms)
{
	struct session *session = oldest_newcomer(service, age_ms);

	if (!session) {
		return false;
	}
	session->dropped = true;
	service->turned_away.dropped++;
	admission_leave(session);
	task_cancel(session->task);
	return true;
}

/* More than nine tenths? */
static bool is_crowded(uint32_t count, uint32_t limit)
{
	return (uint64_t)count * 10 > (uint64_t)limit * 9;
}

static bool is_service_crowded(const struct service *service)
{
	return is_crowded(census_sessions(CENSUS_ALL), service->config->limits.sessions);
}

/* The new one is counted already. False: there is no room for it. */
static bool make_room(struct service *service)
{
	if (census_sessions(CENSUS_ALL) > service->config->limits.sessions) {
		if (drop_oldest(service, 0)) {
			return true;
		}
		census_is_oldest_here(loop_now_ms()); // asks whoever has one
		return false;
	}
	if (is_crowded(service->session_count, service->capacity) ||
	    (is_service_crowded(service) &&
	     census_is_oldest_here(loop_now_ms() - GRACE_MS))) {
		drop_oldest(service, GRACE_MS);
	}
	return true;
}

/* Admission ------------------------------------------------------------------------ */

static bool is_too_fast(uint64_t key, uint32_t rate)
{
	const uint64_t most = (uint64_t)rate * (CENSUS_WINDOW_MS / 1000);

	return census_arrivals(key, loop_now_ms()) >= most;
}

static void count(struct session *session, enum admission_count what, uint64_t key)
{
	session->counted[what] = census_enter(key);
}

/* An address that is too fast is not counted in all: it must not use up others' share. */
static bool is_address_admitted(struct session *session, enum admission_count what,
				uint32_t factor)
{
	const struct config_limits *limits = &session->service->config->limits;
	uint64_t key;

	if (!block_key(session, what, &key)) {
		return true;
	}
	if (is_too_fast(key, limits->accept_rate_per_address * factor)) {
		session->end = SESSION_TOO_FAST;
		session->service->turned_away.why = "an address connects more often than "
						    "limits.accept-rate-per-address";
		return false;
	}
	count(session, what, key);
	if (census_sessions(key) > (uint64_t)limits->sessions_per_address * factor) {
		session->end = SESSION_REFUSED;
		session->service->turned_away.why =
			"an address has more sessions than limits.sessions-per-address";
		return false;
	}
	return true;
}

static bool is_admitted(struct session *session)
{
	struct service *service = session->service;

	if (has_own_address(session) &&
	    !(is_address_admitted(session, ADMISSION_BLOCK, 1) &&
	      is_address_admitted(session, ADMISSION_WIDE, WIDE_FACTOR))) {
		return false;
	}
	if (is_too_fast(CENSUS_ALL, service->config->limits.accept_rate)) {
		session->end = SESSION_TOO_FAST;
		service->turned_away.why =
			"there are more connections a second than limits.accept-rate";
		return false;
	}
	if (!make_room(service)) {
		session->end = SESSION_REFUSED;
		service->turned_away.why = "there are as many as limits.sessions allows";
		return false;
	}
	for (size_t i = 0; i < ADMISSION_COUNTS; i++) {
		census_arrived(session->counted[i], loop_now_ms());
	}
	return true;
}

void admission_enter(struct session *session)
{
	count(session, ADMISSION_ALL, CENSUS_ALL);
}

SUSPENDS bool admission_admit(struct session *session)
{
	if (is_admitted(session)) {
		join_newcomers(session);
		return true;
	}
	session->service->turned_away.refused++;
	admission_leave(session);
	if (session->listener->tls != CONFIG_TLS_IMPLICIT) {
		reply_format(session, "-ERR [SYS/TEMP] too many %s, try again later",
			     session->end == SESSION_TOO_FAST ? "connections"
							      : "sessions");
	}
	return false;
}

bool admission_sign_in(struct session *session, struct failure *failure)
{
	const struct config_limits *limits = &session->service->config->limits;
	const struct maildrop *maildrop = &session->maildrop;
	const uint64_t key = key_of(session, ADMISSION_ACCOUNT,
				    bytes_of(maildrop->upstream->route->host),
				    secret_bytes(&maildrop->user));

	count(session, ADMISSION_ACCOUNT, key);
	if (census_sessions(key) > limits->sessions_per_account) {
		census_leave(session->counted[ADMISSION_ACCOUNT]);
		session->counted[ADMISSION_ACCOUNT] = NULL;
		failure_set(failure, FAILURE_IN_USE,
			    "the account has %" PRIu32 " sessions already",
			    limits->sessions_per_account);
		return failure_advise(failure, "raise limits.sessions-per-account");
	}
	leave_newcomers(session);
	return true;
}

void admission_say_goodbye(struct session *session)
{
	if (!session->in_answer && (session->listener->tls != CONFIG_TLS_IMPLICIT ||
				    stream_is_tls(session->client))) {
		stream_say_now(session->client, bytes_of(GOODBYE));
	}
}

void admission_leave(struct session *session)
{
	leave_newcomers(session);
	for (size_t i = 0; i < ADMISSION_COUNTS; i++) {
		census_leave(session->counted[i]);
		session->counted[i] = NULL;
	}
}

/* While it is crowded ------------------------------------------------------------- */

static void log_turned_away(struct service *service)
{
	struct turned_away *away = &service->turned_away;
	struct log_line line;

	if ((away->refused == 0 && away->dropped == 0) ||
	    loop_now_ms() < away->next_log_ms) {
		return;
	}
	if (log_begin(&line, LOG_WARNING, "crowded")) {
		log_number(&line, "refused", away->refused);
		log_number(&line, "dropped", away->dropped);
		log_number(&line, "sessions", census_sessions(CENSUS_ALL));
		if (away->why) {
			log_string(&line, "cause", away->why);
		}
		log_end(&line);
	}
	*away = (struct turned_away){ .next_log_ms = loop_now_ms() + LOG_MS };
}

/* Others had a visitor each time, and this worker has the oldest newcomers. */
static void answer_wishes(struct service *service)
{
	uint32_t asked = census_take_asked();

	while (asked > 0 && is_service_crowded(service)) {
		const bool full =
			census_sessions(CENSUS_ALL) >= service->config->limits.sessions;

		asked = drop_oldest(service, full ? 0 : GRACE_MS) ? asked - 1 : 0;
	}
}

SUSPENDS void admission_tend(void *argument)
{
	struct service *service = argument;

	while (task_sleep_until(loop_deadline_ms(TEND_MS))) {
		answer_wishes(service);
		log_turned_away(service);
	}
}
