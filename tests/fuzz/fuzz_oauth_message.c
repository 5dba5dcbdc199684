/* Both decoders: what is taken is spelt back octet for octet, and only one takes it. */
#include "proxy/ipc/oauth_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void must_be_same(struct bytes packet, struct buffer *again)
{
	must(bytes_equal(buffer_bytes(again), packet));
	buffer_release(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct bytes packet = { (const char *)input, size };
	struct oauth_request request;
	struct oauth_reply reply;
	struct buffer again;
	const bool is_request = oauth_request_decode(packet, &request);

	buffer_init(&again, size);
	if (is_request) {
		must(oauth_request_encode(&request, &again));
		must_be_same(packet, &again);
	}
	if (oauth_reply_decode(packet, &reply)) {
		must(!is_request);
		must(oauth_reply_encode(&reply, &again));
		must_be_same(packet, &again);
	}
	return 0;
}
