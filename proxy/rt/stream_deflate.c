#include "proxy/rt/stream_deflate.h"

#include "proxy/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#define RAW_MAX 4096
#define OUT_MAX (16384 + 256) // deflate makes nothing much longer
#define GROWTH_WINDOW ((uint64_t)4 * 1024 * 1024)
#define COMMAND_WINDOW_BITS 10 // of what we send, which is short
#define COMMAND_MEMORY 3

struct stream_deflate {
	z_stream inflating;
	z_stream deflating;
	bool is_full;        // the room was filled: there may be more
	uint64_t came, made; // octets since the last look at how they grow
	unsigned char raw[RAW_MAX];
	char *out; // owned, OUT_MAX; NULL: nothing is pending
	size_t out_at, out_len;
};

struct stream_deflate *stream_deflate_new(void)
{
	struct stream_deflate *codec = memory_new(sizeof(*codec));

	if (inflateInit2(&codec->inflating, -MAX_WBITS) != Z_OK ||
	    deflateInit2(&codec->deflating, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			 -COMMAND_WINDOW_BITS, COMMAND_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		abort(); // out of memory
	}
	return codec;
}

void stream_deflate_free(struct stream_deflate *codec)
{
	if (codec) {
		inflateEnd(&codec->inflating);
		deflateEnd(&codec->deflating);
		memory_wipe(codec->raw, sizeof(codec->raw));
		free(codec->out);
		free(codec);
	}
}

size_t stream_deflate_room(struct stream_deflate *codec, char **room)
{
	assert(!stream_deflate_waits(codec));
	*room = (char *)codec->raw;
	return RAW_MAX;
}

void stream_deflate_came(struct stream_deflate *codec, size_t len)
{
	codec->inflating.next_in = codec->raw;
	codec->inflating.avail_in = (uInt)len;
	codec->came += len;
}

bool stream_deflate_waits(const struct stream_deflate *codec)
{
	return codec->inflating.avail_in > 0 || codec->is_full;
}

/* Judged over a stretch: a mail of blanks alone grows a thousandfold for a while. */
static bool is_bomb(struct stream_deflate *codec, struct failure *failure)
{
	const uint64_t read = codec->came - codec->inflating.avail_in;

	if (codec->made < GROWTH_WINDOW) {
		return false;
	}
	if (codec->made / STREAM_DEFLATE_GROWTH_MAX > read) {
		failure_set(failure, FAILURE_PROTOCOL,
			    "the server's compressed data grows more than %d-fold",
			    STREAM_DEFLATE_GROWTH_MAX);
		failure_advise(failure, "set compress: false on the route");
		return true;
	}
	codec->came = codec->inflating.avail_in;
	codec->made = 0;
	return false;
}

bool stream_deflate_inflate(struct stream_deflate *codec, char *to, size_t size,
			    size_t *moved, struct failure *failure)
{
	z_stream *inflating = &codec->inflating;
	int result;

	*moved = 0;
	if (!stream_deflate_waits(codec)) {
		return true;
	}
	inflating->next_out = (Bytef *)to;
	inflating->avail_out = (uInt)size;
	result = inflate(inflating, Z_SYNC_FLUSH);
	*moved = size - inflating->avail_out;
	codec->is_full = inflating->avail_out == 0;
	codec->made += *moved;
	if (result != Z_OK && result != Z_BUF_ERROR) {
		*moved = 0;
		return failure_set(failure, FAILURE_PROTOCOL,
				   result == Z_STREAM_END
					   ? "the server ended its compressed data"
					   : "the server's compressed data is broken");
	}
	return !is_bomb(codec, failure);
}

void stream_deflate_take(struct stream_deflate *codec, struct bytes text)
{
	z_stream *deflating = &codec->deflating;

	assert(!codec->out);
	codec->out = memory_new(OUT_MAX);
	deflating->next_in = (Bytef *)(uintptr_t)text.at;
	deflating->avail_in = (uInt)text.len;
	deflating->next_out = (Bytef *)codec->out;
	deflating->avail_out = OUT_MAX;
	if (codec->deflating.avail_in > 0 &&
	    (deflate(deflating, Z_SYNC_FLUSH) != Z_OK || deflating->avail_out == 0)) {
		abort(); // ours, and the room is enough for it
	}
	codec->out_at = 0;
	codec->out_len = OUT_MAX - deflating->avail_out;
}

struct bytes stream_deflate_pending(const struct stream_deflate *codec)
{
	if (!codec->out) {
		return (struct bytes){ 0 };
	}
	return (struct bytes){ codec->out + codec->out_at,
			       codec->out_len - codec->out_at };
}

void stream_deflate_sent(struct stream_deflate *codec, size_t len)
{
	codec->out_at += len;
	if (codec->out && codec->out_at == codec->out_len) {
		free(codec->out);
		codec->out = NULL;
	}
}
