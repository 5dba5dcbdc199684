/* Both decoders: what is taken is spelt back octet for octet, and only one takes it. */
#include "proxy/ipc/page_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void must_be_same(struct bytes packet, const struct page_message *message)
{
	struct buffer again;

	buffer_init(&again, packet.len);
	must(page_message_encode(message, &again));
	must(bytes_equal(buffer_bytes(&again), packet));
	buffer_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct bytes packet = { (const char *)input, size };
	struct page_message asked, answered;
	const bool is_asked = page_message_decode(packet, true, &asked);

	if (is_asked) {
		must_be_same(packet, &asked);
	}
	if (page_message_decode(packet, false, &answered)) {
		must(!is_asked);
		must_be_same(packet, &answered);
	}
	return 0;
}
