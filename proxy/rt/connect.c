/*
 * Happy Eyeballs (RFC 8305): an attempt is started for each address in turn, the next one
 * 250 ms later or at once when one has failed; the first to connect wins, the others are
 * closed. One task runs the whole race; the poll callbacks only tell it which socket is
 * decided.
 */
#include "proxy/rt/connect.h"

#include "proxy/rt/wait.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEXT_ATTEMPT_MS 250

enum attempt_state { ATTEMPT_WAITING, ATTEMPT_RUNNING, ATTEMPT_DECIDED, ATTEMPT_OVER };

struct attempt {
	enum attempt_state state;
	int error; // why it is over; 0: it is not, or nobody said
	int fd;
	uv_poll_t poll; // while running or decided
	struct race *race;
	const struct address *address;
};

struct race {
	struct task *task;
	size_t count, started, running;
	struct attempt attempts[RESOLVE_MAX];
};

static void on_decided(uv_poll_t *poll, int status, int events)
{
	struct attempt *attempt = poll->data;
	(void)status;
	(void)events; // SO_ERROR knows
	uv_poll_stop(poll);
	attempt->state = ATTEMPT_DECIDED;
	task_wake(attempt->race->task);
}

/* Starts to connect. False: failed at once, error says why. */
static bool attempt_start(struct attempt *attempt)
{
	const struct address *address = attempt->address;
	attempt->fd = socket(address->socket.ss_family,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0) {
		attempt->error = errno;
		return false;
	}
	if (connect(attempt->fd, (const struct sockaddr *)&address->socket,
		    address->len) < 0 &&
	    errno != EINPROGRESS) {
		attempt->error = errno;
		close(attempt->fd);
		return false;
	}
	int failed = uv_poll_init(loop_uv(), &attempt->poll, attempt->fd);
	assert(!failed);
	(void)failed;
	attempt->poll.data = attempt;
	uv_poll_start(&attempt->poll, UV_WRITABLE, on_decided);
	return true;
}

/* Starts one more; those that fail at once make room for the one behind. */
static void start_next(struct race *race)
{
	while (race->started < race->count) {
		struct attempt *attempt = &race->attempts[race->started++];
		if (attempt_start(attempt)) {
			attempt->state = ATTEMPT_RUNNING;
			race->running++;
			return;
		}
		attempt->state = ATTEMPT_OVER;
	}
}

static SUSPENDS void attempt_end(struct attempt *attempt, int error)
{
	handle_close((uv_handle_t *)&attempt->poll);
	attempt->state = ATTEMPT_OVER;
	attempt->error = error;
	attempt->race->running--;
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/*
 * Looks at what is decided. The socket of the winner, its poll handle closed; -1: none
 * yet; *failed: at least one is out, so the next need not wait.
 */
static SUSPENDS int collect(struct race *race, size_t *winner, bool *failed)
{
	*failed = false;
	for (size_t i = 0; i < race->started; i++) {
		struct attempt *attempt = &race->attempts[i];
		if (attempt->state != ATTEMPT_DECIDED) {
			continue;
		}
		int error = socket_error(attempt->fd);
		attempt_end(attempt, error);
		if (error == 0) {
			*winner = i;
			return attempt->fd;
		}
		close(attempt->fd);
		*failed = true;
	}
	return -1;
}

static SUSPENDS void end_all(struct race *race)
{
	for (size_t i = 0; i < race->started; i++) {
		struct attempt *attempt = &race->attempts[i];
		if (attempt->state == ATTEMPT_RUNNING ||
		    attempt->state == ATTEMPT_DECIDED) {
			attempt_end(attempt, 0);
			close(attempt->fd);
		}
	}
}

/*
 * The socket of the winner. -1: all failed (*why is WAKE_EVENT), or the deadline came or
 * the task was cancelled first.
 */
static SUSPENDS int run_race(struct race *race, uint64_t deadline_ms, size_t *winner,
			     enum wake *why)
{
	uint64_t next_ms = 0;
	bool failed = false;
	while (true) {
		int fd = collect(race, winner, &failed);
		if (fd >= 0) {
			return fd;
		}
		if (failed || loop_now_ms() >= next_ms) {
			start_next(race);
			next_ms = loop_deadline_ms(NEXT_ATTEMPT_MS);
		}
		if (race->running == 0) {
			*why = WAKE_EVENT;
			return -1;
		}
		if (failed) {
			continue; // closing it suspended: another may be decided by now
		}
		bool more = race->started < race->count && next_ms < deadline_ms;
		*why = task_wait(more ? next_ms : deadline_ms);
		if (*why == WAKE_CANCELLED || (*why == WAKE_DEADLINE && !more)) {
			return -1;
		}
	}
}

/* "192.0.2.1: Connection refused; 2001:db8::1: no answer", as far as there is room. */
static void tell_attempts(const struct race *race, char *out, size_t size)
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < race->started; i++) {
		char text[ADDRESS_TEXT_MAX];
		const struct attempt *attempt = &race->attempts[i];
		address_text(attempt->address, text);
		int more = snprintf(
			out + len, size - len, "%s%s: %s", i > 0 ? "; " : "", text,
			attempt->error ? strerror(attempt->error) : "no answer");
		if (more < 0 || (size_t)more >= size - len) {
			out[len] = '\0';
			return;
		}
		len += (size_t)more;
	}
}

static bool race_failure(const struct race *race, enum wake why, const char *host,
			 uint16_t port, struct failure *failure)
{
	char text[256];
	if (why == WAKE_CANCELLED) {
		return wake_check(why, "", failure);
	}
	tell_attempts(race, text, sizeof(text));
	failure_set(failure, FAILURE_TEMPORARY, "cannot connect to %s port %u: %s", host,
		    port, text);
	return failure_advise(failure,
			      "check that the server runs and that no firewall is "
			      "in between");
}

static SUSPENDS struct stream *connect_any(const struct address *addresses, size_t count,
					   const char *host, uint64_t deadline_ms,
					   struct failure *failure)
{
	struct race race = { .task = task_self(), .count = count };
	for (size_t i = 0; i < count; i++) {
		race.attempts[i].race = &race;
		race.attempts[i].address = &addresses[i];
	}
	size_t winner = 0;
	enum wake why = WAKE_EVENT;
	int fd = run_race(&race, deadline_ms, &winner, &why);
	end_all(&race);
	if (fd < 0) {
		race_failure(&race, why, host, address_port(&addresses[0]), failure);
		return NULL;
	}
	return stream_new(fd, &addresses[winner]);
}

static bool all_loopback(const struct address *addresses, size_t count, const char *host,
			 struct failure *failure)
{
	for (size_t i = 0; i < count; i++) {
		char text[ADDRESS_TEXT_MAX];
		if (!address_is_loopback(&addresses[i])) {
			address_text(&addresses[i], text);
			return failure_set(
				failure, FAILURE_PERMANENT,
				"%s is %s, and only this machine itself is allowed", host,
				text);
		}
	}
	return true;
}

SUSPENDS struct stream *connect_host(const char *host, uint16_t port, bool loopback_only,
				     uint64_t deadline_ms, struct failure *failure)
{
	struct address addresses[RESOLVE_MAX];
	size_t count;
	if (!resolve_host(host, port, deadline_ms, addresses, &count, failure) ||
	    (loopback_only && !all_loopback(addresses, count, host, failure))) {
		return NULL;
	}
	return connect_any(addresses, count, host, deadline_ms, failure);
}
