/*
 * A stream does its I/O by plain non-blocking calls (recv, send, SSL_read, SSL_write) and
 * waits for readiness where they would block. The only callback wakes the task.
 *
 * The poll handle stays armed when its event came, since the next wait mostly is for the
 * same; it is stopped when it fires with nobody waiting. So a dialogue costs no
 * epoll_ctl.
 */
#include "proxy/rt/stream_internal.h"

#include "proxy/base/memory.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM_MIN 1024
#define UNSENT_MAX (128 * 1024) // octets a peer has not opened its window for
#define DISCARD_MAX 262144      // unread input swallowed when closing
#define ASIDES_MAX 32           // a minute; nobody has a use for more
#define MINUTE_MS 60000

static void set_option(int fd, int level, int name, int value)
{
	/* Not every socket knows every option (a socketpair none of these), nor does
	 * every kernel or emulator. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

struct stream *stream_new(int fd, const struct address *peer)
{
	struct stream *stream = memory_new(sizeof(*stream));
	stream->fd = fd;
	stream->peer = *peer;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	/* The kernel's own buffer grows to megabytes for a peer that never reads, and a
	 * few hundred of them would use up what there is for all. What is on the way does
	 * not count, so this does not slow anybody down. */
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
	int failed = uv_poll_init(loop_uv(), &stream->poll, fd);
	assert(!failed);
	(void)failed;
	stream->poll.data = stream;
	return stream;
}

void stream_acknowledge_at_once(struct stream *stream)
{
	stream->is_prompt = true;
}

const struct address *stream_peer(const struct stream *stream)
{
	return &stream->peer;
}

void stream_set_peer(struct stream *stream, const struct address *peer)
{
	stream->peer = *peer;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct stream *stream = poll->data;
	(void)events; // the next recv() or send() finds out
	if (status < 0) {
		stream->armed = 0; // libuv has stopped it
	} else if (!stream->waiter) {
		uv_poll_stop(poll);
		stream->armed = 0;
	}
	task_wake(stream->waiter);
}

SUSPENDS bool stream_wait_for(struct stream *stream, int events, uint64_t deadline_ms,
			      struct failure *failure)
{
	if (stream->armed != events) {
		uv_poll_start(&stream->poll, events, on_ready);
		stream->armed = events;
	}
	if (stream->is_prompt && events == UV_READABLE) {
		/* The kernel forgets it when something is sent. */
		set_option(stream->fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	}
	stream->waiter = task_self();
	enum wake why = task_wait(deadline_ms);
	stream->waiter = NULL;
	return wake_check(why,
			  events == UV_READABLE ? "the peer sent nothing in time"
						: "the peer took nothing in time",
			  failure);
}

SUSPENDS bool stream_may_go_on(uint64_t deadline_ms, struct failure *failure)
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

/* What one attempt of a system call came to: octets moved, or what to wait for. */
struct attempt {
	size_t moved;
	int wait; // UV_READABLE, UV_WRITABLE, 0: do not wait
};

/* Of a TLS call that moved nothing. */
static bool tls_attempt(struct stream *stream, int result, struct attempt *attempt,
			struct failure *failure)
{
	int error = errno;
	switch (SSL_get_error(stream->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		attempt->wait = UV_READABLE;
		return true;
	case SSL_ERROR_WANT_WRITE:
		attempt->wait = UV_WRITABLE;
		return true;
	case SSL_ERROR_ZERO_RETURN:
		break;
	default:
		stream->is_broken = true;
		break;
	}
	return tls_session_failure(stream->ssl, result, error, failure);
}

/* Of a plain call that moved nothing. */
static bool plain_attempt(int error, int events, struct attempt *attempt,
			  struct failure *failure)
{
	if (error == EAGAIN || error == EINTR) {
		attempt->wait = events;
		return true;
	}
	return failure_set(failure, FAILURE_PEER_GONE, "the connection is lost: %s",
			   strerror(error));
}

/* Each one makes us derive keys, and costs the peer next to nothing. */
static bool is_flooded(struct stream *stream, struct failure *failure)
{
	if (stream->asides > ASIDES_MAX) {
		stream->is_broken = true;
		failure_set(failure, FAILURE_PROTOCOL,
			    "the peer changes its TLS keys or tickets over and over");
		return true;
	}
	if (loop_now_ms() - stream->asides_since_ms > MINUTE_MS) {
		stream->asides_since_ms = loop_now_ms();
		stream->asides = 0;
	}
	return false;
}

static bool read_raw(struct stream *stream, char *to, size_t size,
		     struct attempt *attempt, struct failure *failure)
{
	*attempt = (struct attempt){ 0 };
	if (stream->ssl) {
		ERR_clear_error();
		int result = SSL_read_ex(stream->ssl, to, size, &attempt->moved);
		if (is_flooded(stream, failure)) {
			attempt->moved = 0;
			return false;
		}
		return result > 0 || tls_attempt(stream, result, attempt, failure);
	}
	ssize_t len = recv(stream->fd, to, size, 0);
	if (len < 0) {
		return plain_attempt(errno, UV_READABLE, attempt, failure);
	}
	attempt->moved = (size_t)len;
	return len > 0 ||
	       failure_set(failure, FAILURE_PEER_GONE, "the peer closed the connection");
}

/* moved 0 and no wait: there was more to read, and nothing came of it yet. */
static bool read_some(struct stream *stream, char *to, size_t size,
		      struct attempt *attempt, struct failure *failure)
{
	size_t raw_size;
	char *room;

	if (!stream->deflate) {
		return read_raw(stream, to, size, attempt, failure);
	}
	*attempt = (struct attempt){ 0 };
	if (stream_deflate_waits(stream->deflate)) {
		return stream_deflate_inflate(stream->deflate, to, size, &attempt->moved,
					      failure);
	}
	raw_size = stream_deflate_room(stream->deflate, &room);
	if (!read_raw(stream, room, raw_size, attempt, failure)) {
		return false;
	}
	stream_deflate_came(stream->deflate, attempt->moved);
	return stream_deflate_inflate(stream->deflate, to, size, &attempt->moved,
				      failure);
}

static bool write_raw(struct stream *stream, struct bytes text, struct attempt *attempt,
		      struct failure *failure)
{
	*attempt = (struct attempt){ 0 };
	if (stream->ssl) {
		ERR_clear_error();
		int result =
			SSL_write_ex(stream->ssl, text.at, text.len, &attempt->moved);
		return result > 0 || tls_attempt(stream, result, attempt, failure);
	}
	ssize_t len = send(stream->fd, text.at, text.len, MSG_NOSIGNAL);
	if (len < 0) {
		return plain_attempt(errno, UV_WRITABLE, attempt, failure);
	}
	attempt->moved = (size_t)len;
	return true;
}

/* What is pending, as much of it as goes out at once. */
static bool write_pending(struct stream *stream, struct attempt *attempt,
			  struct failure *failure)
{
	struct bytes text = stream_buffer_text(&stream->out);

	if (stream->deflate) {
		if (stream_deflate_pending(stream->deflate).len == 0) {
			stream_deflate_take(stream->deflate, text);
			stream_buffer_take(&stream->out, text.len);
		}
		text = stream_deflate_pending(stream->deflate);
	}
	if (!write_raw(stream, text, attempt, failure)) {
		return false;
	}
	if (stream->deflate) {
		stream_deflate_sent(stream->deflate, attempt->moved);
	} else {
		stream_buffer_take(&stream->out, attempt->moved);
	}
	return true;
}

struct bytes stream_input(const struct stream *stream)
{
	return stream_buffer_text(&stream->in);
}

void stream_consume(struct stream *stream, size_t len)
{
	stream_buffer_take(&stream->in, len);
	/* OpenSSL lets go of its own 16 KiB only when a read finds nothing, and the next
	 * read of an idle stream may be far away. */
	if (stream->ssl && !stream->in.memory && !SSL_has_pending(stream->ssl)) {
		SSL_free_buffers(stream->ssl);
	}
}

static SUSPENDS bool fill_once(struct stream *stream, size_t most, uint64_t deadline_ms,
			       struct attempt *attempt, struct failure *failure)
{
	char *room;
	if (!stream_may_go_on(deadline_ms, failure)) {
		return false;
	}
	if (stream->ran_into) {
		*failure = *stream->ran_into;
		return false;
	}
	size_t size = stream_buffer_room(&stream->in, &room);
	if (size == 0) {
		return failure_set(failure, FAILURE_PROTOCOL,
				   "16 KiB of input nobody can make use of");
	}
	bool ok = read_some(stream, room, size < most ? size : most, attempt, failure);
	stream_buffer_put(&stream->in, attempt->moved);
	return ok;
}

SUSPENDS bool stream_fill(struct stream *stream, uint64_t deadline_ms,
			  struct failure *failure)
{
	return stream_fill_at_most(stream, SIZE_MAX, deadline_ms, failure);
}

SUSPENDS bool stream_fill_at_most(struct stream *stream, size_t most,
				  uint64_t deadline_ms, struct failure *failure)
{
	struct attempt attempt = { 0 };
	do {
		if (!fill_once(stream, most, deadline_ms, &attempt, failure)) {
			return false;
		}
		if (attempt.wait &&
		    !stream_wait_for(stream, attempt.wait, deadline_ms, failure)) {
			return false;
		}
	} while (attempt.moved == 0);
	stream->octets_in += attempt.moved;
	return true;
}

/* A failure is kept for stream_fill(): OpenSSL tells it only once. */
bool stream_has_input(struct stream *stream)
{
	struct attempt attempt;
	struct failure failure;
	char *room;
	if (stream_input(stream).len > 0) {
		return true;
	}
	if (stream->ran_into) {
		return false;
	}
	size_t size = stream_buffer_room(&stream->in, &room);
	bool ok = read_some(stream, room, size, &attempt, &failure);
	stream_buffer_put(&stream->in, attempt.moved);
	stream->octets_in += attempt.moved;
	if (!ok) {
		stream->ran_into = memory_new(sizeof(failure));
		*stream->ran_into = failure;
	}
	return attempt.moved > 0;
}

bool stream_is_quiet(struct stream *stream)
{
	char octet;
	if (stream->is_broken || stream->ran_into || stream_input(stream).len > 0 ||
	    (stream->deflate && stream_deflate_waits(stream->deflate))) {
		return false;
	}
	if (stream->ssl) {
		/* Takes in what is no data, such as tickets, and so may send, but never
		 * waits. */
		ERR_clear_error();
		int result = SSL_peek(stream->ssl, &octet, 1);
		struct attempt attempt = { 0 };
		if (result > 0 || !tls_attempt(stream, result, &attempt, NULL)) {
			return false;
		}
	}
	return recv(stream->fd, &octet, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

SUSPENDS bool stream_flush(struct stream *stream, uint64_t deadline_ms,
			   struct failure *failure)
{
	struct attempt attempt = { 0 };
	while (stream_pending(stream) > 0) {
		if (!stream_may_go_on(deadline_ms, failure) ||
		    !write_pending(stream, &attempt, failure)) {
			return false;
		}
		if (attempt.wait &&
		    !stream_wait_for(stream, attempt.wait, deadline_ms, failure)) {
			return false;
		}
	}
	return true;
}

void stream_say_now(struct stream *stream, struct bytes text)
{
	struct attempt attempt;

	if (stream_pending(stream) > 0 || stream->is_broken ||
	    (stream->ssl && !SSL_is_init_finished(stream->ssl))) {
		return;
	}
	if (stream->deflate) {
		stream_deflate_take(stream->deflate, text);
		(void)write_pending(stream, &attempt, NULL);
	} else {
		(void)write_raw(stream, text, &attempt, NULL);
	}
}

SUSPENDS bool stream_room(struct stream *stream, char **room, size_t *size,
			  uint64_t deadline_ms, struct failure *failure)
{
	*size = stream_buffer_room(&stream->out, room);
	if (*size >= ROOM_MIN) {
		return true;
	}
	if (!stream_flush(stream, deadline_ms, failure)) {
		return false;
	}
	*size = stream_buffer_room(&stream->out, room);
	return true;
}

void stream_wrote(struct stream *stream, size_t len)
{
	stream_buffer_put(&stream->out, len);
}

SUSPENDS bool stream_write(struct stream *stream, struct bytes text, uint64_t deadline_ms,
			   struct failure *failure)
{
	while (text.len > 0) {
		char *room;
		size_t size = stream_buffer_room(&stream->out, &room);
		size_t len = text.len < size ? text.len : size;
		memcpy(room, text.at, len);
		stream_buffer_put(&stream->out, len);
		text.at += len;
		text.len -= len;
		if (len == size && !stream_flush(stream, deadline_ms, failure)) {
			return false;
		}
	}
	return true;
}

size_t stream_pending(const struct stream *stream)
{
	return stream_buffer_text(&stream->out).len +
	       (stream->deflate ? stream_deflate_pending(stream->deflate).len : 0);
}

bool stream_compress(struct stream *stream, struct failure *failure)
{
	assert(!stream->deflate && stream_pending(stream) == 0);
	if (stream_input(stream).len > 0) {
		return failure_set(failure, FAILURE_PROTOCOL,
				   "something was sent ahead of compression");
	}
	stream->deflate = stream_deflate_new();
	return true;
}

uint64_t stream_octets_in(const struct stream *stream)
{
	return stream->octets_in;
}

/*
 * Unread input would make the kernel answer our close with a reset, which can overtake
 * the last reply on its way to the peer.
 */
static void discard_input(int fd)
{
	size_t left = DISCARD_MAX;
	ssize_t len;
	do {
		char sink[2048];
		len = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
		left -= sizeof(sink);
	} while (len > 0 && left > 0);
}

static SUSPENDS void end(struct stream *stream)
{
	assert(!stream->waiter);
	handle_close((uv_handle_t *)&stream->poll);
	SSL_free(stream->ssl);
	tls_offer_free(stream->tls_offer);
	close(stream->fd);
	stream_buffer_release(&stream->in);
	stream_buffer_release(&stream->out);
	stream_deflate_free(stream->deflate);
	free(stream->ran_into);
	free(stream);
}

SUSPENDS void stream_close(struct stream *stream)
{
	if (!stream) {
		return;
	}
	if (stream->ssl && !stream->is_broken && SSL_is_init_finished(stream->ssl)) {
		ERR_clear_error();
		(void)SSL_shutdown(stream->ssl); // as far as the socket takes it
	}
	shutdown(stream->fd, SHUT_WR);
	discard_input(stream->fd);
	end(stream);
}

SUSPENDS void stream_reset(struct stream *stream)
{
	if (stream) {
		struct linger hard = { .l_onoff = 1, .l_linger = 0 };
		(void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		end(stream);
	}
}
