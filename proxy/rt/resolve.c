/*
 * Host names by c-ares on the loop: its sockets are polled, its timeouts driven by one
 * timer. One channel for the process, made when first needed.
 *
 * A query outlives who asked for it: c-ares has no way to cancel a single one. Who gives
 * up (deadline, cancelled) leaves the query behind, and its answer frees it.
 */
#include "proxy/base/memory.h"
#include "proxy/rt/resolve_cache.h"
#include "proxy/rt/wait.h"

#include <ares.h>
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_TIMEOUT_MS 2000 // of one name server's first chance; c-ares doubles it
#define QUERY_TRIES 3
#define PATIENCE_MS 3000     // where an old answer stands in
#define CHANNEL_MAX_MS 60000 // then a new channel reads resolv.conf anew

struct query {
	struct task *waiter; // NULL: nobody any more
	bool is_done;
	int status;
	uint64_t ttl_s; // the least of the addresses'
	struct resolve_answer answer;
};

/* One socket of c-ares. */
struct watch {
	ares_socket_t fd;
	uv_poll_t poll;
	struct watch *next;
};

static ares_channel channel;
static bool is_open;
static uint64_t opened_ms;
static const char *name_servers; // NULL: those of the system
static size_t asking;            // queries somebody waits for
static size_t unanswered;
static struct watch *watches; // sockets c-ares has open, by next
static uv_timer_t timer;
static bool has_timer;

static void set_timer(void);

static void on_socket(uv_poll_t *poll, int status, int events)
{
	const struct watch *watch = poll->data;
	ares_socket_t fd = watch->fd;
	bool readable = status < 0 || (events & UV_READABLE);
	bool writable = status < 0 || (events & UV_WRITABLE);
	ares_process_fd(channel, readable ? fd : ARES_SOCKET_BAD,
			writable ? fd : ARES_SOCKET_BAD);
	set_timer();
}

static void on_timer(uv_timer_t *handle)
{
	(void)handle;
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

/* Wakes c-ares when its next timeout is due; runs only while something is unanswered. */
static void set_timer(void)
{
	struct timeval due;
	if (unanswered == 0 || !ares_timeout(channel, NULL, &due)) {
		uv_timer_stop(&timer);
		return;
	}
	uint64_t ms = (uint64_t)due.tv_sec * 1000 + (uint64_t)due.tv_usec / 1000 + 1;
	uv_timer_start(&timer, on_timer, ms, 0);
}

static void on_watch_closed(uv_handle_t *poll)
{
	free(poll->data);
}

static struct watch *watch_add(ares_socket_t fd)
{
	struct watch *watch = memory_new(sizeof(*watch));
	watch->fd = fd;
	int failed = uv_poll_init(loop_uv(), &watch->poll, fd);
	assert(!failed);
	(void)failed;
	watch->poll.data = watch;
	uv_unref((uv_handle_t *)&watch->poll);
	watch->next = watches;
	watches = watch;
	return watch;
}

static void on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
	(void)argument;
	struct watch **at = &watches;
	while (*at && (*at)->fd != fd) {
		at = &(*at)->next;
	}
	struct watch *watch = *at;
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (events) {
		watch = watch ? watch : watch_add(fd);
		uv_poll_start(&watch->poll, events, on_socket);
	} else if (watch) {
		*at = watch->next;
		uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
	}
}

static bool channel_open(struct failure *failure)
{
	struct ares_options options = { .timeout = QUERY_TIMEOUT_MS,
					.tries = QUERY_TRIES,
					.sock_state_cb = on_socket_state };
	int status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS) {
		status = ares_init_options(&channel, &options,
					   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
						   ARES_OPT_SOCK_STATE_CB);
	}
	if (status == ARES_SUCCESS && name_servers) {
		status = ares_set_servers_ports_csv(channel, name_servers);
	}
	if (status != ARES_SUCCESS) {
		return failure_set(failure, FAILURE_TEMPORARY, "cannot resolve names: %s",
				   ares_strerror(status));
	}
	is_open = true;
	opened_ms = loop_now_ms();
	return true;
}

static void channel_close(void)
{
	is_open = false;
	ares_destroy(channel); // answers what is open with ARES_EDESTRUCTION
	ares_library_cleanup();
}

/* A channel for one more query; renewed now and then while nothing is under way. */
static bool channel_ready(struct failure *failure)
{
	if (!has_timer) {
		has_timer = true;
		uv_timer_init(loop_uv(), &timer);
		uv_unref((uv_handle_t *)&timer);
	}
	if (is_open && unanswered == 0 && loop_now_ms() - opened_ms > CHANNEL_MAX_MS) {
		channel_close();
	}
	return is_open || channel_open(failure);
}

/* IPv6 and IPv4 by turns, IPv6 first (RFC 8305, section 4). */
static void interleave(const struct ares_addrinfo *result, struct query *query)
{
	const struct ares_addrinfo_node *next[2] = { result->nodes, result->nodes };
	static const int families[2] = { AF_INET6, AF_INET };
	size_t turn = 0;
	while (query->answer.count < RESOLVE_MAX && (next[0] || next[1])) {
		const struct ares_addrinfo_node **node = &next[turn];
		while (*node && (*node)->ai_family != families[turn]) {
			*node = (*node)->ai_next;
		}
		if (*node) {
			struct address *address =
				&query->answer.addresses[query->answer.count++];
			const uint64_t ttl_s =
				(*node)->ai_ttl > 0 ? (uint64_t)(*node)->ai_ttl : 0;

			query->ttl_s = ttl_s < query->ttl_s ? ttl_s : query->ttl_s;
			memcpy(&address->socket, (*node)->ai_addr, (*node)->ai_addrlen);
			address->len = (*node)->ai_addrlen;
			*node = (*node)->ai_next;
		}
		turn = 1 - turn;
	}
}

static void on_answer(void *argument, int status, int timeouts,
		      struct ares_addrinfo *result)
{
	struct query *query = argument;
	(void)timeouts;
	unanswered--;
	query->is_done = true;
	query->status = status;
	if (status == ARES_SUCCESS) {
		interleave(result, query);
	}
	if (result) {
		ares_freeaddrinfo(result);
	}
	if (query->waiter) {
		task_wake(query->waiter);
	} else {
		free(query);
	}
}

static bool answer_failure(int status, struct failure *failure)
{
	switch (status) {
	case ARES_ENOTFOUND:
		failure_set(failure, FAILURE_PERMANENT,
			    "the name servers know no such host");
		return failure_advise(failure, "correct the server's name in the route, "
					       "or the name servers of this machine");
	case ARES_SUCCESS:
	case ARES_ENODATA:
		return failure_set(failure, FAILURE_PERMANENT, "the host has no address");
	case ARES_EBADNAME:
	case ARES_EBADSTR:
		return failure_set(failure, FAILURE_PERMANENT, "this is no host name");
	default:
		return failure_set(failure, FAILURE_TEMPORARY, "name server: %s",
				   ares_strerror(status));
	}
}

/* Until the answer is there. False: not within the time, or cancelled. */
static SUSPENDS bool wait_for_answer(struct query *query, uint64_t deadline_ms,
				     struct failure *failure)
{
	enum wake why = WAKE_EVENT;
	if (asking++ == 0) {
		uv_ref((uv_handle_t *)&timer); // who waits keeps the loop running
	}
	while (!query->is_done && why == WAKE_EVENT) {
		why = task_wait(deadline_ms);
	}
	if (--asking == 0) {
		uv_unref((uv_handle_t *)&timer);
	}
	return query->is_done ||
	       wake_check(why, "no answer from the name server in time", failure);
}

static SUSPENDS bool ask(const char *host, uint16_t port, uint64_t deadline_ms,
			 struct resolve_answer *answer, struct failure *failure)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
					     .ai_socktype = SOCK_STREAM,
					     .ai_flags = ARES_AI_NUMERICSERV |
							 ARES_AI_NOSORT };
	char service[8];
	struct query *query = memory_new(sizeof(*query));
	query->waiter = task_self();
	query->ttl_s = UINT64_MAX;
	unanswered++;
	snprintf(service, sizeof(service), "%u", port);
	ares_getaddrinfo(channel, host, service, &hints, on_answer, query);
	set_timer();
	if (!wait_for_answer(query, deadline_ms, failure)) {
		query->waiter = NULL; // on_answer() frees it
		return false;
	}
	bool found = query->status == ARES_SUCCESS && query->answer.count > 0;
	int status = query->status;
	*answer = query->answer;
	if (found) {
		resolve_cache_keep(host, port, answer, query->ttl_s);
	}
	free(query);
	return found || answer_failure(status, failure);
}

/*
 * What was right lately is better than nothing where nobody answers, and leaves time to
 * connect.
 */
static SUSPENDS bool ask_or_remember(const char *host, uint16_t port,
				     uint64_t deadline_ms, struct resolve_answer *answer,
				     struct failure *failure)
{
	const uint64_t patience_ms = loop_deadline_ms(PATIENCE_MS);
	struct resolve_answer old;
	struct failure why;

	if (resolve_cache_find(host, port, false, answer)) {
		return true;
	}
	const bool has_old = resolve_cache_find(host, port, true, &old);

	if (has_old && patience_ms < deadline_ms) {
		deadline_ms = patience_ms;
	}
	if (channel_ready(&why) && ask(host, port, deadline_ms, answer, &why)) {
		return true;
	}
	if (!has_old || why.kind == FAILURE_PERMANENT || why.kind == FAILURE_CANCELLED) {
		if (failure) {
			*failure = why;
		}
		return false;
	}
	*answer = old;
	return true;
}

SUSPENDS bool resolve_host(const char *host, uint16_t port, uint64_t deadline_ms,
			   struct address addresses[RESOLVE_MAX], size_t *count,
			   struct failure *failure)
{
	struct resolve_answer answer;

	*count = 0;
	if (address_parse((struct bytes){ host, strlen(host) }, port, &addresses[0])) {
		*count = 1;
		return true;
	}
	if (task_is_cancelled()) {
		return wake_check(WAKE_CANCELLED, "", failure);
	}
	if (!ask_or_remember(host, port, deadline_ms, &answer, failure)) {
		return failure_prefix(failure, "%s", host);
	}
	*count = answer.count;
	memcpy(addresses, answer.addresses, answer.count * sizeof(*addresses));
	return true;
}

void resolve_from(const char *servers)
{
	name_servers = servers;
	resolve_cache_clear();
}

void resolve_end(void)
{
	resolve_cache_clear();
	if (is_open) {
		channel_close();
	}
	if (has_timer) {
		has_timer = false;
		uv_close((uv_handle_t *)&timer, NULL);
	}
}
