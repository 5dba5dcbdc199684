/*
 * Both directions: no packet makes the decoder read beyond it, what it takes is spelt
 * back octet for octet, and nothing is taken from both sides.
 */
#include "proxy/ipc/keeper_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static bool is_inside(struct bytes text, struct bytes packet)
{
	return text.len == 0 || (text.at >= packet.at && text.len <= KEEPER_TEXT_MAX &&
				 text.at + text.len <= packet.at + packet.len);
}

static bool check(struct bytes packet, bool from_worker)
{
	struct keeper_message message;
	struct buffer again;

	if (!keeper_message_decode(packet, from_worker, &message)) {
		return false;
	}
	must(is_inside(message.key, packet) && is_inside(message.account, packet));
	buffer_init(&again, packet.len);
	must(keeper_message_encode(&message, &again));
	must(bytes_equal(buffer_bytes(&again), packet));
	buffer_release(&again);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct bytes packet = { (const char *)input, size };
	bool by_worker = check(packet, true);
	bool by_keeper = check(packet, false);

	must(!(by_worker && by_keeper));
	return 0;
}
