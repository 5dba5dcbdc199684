/* Whatever comes, it stays within the room, and is the same in any room. */
#include "proxy/rt/stream_deflate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MOST 100000

/* FNV-1a over what comes out; *count octets. False: it broke off. */
static bool inflate_all(const uint8_t *input, size_t size, size_t room, uint64_t *hash,
			size_t *count)
{
	struct stream_deflate *codec = stream_deflate_new();
	struct failure failure;
	bool good = true;

	*hash = 0xcbf29ce484222325;
	*count = 0;
	while (good && *count < MOST && (size > 0 || stream_deflate_waits(codec))) {
		char *to = malloc(room); // so that writing beyond it is found
		size_t moved = 0;
		char *raw;

		if (!stream_deflate_waits(codec)) {
			size_t len = stream_deflate_room(codec, &raw);

			len = len < size ? len : size;
			memcpy(raw, input, len);
			stream_deflate_came(codec, len);
			input += len;
			size -= len;
		}
		good = stream_deflate_inflate(codec, to, room, &moved, &failure);
		for (size_t i = 0; i < moved && *count < MOST; i++, (*count)++) {
			*hash = (*hash ^ (unsigned char)to[i]) * 0x100000001b3;
		}
		free(to);
	}
	stream_deflate_free(codec);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	uint64_t hash, again;
	size_t count, count_again;

	if (inflate_all(input, size, 16384, &hash, &count) &&
	    (!inflate_all(input, size, 7, &again, &count_again) || hash != again ||
	     count != count_again)) {
		abort();
	}
	return 0;
}
