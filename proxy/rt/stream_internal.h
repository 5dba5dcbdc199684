/*
 * What the files of a stream share. Nobody else includes this.
 *
 * stream.c      the octets, in and out
 * stream_tls.c  TLS begins
 */
#ifndef PROXY_RT_STREAM_INTERNAL_H
#define PROXY_RT_STREAM_INTERNAL_H

#include "proxy/rt/stream.h"
#include "proxy/rt/stream_buffer.h"
#include "proxy/rt/stream_deflate.h"
#include "proxy/rt/tls_session.h"
#include "proxy/rt/wait.h"

struct stream {
	int fd;
	int armed;      // the events that poll is started for, 0: stopped
	bool is_broken; // TLS failed: no close_notify
	bool is_prompt; // acknowledges at once
	uv_poll_t poll;
	struct task *waiter;
	SSL *ssl;                 // NULL: plain
	struct failure *ran_into; // owned: what stream_has_input() has found
	struct stream_buffer in, out;
	struct stream_deflate *deflate; // owned; NULL: nothing is compressed
	uint64_t octets_in;
	unsigned asides;          // the peer's TLS messages without data, since then
	uint64_t asides_since_ms; // the loop's clock
	struct address peer;
	char tls_text[64];
	struct tls_offer *tls_offer; // owned
};

/* Until the socket is ready for that: UV_READABLE, UV_WRITABLE. */
SUSPENDS bool stream_wait_for(struct stream *stream, int events, uint64_t deadline_ms,
			      struct failure *failure);

/* Asked before every system call, so that a busy peer is no way past any limit. */
SUSPENDS bool stream_may_go_on(uint64_t deadline_ms, struct failure *failure);

#endif
