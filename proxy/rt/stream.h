/*
 * One TCP connection, plain or TLS, as a byte stream for one task.
 *
 * Input is looked at in place (stream_input), then consumed. Output collects until it
 * is flushed or 16 KiB are full. Buffers exist only while they hold something: an idle
 * stream costs its struct and OpenSSL's. Reading happens only inside stream_fill(), so
 * a task that does not read stops its peer (TCP back-pressure).
 *
 * Failures of every SUSPENDS call here: FAILURE_TIMEOUT (deadline passed),
 * FAILURE_CANCELLED, FAILURE_PEER_GONE (closed or reset; without close_notify too, and
 * the text says which), FAILURE_PROTOCOL (TLS). After one the stream is good for closing
 * only.
 */
#ifndef PROXY_RT_STREAM_H
#define PROXY_RT_STREAM_H

#include "protocol/bytes.h"
#include "proxy/rt/task.h"
#include "proxy/rt/tls.h"
#include "proxy/rt/tls_offer.h"

#include <sys/socket.h>

struct stream;

/* An address as text: "192.0.2.1" or "2001:db8::1". */
#define ADDRESS_TEXT_MAX 46

struct address {
	struct sockaddr_storage socket;
	socklen_t len;
};

void address_text(const struct address *address, char out[ADDRESS_TEXT_MAX]);
/* The network it is in: "192.0.2.0/24", "2001:db8:7::/48". */
void address_network_text(const struct address *address, char out[ADDRESS_TEXT_MAX + 4]);
uint16_t address_port(const struct address *address);
bool address_is_loopback(const struct address *address);
/* IPv4-mapped IPv6 counts as IPv4. prefix: network address bytes and its length in bits.
 */
bool address_in_network(const struct address *address, const struct address *network,
			unsigned prefix_bits);
/* In network order, IPv4-mapped ones as IPv4: 4, 16, or 0 of them. Borrowed. */
size_t address_octets(const struct address *address, const unsigned char **out);
/* "192.0.2.0", "::1": false where text is no numeric address. */
bool address_parse(struct bytes text, uint16_t port, struct address *out);
/* 4 octets or 16 in network order. */
void address_from_octets(const unsigned char *from, size_t len, uint16_t port,
			 struct address *out);

/* Takes over a connected, non-blocking socket. TCP_NODELAY and keepalive are set. */
struct stream *stream_new(int fd, const struct address *peer);

/*
 * For a peer that writes its answers in pieces, each of which waits until the one before
 * is acknowledged (Nagle's algorithm): the kernel would take 40 ms over that.
 */
void stream_acknowledge_at_once(struct stream *stream);

const struct address *stream_peer(const struct stream *stream);
/* The client's address, learned from the balancer that connected. */
void stream_set_peer(struct stream *stream, const struct address *peer);

/*
 * TLS from here on. FAILURE_PROTOCOL where plaintext is still buffered (a command
 * injected before TLS) and where the handshake fails; for the client side a
 * certificate that does not verify or match a pin is FAILURE_PERMANENT.
 * host: what the certificate must name.
 */
SUSPENDS bool stream_accept_tls(struct stream *stream, struct tls_server *server,
				uint64_t deadline_ms, struct failure *failure);
SUSPENDS bool stream_connect_tls(struct stream *stream, struct tls_client *client,
				 const char *host, uint64_t deadline_ms,
				 struct failure *failure);
/* After stream_accept_tls() failed in the handshake: what was the matter. Else NULL. */
const struct tls_offer *stream_tls_offer(const struct stream *stream);
bool stream_is_tls(const struct stream *stream);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "none": static or owned by the stream. */
const char *stream_tls_text(const struct stream *stream);

/*
 * From here on both sides deflate what they say (RFC 4978). FAILURE_PROTOCOL where input
 * is still buffered: the peer has something to say only once it was asked. From then on
 * broken data and such as grows beyond measure are FAILURE_PROTOCOL, too.
 */
bool stream_compress(struct stream *stream, struct failure *failure);

/* What has arrived and is not consumed. Borrowed until the next call on the stream. */
struct bytes stream_input(const struct stream *stream);
void stream_consume(struct stream *stream, size_t len);

/* Is there input, or has some arrived meanwhile? Does not wait. */
bool stream_has_input(struct stream *stream);

/* Waits until there is more input than before. Never more than 16 KiB are held. */
SUSPENDS bool stream_fill(struct stream *stream, uint64_t deadline_ms,
			  struct failure *failure);
/* The same, but reads no more than so many octets: what follows them may be TLS. */
SUSPENDS bool stream_fill_at_most(struct stream *stream, size_t most,
				  uint64_t deadline_ms, struct failure *failure);

/*
 * Has the peer closed or reset, or is there unread data? Does not wait or consume;
 * for a connection that was idle. True: nothing arrived, as far as this side knows.
 */
bool stream_is_quiet(struct stream *stream);

/*
 * Collect output; flushes by itself whenever 16 KiB are full. Text must not be secret
 * beyond what TLS carries: the buffer is wiped when it is freed.
 */
SUSPENDS bool stream_write(struct stream *stream, struct bytes text, uint64_t deadline_ms,
			   struct failure *failure);

/*
 * Room to write into directly, then say how much was written. stream_room() gives at
 * least 1 KiB when it succeeds (flushing first where it must).
 */
SUSPENDS bool stream_room(struct stream *stream, char **room, size_t *size,
			  uint64_t deadline_ms, struct failure *failure);
void stream_wrote(struct stream *stream, size_t len);

SUSPENDS bool stream_flush(struct stream *stream, uint64_t deadline_ms,
			   struct failure *failure);
/*
 * A last word, written as far as the socket takes it at once: also from a task that was
 * cancelled. Nothing happens where other output is pending or TLS is not up yet.
 */
void stream_say_now(struct stream *stream, struct bytes text);
/* Octets collected and not yet flushed. */
size_t stream_pending(const struct stream *stream);

uint64_t stream_octets_in(const struct stream *stream); // plaintext

/* Ends politely: close_notify where TLS is up, FIN. Pending output is dropped. NULL is
 * fine. */
SUSPENDS void stream_close(struct stream *stream);

/* Ends hard: RST, so that the peer cannot take what it got for everything. NULL is fine.
 */
SUSPENDS void stream_reset(struct stream *stream);

#endif
