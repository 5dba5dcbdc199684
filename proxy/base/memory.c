#include "proxy/base/memory.h"

#include "proxy/base/log.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES (1024 * 1024)

static void *checked(void *memory, size_t bytes)
{
	if (!memory) {
		log_say(LOG_ERROR, "out of memory", "%zu bytes asked for", bytes);
		abort();
	}
	return memory;
}

void *memory_new(size_t bytes)
{
	return memory_new_array(1, bytes);
}

void *memory_new_array(size_t count, size_t bytes)
{
	if (count == 0 || bytes == 0) {
		count = bytes = 1;
	}
	return checked(calloc(count, bytes), bytes);
}

void *memory_resize(void *memory, size_t bytes)
{
	return checked(realloc(memory, bytes ? bytes : 1), bytes);
}

char *memory_copy_text(struct bytes text)
{
	char *copy = memory_new(text.len + 1);
	if (text.len > 0) {
		memcpy(copy, text.at, text.len);
	}
	return copy;
}

void secret_set(struct secret *secret, struct bytes value)
{
	char *copy = memory_copy_text(value); // first: value may be the old secret's
	secret_release(secret);
	secret->at = copy;
	secret->len = value.len;
}

void secret_release(struct secret *secret)
{
	if (secret->at) {
		memory_wipe(secret->at, secret->len);
	}
	free(secret->at);
	*secret = (struct secret){ 0 };
}

struct bytes secret_bytes(const struct secret *secret)
{
	return (struct bytes){ secret->at, secret->len };
}

void memory_wipe(void *memory, size_t bytes)
{
	if (bytes > 0) {
		explicit_bzero(memory, bytes);
	}
}

void memory_keep_some(void)
{
#ifdef __GLIBC__
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

void memory_give_back(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
