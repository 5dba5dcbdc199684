/*
 * accept() until nobody is left, then wait. Out of descriptors, memory or the like: the
 * connection stays in the kernel's queue and is tried again a little later.
 */
#include "proxy/rt/listener.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/base/metrics.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024
#define PAUSE_MS 200
#define COMPLAIN_MS 1000

struct listener {
	int fd;
	bool is_armed;
	uv_poll_t poll;
	struct task *waiter;
	struct address address;
	uint64_t complain_ms; // when the next complaint may be logged
};

static bool set_on(int fd, int level, int name)
{
	const int on = 1;
	return setsockopt(fd, level, name, &on, sizeof(on)) == 0;
}

static bool bind_and_listen(int fd, const struct address *address)
{
	/* V6ONLY so that 0.0.0.0 and [::] can both listen on one port. */
	return set_on(fd, SOL_SOCKET, SO_REUSEADDR) &&
	       (address->socket.ss_family != AF_INET6 ||
		set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	       bind(fd, (const struct sockaddr *)&address->socket, address->len) == 0 &&
	       listen(fd, BACKLOG) == 0;
}

/* The last 32 bits of the source address, modulo the number of sockets. */
static bool pick_by_source(int fd, size_t slots)
{
	const uint32_t net = (uint32_t)SKF_NET_OFF;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
			 net), // version and length of the header
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 20),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 12),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, (uint32_t)slots),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
			  sizeof(program)) == 0;
}

static int open_socket(const struct address *address, bool shared)
{
	int fd = socket(address->socket.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (!shared || set_on(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	    bind_and_listen(fd, address)) {
		return fd;
	}
	if (fd >= 0) {
		int error = errno;
		close(fd);
		errno = error;
	}
	return -1;
}

static void read_address(int fd, struct address *out)
{
	out->len = sizeof(out->socket);
	getsockname(fd, (struct sockaddr *)&out->socket, &out->len);
}

static bool listen_failure(const struct address *address, int error,
			   struct failure *failure)
{
	char text[ADDRESS_TEXT_MAX];
	address_text(address, text);
	failure_set(failure, FAILURE_PERMANENT, "cannot listen on %s port %u: %s", text,
		    address_port(address), strerror(error));
	if (error == EACCES) {
		return failure_advise(
			failure, "ports below 1024 need root or CAP_NET_BIND_SERVICE at "
				 "the start: one that a reload adds takes a restart");
	}
	if (error == EADDRINUSE) {
		return failure_advise(failure, "another program listens there already");
	}
	return false;
}

static void close_sockets(const int *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		close(sockets[i]);
	}
}

/* Somebody else's socket on this port would share its connections with ours. */
static bool is_free(const struct address *address)
{
	int fd = open_socket(address, false);
	if (fd < 0) {
		return false;
	}
	close(fd);
	return true;
}

bool listener_bind(const struct address *address, size_t slots, int *sockets,
		   struct failure *failure)
{
	struct address bound = *address;
	if (slots > 1 && address_port(address) != 0 && !is_free(address)) {
		return listen_failure(address, errno, failure);
	}
	for (size_t i = 0; i < slots; i++) {
		sockets[i] = open_socket(&bound, slots > 1);
		if (sockets[i] < 0) {
			int error = errno;
			close_sockets(sockets, i);
			return listen_failure(address, error, failure);
		}
		read_address(sockets[i], &bound);
	}
	if (slots > 1 && !pick_by_source(sockets[0], slots)) {
		int error = errno;
		close_sockets(sockets, slots);
		return listen_failure(address, error, failure);
	}
	return true;
}

struct listener *listener_adopt(int fd)
{
	struct listener *listener = memory_new(sizeof(*listener));
	listener->fd = fd;
	read_address(fd, &listener->address);
	int failed = uv_poll_init(loop_uv(), &listener->poll, fd);
	assert(!failed);
	(void)failed;
	listener->poll.data = listener;
	return listener;
}

struct listener *listener_open(const struct address *address, struct failure *failure)
{
	int fd;
	return listener_bind(address, 1, &fd, failure) ? listener_adopt(fd) : NULL;
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
	metrics_count(METRICS_ACCEPT_PAUSES);
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

static int take(const struct listener *listener, struct address *peer)
{
	return accept4(listener->fd, (struct sockaddr *)&peer->socket, &peer->len,
		       SOCK_NONBLOCK | SOCK_CLOEXEC);
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
		int fd = take(listener, &peer);
		if (fd >= 0) {
			return stream_new(fd, &peer);
		}
		error = errno;
	} while (wait_after(listener, error));
	wake_check(WAKE_CANCELLED, "", failure);
	return NULL;
}

struct stream *listener_accept_queued(struct listener *listener)
{
	struct address peer;
	int fd;

	do {
		peer = (struct address){ .len = sizeof(peer.socket) };
		fd = take(listener, &peer);
	} while (fd < 0 && (errno == ECONNABORTED || errno == EINTR));
	return fd >= 0 ? stream_new(fd, &peer) : NULL;
}

SUSPENDS void listener_close(struct listener *listener)
{
	if (listener) {
		handle_close((uv_handle_t *)&listener->poll);
		close(listener->fd);
		free(listener);
	}
}
