/*
 * A packet at a time by sendmsg() and recvmsg(), without waiting; where they would block
 * the task waits for the one poll handle. It is started for what anybody waits for: the
 * one receiver, the senders at their gate.
 */
#include "proxy/rt/channel.h"

#include "proxy/base/memory.h"
#include "proxy/rt/wait.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct channel {
	int fd;
	int armed; // the events that poll is started for, 0: stopped
	uv_poll_t poll;
	struct task *receiver; // while it waits
	struct gate writable;  // senders that wait
};

/* Room for the ancillary data of one message, aligned as the kernel wants it. */
union control {
	char text[CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * sizeof(int))];
	struct cmsghdr aligned;
};

bool channel_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			  ends) == 0;
}

struct channel *channel_new(int fd)
{
	struct channel *channel = memory_new(sizeof(*channel));
	channel->fd = fd;
	int failed = uv_poll_init(loop_uv(), &channel->poll, fd);
	assert(!failed);
	(void)failed;
	channel->poll.data = channel;
	return channel;
}

int channel_descriptor(const struct channel *channel)
{
	return channel->fd;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void arm(struct channel *channel)
{
	int events = (channel->receiver ? UV_READABLE : 0) |
		     (channel->writable.first ? UV_WRITABLE : 0);
	if (events == channel->armed) {
		return;
	}
	if (events) {
		uv_poll_start(&channel->poll, events, on_ready);
	} else {
		uv_poll_stop(&channel->poll);
	}
	channel->armed = events;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct channel *channel = poll->data;
	if (status < 0) { // libuv has stopped it; the next call finds out why
		channel->armed = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (events & UV_WRITABLE) {
		gate_open(&channel->writable);
	}
	if (status >= 0) {
		arm(channel); // what nobody waits for any more
	}
	if (events & UV_READABLE) {
		task_wake(channel->receiver);
	}
}

static void close_all(const struct channel_descriptors *descriptors)
{
	for (size_t i = 0; i < descriptors->count; i++) {
		close(descriptors->list[i]);
	}
}

/* Every descriptor that came is in the list afterwards, so none leaks. */
static void take_descriptors(struct msghdr *message, struct channel_descriptors *out)
{
	out->count = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(out->count + count <= CHANNEL_DESCRIPTORS_MAX);
		memcpy(out->list + out->count, CMSG_DATA(part), count * sizeof(int));
		out->count += count;
	}
}

/* One try. -1: errno says why; 0: the other end is closed. */
static ssize_t receive_now(struct channel *channel, char *text,
			   struct channel_descriptors *descriptors, int *flags)
{
	union control control;
	struct iovec part = { text, CHANNEL_MESSAGE_MAX };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.text,
				  .msg_controllen = sizeof(control.text) };
	ssize_t len = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	descriptors->count = 0;
	if (len >= 0) {
		take_descriptors(&message, descriptors);
		*flags = message.msg_flags;
	}
	return len;
}

/* A message is here, or the end. */
static bool judge(ssize_t received, int flags, struct failure *failure)
{
	if (flags & (MSG_TRUNC | MSG_CTRUNC)) {
		return failure_set(failure, FAILURE_PROTOCOL,
				   "a message longer than allowed came over a channel");
	}
	return received > 0 || failure_set(failure, FAILURE_PEER_GONE,
					   "the process at the other end is gone");
}

static SUSPENDS bool may_go_on(uint64_t deadline_ms, struct failure *failure)
{
	task_give_way();
	if (task_is_cancelled()) {
		return wake_check(WAKE_CANCELLED, "", failure);
	}
	if (loop_now_ms() >= deadline_ms) {
		return wake_check(WAKE_DEADLINE, "the time was up", failure);
	}
	return true;
}

static SUSPENDS bool wait_readable(struct channel *channel, uint64_t deadline_ms,
				   struct failure *failure)
{
	assert(!channel->receiver);
	channel->receiver = task_self();
	arm(channel);
	enum wake why = task_wait(deadline_ms);
	channel->receiver = NULL;
	return wake_check(why, "no message came in time", failure);
}

static bool lost(int error, struct failure *failure)
{
	if (error == EMSGSIZE) {
		return failure_set(failure, FAILURE_PROTOCOL, "the message is too long");
	}
	if (error == ETOOMANYREFS || error == ENOMEM || error == ENOBUFS) {
		return failure_set(failure, FAILURE_TEMPORARY, "cannot send: %s",
				   strerror(error));
	}
	return failure_set(failure, FAILURE_PEER_GONE, "the channel is lost: %s",
			   strerror(error));
}

SUSPENDS bool channel_receive(struct channel *channel, char *text, size_t *len,
			      struct channel_descriptors *descriptors,
			      uint64_t deadline_ms, struct failure *failure)
{
	struct channel_descriptors came;
	while (may_go_on(deadline_ms, failure)) {
		int flags = 0;
		ssize_t received = receive_now(channel, text, &came, &flags);
		int error = errno;
		if (received < 0 && error != EAGAIN && error != EINTR) {
			return lost(error, failure);
		}
		if (received < 0) {
			if (!wait_readable(channel, deadline_ms, failure)) {
				return false;
			}
			continue;
		}
		bool ok = judge(received, flags, failure);
		if (!ok || !descriptors) {
			close_all(&came);
		} else {
			*descriptors = came;
		}
		*len = (size_t)received;
		return ok;
	}
	return false;
}

/* One try; errno says why not. */
static bool send_now(struct channel *channel, struct bytes text,
		     const struct channel_descriptors *descriptors)
{
	union control control = { .text = { 0 } };
	struct iovec part = { (char *)(uintptr_t)text.at, text.len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (descriptors && descriptors->count > 0) {
		size_t size = descriptors->count * sizeof(int);
		control.aligned.cmsg_level = SOL_SOCKET;
		control.aligned.cmsg_type = SCM_RIGHTS;
		control.aligned.cmsg_len = CMSG_LEN(size);
		message.msg_control = control.text;
		message.msg_controllen = CMSG_SPACE(size);
		memcpy(CMSG_DATA(&control.aligned), descriptors->list, size);
	}
	return sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static SUSPENDS bool wait_writable(struct channel *channel, uint64_t deadline_ms,
				   struct failure *failure)
{
	/* Armed before it is at the gate: the waiter is not there yet. */
	int events = channel->armed | UV_WRITABLE;
	if (events != channel->armed) {
		uv_poll_start(&channel->poll, events, on_ready);
		channel->armed = events;
	}
	return gate_wait(&channel->writable, deadline_ms, failure);
}

SUSPENDS bool channel_send(struct channel *channel, struct bytes message,
			   const struct channel_descriptors *descriptors,
			   uint64_t deadline_ms, struct failure *failure)
{
	assert(message.len > 0); // none is the sign of the end
	if (message.len > CHANNEL_MESSAGE_MAX) {
		return lost(EMSGSIZE, failure);
	}
	while (may_go_on(deadline_ms, failure)) {
		if (send_now(channel, message, descriptors)) {
			return true;
		}
		int error = errno;
		if (error != EAGAIN && error != EINTR) {
			return lost(error, failure);
		}
		if (!wait_writable(channel, deadline_ms, failure)) {
			return false;
		}
	}
	return false;
}

bool channel_send_at_once(struct channel *channel, struct bytes message)
{
	return message.len > 0 && message.len <= CHANNEL_MESSAGE_MAX &&
	       send_now(channel, message, NULL);
}

SUSPENDS void channel_close(struct channel *channel)
{
	if (channel) {
		handle_close((uv_handle_t *)&channel->poll);
		close(channel->fd);
		free(channel);
	}
}
