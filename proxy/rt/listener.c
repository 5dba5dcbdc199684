/*
 * accept() until nobody is left, then wait. Out of descriptors, memory or the like: the
 * connection stays in the kernel's queue and is tried again a little later.
 */
#include "proxy/rt/listener.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024
#define PAUSE_MS 200
#define COMPLAIN_MS 60000

struct listener {
	int fd;
	bool is_armed;
	uv_poll_t poll;
	struct task *waiter;
	struct address address;
	uint64_t complain_ms; // when the next complaint may be logged
};

static bool bind_and_listen(int fd, const struct address *address)
{
	int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
		return false;
	}
	/* So that 0.0.0.0 and [::] can both listen on one port. */
	if (address->socket.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
		return false;
	}
	return bind(fd, (const struct sockaddr *)&address->socket, address->len) == 0 &&
	       listen(fd, BACKLOG) == 0;
}

static bool listen_failure(const struct address *address, int error,
			   struct failure *failure)
{
	char text[ADDRESS_TEXT_MAX];
	address_text(address, text);
	failure_set(failure, FAILURE_PERMANENT, "cannot listen on %s port %u: %s", text,
		    address_port(address), strerror(error));
	if (error == EACCES) {
		return failure_advise(failure,
				      "ports below 1024 need CAP_NET_BIND_SERVICE");
	}
	if (error == EADDRINUSE) {
		return failure_advise(failure, "another program listens there already");
	}
	return false;
}

struct listener *listener_open(const struct address *address, struct failure *failure)
{
	int fd = socket(address->socket.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || !bind_and_listen(fd, address)) {
		listen_failure(address, errno, failure);
		if (fd >= 0) {
			close(fd);
		}
		return NULL;
	}
	struct listener *listener = memory_new(sizeof(*listener));
	listener->fd = fd;
	listener->address.len = sizeof(listener->address.socket);
	getsockname(fd, (struct sockaddr *)&listener->address.socket,
		    &listener->address.len);
	int failed = uv_poll_init(loop_uv(), &listener->poll, fd);
	assert(!failed);
	(void)failed;
	listener->poll.data = listener;
	return listener;
}

const struct address *listener_address(const struct listener *listener)
{
	return &listener->address;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)events;
	if (status < 0 || !listener->waiter) {
		uv_poll_stop(poll);
		listener->is_armed = false;
	}
	task_wake(listener->waiter);
}

static SUSPENDS enum wake wait_for_connection(struct listener *listener)
{
	if (!listener->is_armed) {
		uv_poll_start(&listener->poll, UV_READABLE, on_connection);
		listener->is_armed = true;
	}
	listener->waiter = task_self();
	enum wake why = task_wait(DEADLINE_NEVER);
	listener->waiter = NULL;
	return why;
}

/* Nothing of ours is wrong: the system has no room for one more connection right now. */
static SUSPENDS bool pause_accepting(struct listener *listener, int error)
{
	uint64_t now = loop_now_ms();
	if (now >= listener->complain_ms) {
		listener->complain_ms = now + COMPLAIN_MS;
		log_say(LOG_WARNING, "accepting paused", "%s", strerror(error));
	}
	return task_sleep_until(now + PAUSE_MS);
}

static bool is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Before the next accept() after one that failed. False: cancelled. */
static SUSPENDS bool wait_after(struct listener *listener, int error)
{
	if (is_exhausted(error)) {
		return pause_accepting(listener, error);
	}
	if (error == EAGAIN) {
		return wait_for_connection(listener) != WAKE_CANCELLED;
	}
	return true; // this one connection broke before it was accepted
}

SUSPENDS struct stream *listener_accept(struct listener *listener,
					struct failure *failure)
{
	int error = 0;
	do {
		struct address peer = { .len = sizeof(peer.socket) };
		task_give_way();
		if (task_is_cancelled()) {
			break;
		}
		int fd = accept4(listener->fd, (struct sockaddr *)&peer.socket, &peer.len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			return stream_new(fd, &peer);
		}
		error = errno;
	} while (wait_after(listener, error));
	wake_check(WAKE_CANCELLED, "", failure);
	return NULL;
}

SUSPENDS void listener_close(struct listener *listener)
{
	if (listener) {
		handle_close((uv_handle_t *)&listener->poll);
		close(listener->fd);
		free(listener);
	}
}
