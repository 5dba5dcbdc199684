/*
 * Deflate (RFC 1951, without a header) in both directions of a stream, for IMAP's
 * COMPRESS (RFC 4978): between the stream's buffers and what goes over the socket or TLS.
 *
 * The peer is not trusted: what its octets become goes out in pieces no larger than the
 * room there is, and growing more than 200-fold over 4 MiB is a failure of kind PROTOCOL.
 * Some 60 KiB of memory.
 */
#ifndef PROXY_RT_STREAM_DEFLATE_H
#define PROXY_RT_STREAM_DEFLATE_H

#include "protocol/bytes.h"
#include "proxy/base/failure.h"

#define STREAM_DEFLATE_GROWTH_MAX 200

struct stream_deflate;

struct stream_deflate *stream_deflate_new(void);
void stream_deflate_free(struct stream_deflate *codec); // NULL is fine

/* Room for what the peer sent, then how much came; only while nothing waits there. */
size_t stream_deflate_room(struct stream_deflate *codec, char **room);
void stream_deflate_came(struct stream_deflate *codec, size_t len);
/* Is anything there that was not inflated yet? */
bool stream_deflate_waits(const struct stream_deflate *codec);

/* What it means, as much as there is room for; *moved 0: more has to come first. */
bool stream_deflate_inflate(struct stream_deflate *codec, char *to, size_t size,
			    size_t *moved, struct failure *failure);

/* text, to be sent; the one before is sent whole. At most 16 KiB. */
void stream_deflate_take(struct stream_deflate *codec, struct bytes text);
/* What of it is still to be sent; and so many octets were. */
struct bytes stream_deflate_pending(const struct stream_deflate *codec);
void stream_deflate_sent(struct stream_deflate *codec, size_t len);

#endif
