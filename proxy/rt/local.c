/*
 * All goes well: bound under its name, accepted from until it is closed. A process that
 * was killed leaves the name behind: a connect that is refused tells that nobody serves
 * it, and it is replaced.
 */
#include "proxy/rt/local.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define PAUSE_MS 200

struct local_listener {
	int fd;
	uv_poll_t poll;
	struct task *waiter;
	char path[LOCAL_PATH_MAX + 1];
	ino_t inode; // of the name when it was ours
};

static bool address_of(const char *path, struct sockaddr_un *out, struct failure *failure)
{
	const size_t len = strlen(path);

	if (len > LOCAL_PATH_MAX) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s: a socket's path has %d octets at most, this one %zu",
			    path, LOCAL_PATH_MAX, len);
		return failure_advise(
			failure,
			"set control: to a shorter path, as in /run/popbridge/control");
	}
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, path, len);
	return true;
}

static int open_socket(int flags)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
}

static bool is_connected(int fd, const struct sockaddr_un *address)
{
	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

/* Also by who has no room for one more, or speaks otherwise: only a refusal says no. */
static bool is_served(const struct sockaddr_un *address)
{
	int fd = open_socket(SOCK_NONBLOCK);
	const bool served = is_connected(fd, address) || errno != ECONNREFUSED;

	if (fd >= 0) {
		close(fd);
	}
	return served;
}

/* Of a process that was killed, and nothing else. */
static bool clear_name(const struct sockaddr_un *address, struct failure *failure)
{
	struct stat there;

	if (lstat(address->sun_path, &there) != 0) {
		return true;
	}
	if (!S_ISSOCK(there.st_mode)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "%s is there and is no socket", address->sun_path);
	}
	if (is_served(address)) {
		return failure_set(failure, FAILURE_PERMANENT, "somebody else serves %s",
				   address->sun_path);
	}
	unlink(address->sun_path);
	return true;
}

static bool bind_name(int fd, const struct sockaddr_un *address, struct failure *failure)
{
	if (fd >= 0 &&
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
	    chmod(address->sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0) {
		return true;
	}
	const int error = errno;

	failure_set(failure, FAILURE_PERMANENT, "%s: %s", address->sun_path,
		    strerror(error));
	if (error == ENOENT || error == EACCES || error == EPERM || error == EROFS) {
		failure_advise(failure, "its directory must exist and belong to the user "
					"popbridge runs as");
	}
	return false;
}

static struct local_listener *adopt(int fd, const char *path)
{
	struct local_listener *listener = memory_new(sizeof(*listener));
	struct stat there = { 0 };

	listener->fd = fd;
	memcpy(listener->path, path, strlen(path));
	if (stat(path, &there) == 0) {
		listener->inode = there.st_ino;
	}
	int failed = uv_poll_init(loop_uv(), &listener->poll, fd);
	assert(!failed);
	(void)failed;
	listener->poll.data = listener;
	return listener;
}

struct local_listener *local_listen(const char *path, struct failure *failure)
{
	struct sockaddr_un address;
	int fd;

	if (!address_of(path, &address, failure) || !clear_name(&address, failure)) {
		return NULL;
	}
	fd = open_socket(SOCK_NONBLOCK);
	if (!bind_name(fd, &address, failure)) {
		if (fd >= 0) {
			close(fd);
		}
		return NULL;
	}
	return adopt(fd, path);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct local_listener *listener = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	task_wake(listener->waiter);
}

static SUSPENDS enum wake wait_for_connection(struct local_listener *listener)
{
	uv_poll_start(&listener->poll, UV_READABLE, on_connection);
	listener->waiter = task_self();
	enum wake why = task_wait(DEADLINE_NEVER);
	listener->waiter = NULL;
	uv_poll_stop(&listener->poll);
	return why;
}

/* The kernel says who it is. */
static bool is_welcome(const struct local_listener *listener, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid())) {
		return true;
	}
	log_say(LOG_WARNING, "control refused", "user %u, process %d at %s",
		(unsigned)peer.uid, (int)peer.pid, listener->path);
	return false;
}

SUSPENDS int local_accept(struct local_listener *listener, struct failure *failure)
{
	bool goes_on = true;

	while (goes_on && !task_is_cancelled()) {
		task_give_way();
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && is_welcome(listener, fd)) {
			return fd;
		}
		if (fd >= 0) {
			close(fd);
		} else if (errno == EAGAIN) {
			goes_on = wait_for_connection(listener) != WAKE_CANCELLED;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			goes_on = task_sleep_until(loop_deadline_ms(PAUSE_MS));
		}
	}
	wake_check(WAKE_CANCELLED, "", failure);
	return -1;
}

SUSPENDS void local_close(struct local_listener *listener)
{
	struct stat there;

	if (!listener) {
		return;
	}
	handle_close((uv_handle_t *)&listener->poll);
	if (stat(listener->path, &there) == 0 && there.st_ino == listener->inode) {
		unlink(listener->path);
	}
	close(listener->fd);
	free(listener);
}

static bool not_reached(const char *path, int error, struct failure *failure)
{
	if (error == EACCES || error == EPERM) {
		failure_set(failure, FAILURE_PERMANENT, "%s: %s", path, strerror(error));
		return failure_advise(
			failure, "run this as root or as the user popbridge runs as");
	}
	failure_set(failure, FAILURE_TEMPORARY, "%s: %s", path, strerror(error));
	return failure_advise(failure, "is popbridge running with this configuration?");
}

int local_connect(const char *path, unsigned timeout_s, struct failure *failure)
{
	const struct timeval limit = { .tv_sec = (time_t)timeout_s };
	struct sockaddr_un address;
	int fd;

	if (!address_of(path, &address, failure)) {
		return -1;
	}
	fd = open_socket(0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); // connect(), too
	if (!is_connected(fd, &address)) {
		not_reached(path, errno, failure);
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}
