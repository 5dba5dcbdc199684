#include "proxy/rt/stream_buffer.h"

#include "proxy/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX 64

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at))
#endif

static char *pool[POOL_MAX];
static size_t pool_count;

static char *pool_take(void)
{
	if (pool_count == 0) {
		return memory_new(STREAM_BUFFER_MAX);
	}
	char *memory = pool[--pool_count];
	ASAN_UNPOISON_MEMORY_REGION(memory, STREAM_BUFFER_MAX);
	return memory;
}

static void pool_give_back(char *memory)
{
	if (pool_count == POOL_MAX) {
		free(memory);
		return;
	}
	ASAN_POISON_MEMORY_REGION(memory, STREAM_BUFFER_MAX);
	pool[pool_count++] = memory;
}

void stream_buffer_pool_free(void)
{
	while (pool_count > 0) {
		free(pool_take());
	}
}

struct bytes stream_buffer_text(const struct stream_buffer *buffer)
{
	if (!buffer->memory) {
		return (struct bytes){ "", 0 };
	}
	return (struct bytes){ buffer->memory + buffer->start,
			       buffer->end - buffer->start };
}

size_t stream_buffer_room(struct stream_buffer *buffer, char **room)
{
	if (!buffer->memory) {
		buffer->memory = pool_take();
	}
	if (buffer->start > 0) {
		memmove(buffer->memory, buffer->memory + buffer->start,
			buffer->end - buffer->start);
		buffer->end -= buffer->start;
		buffer->start = 0;
	}
	*room = buffer->memory + buffer->end;
	return STREAM_BUFFER_MAX - buffer->end;
}

void stream_buffer_put(struct stream_buffer *buffer, size_t len)
{
	assert(len <= STREAM_BUFFER_MAX - buffer->end);
	buffer->end += (uint32_t)len;
	if (buffer->end > buffer->dirty) {
		buffer->dirty = buffer->end;
	}
	if (buffer->start == buffer->end) {
		stream_buffer_release(buffer);
	}
}

void stream_buffer_take(struct stream_buffer *buffer, size_t len)
{
	assert(len <= buffer->end - buffer->start);
	buffer->start += (uint32_t)len;
	if (buffer->start == buffer->end) {
		stream_buffer_release(buffer);
	}
}

void stream_buffer_release(struct stream_buffer *buffer)
{
	if (buffer->memory) {
		memory_wipe(buffer->memory, buffer->dirty);
		pool_give_back(buffer->memory);
	}
	*buffer = (struct stream_buffer){ 0 };
}
