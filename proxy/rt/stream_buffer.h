/*
 * The 16 KiB in one direction of a stream. The memory is there only while it holds
 * something or room was asked for; it comes from a small pool and is wiped when it goes
 * back. Zeroed is valid and empty.
 */
#ifndef PROXY_RT_STREAM_BUFFER_H
#define PROXY_RT_STREAM_BUFFER_H

#include "protocol/bytes.h"

#define STREAM_BUFFER_MAX 16384

struct stream_buffer {
	char *memory; // owned, NULL while empty
	uint32_t start, end;
	uint32_t dirty; // the highest end since the memory was taken
};

struct bytes stream_buffer_text(const struct stream_buffer *buffer);

/* The free room behind the text, all there is: 0 where 16 KiB are held. */
size_t stream_buffer_room(struct stream_buffer *buffer, char **room);

/* len octets of the room were filled; 0 gives unused memory back. */
void stream_buffer_put(struct stream_buffer *buffer, size_t len);

/* len octets in front are done with. */
void stream_buffer_take(struct stream_buffer *buffer, size_t len);

void stream_buffer_release(struct stream_buffer *buffer);

/* For loop_close(). */
void stream_buffer_pool_free(void);

#endif
