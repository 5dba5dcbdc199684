/*
 * All goes well: greeting, AUTHORIZATION, TRANSACTION, QUIT, UPDATE. What can go wrong:
 * the client leaves, stalls or babbles, the upstream is lost, the service stops. Then the
 * session ends without UPDATE, and one log line says why.
 */
#include "proxy/session/session_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define REST_AFTER_MS 1000 // a client that waits this long may wait longer
#define CLOSE_MS 1000      // for the last answer to get out

/* Who has not signed in has no more time to read than to write. */
uint64_t session_write_deadline_ms(const struct session *session)
{
	const uint64_t deadline_ms =
		loop_deadline_ms(session->service->config->limits.write_stall_ms);

	return session->signed_in || deadline_ms < session->sign_in_deadline_ms
		       ? deadline_ms
		       : session->sign_in_deadline_ms;
}

/* What the client did not do in time. */
static enum session_end timeout_of(const struct session *session)
{
	if (!session->signed_in) {
		return SESSION_SIGN_IN_TIMEOUT;
	}
	return stream_pending(session->client) > 0 ? SESSION_WRITE_STALL : SESSION_IDLE;
}

/* An address of a NAT or balancer says nothing about who is behind it. */
bool session_is_from_many(const struct session *session)
{
	return session->peer_hidden ||
	       config_networks_contain(&session->service->config->shared_addresses,
				       stream_peer(session->client));
}

enum next session_client_failed(struct session *session, const struct failure *failure)
{
	if (failure->kind == FAILURE_CANCELLED) {
		session->end = SESSION_CANCELLED;
	} else if (failure->kind == FAILURE_TIMEOUT) {
		session->end = timeout_of(session);
	} else if (failure->kind == FAILURE_PROTOCOL) {
		return tls_broken(session, failure);
	} else {
		session->end = SESSION_CLIENT_GONE;
	}
	return NEXT_CLOSE;
}

SUSPENDS enum next session_count_error(struct session *session, enum next next)
{
	if (next != NEXT_COMMAND || ++session->errors < ERRORS_MAX) {
		return next;
	}
	session->end = SESSION_ERRORS;
	return NEXT_CLOSE;
}

/*
 * A server that has sent what the client does not ask for is not left waiting for long.
 */
SUSPENDS static bool wait_signed_in(struct session *session, uint64_t deadline_ms,
				    struct failure *failure)
{
	const uint64_t stale_ms = maildrop_stale_ms(&session->maildrop);

	task_trim_stack();
	if (stale_ms >= deadline_ms) {
		return stream_fill(session->client, deadline_ms, failure);
	}
	if (stream_fill(session->client, stale_ms, failure)) {
		return true;
	}
	if (failure->kind != FAILURE_TIMEOUT) {
		return false;
	}
	maildrop_settle(&session->maildrop);
	maildrop_rest(&session->maildrop);
	task_trim_stack();
	return stream_fill(session->client, deadline_ms, failure);
}

/*
 * Wait for more of the client's octets. Memory is given back only from those who really
 * wait: a client that downloads asks again at once.
 */
SUSPENDS static bool wait_for_client(struct session *session, uint64_t deadline_ms,
				     struct failure *failure)
{
	const uint64_t soon_ms = loop_deadline_ms(REST_AFTER_MS);

	if (!stream_flush(session->client, session_write_deadline_ms(session), failure)) {
		return false;
	}
	if (stream_fill(session->client, soon_ms < deadline_ms ? soon_ms : deadline_ms,
			failure)) {
		return true;
	}
	if (failure->kind != FAILURE_TIMEOUT || loop_now_ms() >= deadline_ms) {
		return false;
	}
	if (session->signed_in) {
		maildrop_rest(&session->maildrop);
		return wait_signed_in(session, deadline_ms, failure);
	}
	task_trim_stack();
	return stream_fill(session->client, deadline_ms, failure);
}

SUSPENDS enum next session_refuse_long_line(struct session *session)
{
	const enum next next = reply_mistake(session, "line too long");

	if (next == NEXT_COMMAND && ++session->long_lines == LONG_LINES_MAX) {
		session->end = SESSION_ERRORS;
		return NEXT_CLOSE;
	}
	return next;
}

SUSPENDS static enum session_line refuse_line(struct session *session,
					      enum pop3_line_result result)
{
	enum next next;

	if (result == POP3_LINE_TOO_LONG) {
		next = session_refuse_long_line(session);
	} else {
		next = reply_mistake(session, "control characters in the line");
		if (next == NEXT_COMMAND && !session->signed_in) {
			session->end = SESSION_ERRORS; // no mail client talks like that
			next = NEXT_CLOSE;
		}
	}
	return next == NEXT_COMMAND ? SESSION_LINE_REFUSED : SESSION_LINE_NONE;
}

SUSPENDS enum session_line session_read_line(struct session *session, struct bytes *text)
{
	const uint64_t deadline_ms =
		session->signed_in
			? loop_deadline_ms(session->service->config->limits.idle_ms)
			: session->sign_in_deadline_ms;
	struct failure failure;

	for (;;) {
		struct bytes input = stream_input(session->client);

		if (tls_is_begun_too_early(session, input)) {
			return SESSION_LINE_NONE;
		}
		const size_t before = input.len;
		const enum pop3_line_result result =
			pop3_line_next(&session->line, &input, text);

		stream_consume(session->client, before - input.len);
		if (result == POP3_LINE_READY) {
			return SESSION_LINE_READY;
		}
		if (result != POP3_LINE_NEED_INPUT) {
			return refuse_line(session, result);
		}
		if (!wait_for_client(session, deadline_ms, &failure)) {
			session_client_failed(session, &failure);
			return SESSION_LINE_NONE;
		}
	}
}

static void make_id(char out[17])
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		abort();
	}
	snprintf(out, 17, "%016" PRIx64, random);
}

static void link_session(struct session *session)
{
	session->next = session->service->sessions;
	session->link = &session->service->sessions;
	if (session->next) {
		session->next->link = &session->next;
	}
	session->service->sessions = session;
}

static struct session *create(struct service *service,
			      const struct config_listener *listener,
			      struct stream *client)
{
	struct session *session = memory_new(sizeof(*session));

	session->service = service;
	session->listener = listener;
	session->client = client;
	session->task = task_self();
	session->started_ms = loop_now_ms();
	session->sign_in_deadline_ms =
		loop_deadline_ms(service->config->limits.sign_in_ms);
	session->end = SESSION_CLIENT_GONE;
	buffer_init(&session->user, NAME_MAX_OCTETS);
	make_id(session->id);
	report_peer(session);
	link_session(session);
	service->session_count++;
	admission_enter(session);
	metrics_count(METRICS_CONNECTIONS);
	metrics_move(&session->state, METRICS_STATE_AUTHORIZATION);
	return session;
}

/* Not before TLS: whoever is turned away, or never finishes a handshake, is to cost
 * little. */
static void make_long_line(struct session *session)
{
	session->long_line = memory_new(SASL_LINE_MAX);
	pop3_line_init(&session->line, session->long_line, SASL_LINE_MAX);
}

SUSPENDS static bool greet(struct session *session)
{
	make_long_line(session);
	if (!keeper_offers_apop(session->service->keeper)) {
		return reply_ok(session, "popbridge ready") == NEXT_COMMAND;
	}
	snprintf(session->stamp, sizeof(session->stamp), "<%s.%" PRIu64 "@popbridge>",
		 session->id, (uint64_t)time(NULL));
	return reply_ok(session, "popbridge ready %s", session->stamp) == NEXT_COMMAND;
}

/* The long line has held passwords; TRANSACTION needs short ones only. */
static void drop_long_line(struct session *session)
{
	if (session->long_line) {
		memory_wipe(session->long_line, SASL_LINE_MAX);
		free(session->long_line);
		session->long_line = NULL;
	}
	pop3_line_init(&session->line, session->command_line, COMMAND_LINE_MAX);
}

/* A look at the port is not, and the turned away have a line together. */
static bool is_worth_a_line(const struct session *session)
{
	return stream_octets_in(session->client) > 0 && session->end != SESSION_REFUSED &&
	       session->end != SESSION_TOO_FAST && session->end != SESSION_DROPPED;
}

static void log_end_of(const struct session *session, uint64_t hash)
{
	const enum log_level level = is_worth_a_line(session) ? LOG_INFO : LOG_DEBUG;
	struct log_line line;
	char text[17];

	if (!report_begin(session, &line, level, "session ended")) {
		return;
	}
	log_string(&line, "tls", stream_tls_text(session->client));
	log_text(&line, "user", buffer_bytes(&session->user));
	log_string(&line, "reason", session_end_name(session->end));
	log_seconds(&line, "seconds", loop_now_ms() - session->started_ms);
	if (session->signed_in) {
		log_string(&line, "upstream", session->maildrop.upstream->route->server);
		log_number(&line, "messages", session->maildrop.snapshot.count);
		log_number(&line, "retrieved", session->retrieved);
		log_number(&line, "retrieved_octets", session->retrieved_octets);
		log_number(&line, "deleted", session->removed);
		log_number(&line, "deleted_octets", session->removed_octets);
		log_number(&line, "reconnects", session->maildrop.reconnects);
		snprintf(text, sizeof(text), "%016" PRIx64, session->hash_at_start);
		log_string(&line, "unique_ids_before", text);
		snprintf(text, sizeof(text), "%016" PRIx64, hash);
		log_string(&line, "unique_ids_after", text);
	}
	log_end(&line);
}

static void unlink_session(struct session *session)
{
	*session->link = session->next;
	if (session->next) {
		session->next->link = session->link;
	}
	session->service->session_count--;
	gate_open(&session->service->session_ended);
}

/* Politely, unless the client would take half an answer for a whole one. */
SUSPENDS static void hang_up(struct session *session)
{
	struct failure ignored;

	if (session->in_answer ||
	    (stream_pending(session->client) > 0 &&
	     !stream_flush(session->client, loop_deadline_ms(CLOSE_MS), &ignored))) {
		stream_reset(session->client);
		return;
	}
	stream_close(session->client);
}

static void count_end_of(struct session *session)
{
	metrics_move(&session->state, METRICS_STATE_NONE);
	metrics_ended(session->end);
	if (stream_octets_in(session->client) == 0) {
		metrics_count(METRICS_SILENT);
	}
}

static void tell_keeper(const struct session *session)
{
	const struct keeper_session did = {
		.retrieved = (uint32_t)session->retrieved,
		.removed = (uint32_t)session->removed,
		.lost_dele = session->end == SESSION_QUIT
				     ? 0
				     : session->maildrop.snapshot.deleted,
	};

	if (session->signed_in) {
		keeper_tell_ended(session->service->keeper, buffer_bytes(&session->user),
				  &did);
	}
}

static enum session_end why_cancelled(const struct session *session)
{
	if (session->dropped) {
		return SESSION_DROPPED;
	}
	if (session->kicked) {
		return SESSION_KICKED;
	}
	return keeper_lock_is_taken_over(session->maildrop.lock) ? SESSION_TAKEN_OVER
								 : SESSION_CANCELLED;
}

/* The one way out. The client first: it need not wait for our LOGOUT. */
SUSPENDS static void finish(struct session *session)
{
	if (session->end == SESSION_CANCELLED) {
		session->end = why_cancelled(session);
	}
	if (session->end == SESSION_DROPPED) {
		admission_say_goodbye(session);
	}
	admission_leave(session);
	if (session->signed_in && session->end == SESSION_CLIENT_GONE &&
	    !session->in_answer && !session->kicked) {
		maildrop_park(&session->maildrop);
	}
	tell_keeper(session);
	count_end_of(session);
	log_end_of(session, session->end == SESSION_QUIT
				    ? snapshot_hash(&session->maildrop.snapshot)
				    : session->hash_at_start);
	if (session->signed_in && session->end != SESSION_QUIT) {
		snapshot_unmark_all(&session->maildrop.snapshot); // they are not gone
		maildrop_keep_changes(&session->maildrop);
	}
	keeper_unlock(session->maildrop.lock);
	session->maildrop.lock = NULL;
	hang_up(session);
	if (session->signed_in) {
		maildrop_close(&session->maildrop);
	}
	drop_long_line(session);
	buffer_release(&session->user);
	unlink_session(session); // last: a worker that drains waits for it
	free(session);
}

SUSPENDS void session_run(struct service *service, const struct config_listener *listener,
			  struct stream *client)
{
	struct session *session = create(service, listener, client);

	if (proxy_receive(session) && admission_admit(session) &&
	    (listener->tls != CONFIG_TLS_IMPLICIT || tls_start(session)) &&
	    greet(session) && authorization(session) == NEXT_STATE) {
		drop_long_line(session);
		if (transaction(session) == NEXT_STATE) {
			update(session);
		}
	}
	finish(session);
}

void session_cancel_all(struct service *service)
{
	for (struct session *session = service->sessions; session;
	     session = session->next) {
		if (!session->committing) {
			task_cancel(session->task);
		}
	}
}

/* However its letters were typed. */
static bool is_of(const struct session *session, struct bytes user)
{
	const struct bytes own = buffer_bytes(&session->user);

	return own.len == user.len && strncasecmp(own.at, user.at, user.len) == 0;
}

uint32_t session_kick(struct service *service, struct bytes user)
{
	uint32_t count = 0;

	for (struct session *session = service->sessions; session;
	     session = session->next) {
		if ((!session->signed_in && session->state != METRICS_STATE_SIGNING_IN) ||
		    !is_of(session, user)) {
			continue;
		}
		session->kicked = true;
		if (!session->committing) {
			task_cancel(session->task);
			count++;
		}
	}
	return count;
}
