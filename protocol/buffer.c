#include "protocol/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 64

void buffer_init(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer){ .max = max };
}

void buffer_release(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer, buffer->max);
}

/* Doubling keeps appending linear; max caps the last step. */
static size_t next_size(const struct buffer *buffer, size_t needed)
{
	size_t size = buffer->size > buffer->max / 2 ? buffer->max : buffer->size * 2;

	if (size < SMALLEST) {
		size = SMALLEST < buffer->max ? SMALLEST : buffer->max;
	}
	return size < needed ? needed : size;
}

bool buffer_reserve(struct buffer *buffer, size_t n)
{
	if (n > buffer->max - buffer->len) {
		return false;
	}
	if (n <= buffer->size - buffer->len && buffer->data) {
		return true;
	}
	size_t size = next_size(buffer, buffer->len + n);
	/* One octet more than size says: room for the NUL that vsnprintf() writes. */
	char *data = realloc(buffer->data, size + 1);
	if (!data) {
		abort();
	}
	buffer->data = data;
	buffer->size = size;
	return true;
}

bool buffer_append(struct buffer *buffer, struct bytes more)
{
	if (more.len == 0) {
		return true;
	}
	if (!buffer_reserve(buffer, more.len)) {
		return false;
	}
	memcpy(buffer->data + buffer->len, more.at, more.len);
	buffer->len += more.len;
	return true;
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (len < 0 || !buffer_reserve(buffer, (size_t)len)) {
		return false;
	}
	va_start(arguments, format);
	vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, arguments);
	va_end(arguments);
	buffer->len += (size_t)len;
	return true;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->len = 0;
}

struct bytes buffer_bytes(const struct buffer *buffer)
{
	return (struct bytes){ buffer->data, buffer->len };
}
