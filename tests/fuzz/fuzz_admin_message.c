/*
 * Both directions: no packet makes the decoder read beyond it, what it takes is spelt
 * back octet for octet, and nothing is taken from both sides.
 */
#include "proxy/ipc/admin_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static bool check(struct bytes packet, bool asked)
{
	struct admin_message message;
	struct buffer again;

	if (!admin_message_decode(packet, asked, &message)) {
		return false;
	}
	for (unsigned i = 0; i < ADMIN_TEXTS; i++) {
		const struct bytes text = message.text[i];

		must(text.len == 0 ||
		     (text.at >= packet.at && text.len <= ADMIN_TEXT_MAX &&
		      text.at + text.len <= packet.at + packet.len));
	}
	buffer_init(&again, packet.len);
	must(admin_message_encode(&message, &again));
	must(bytes_equal(buffer_bytes(&again), packet));
	buffer_release(&again);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct bytes packet = { (const char *)input, size };
	bool by_operator = check(packet, true);
	bool by_keeper = check(packet, false);

	must(!(by_operator && by_keeper));
	return 0;
}
