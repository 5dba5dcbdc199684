#include "proxy/ops/control.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_MS 1000 // the other role reads its channel, or is broken

SUSPENDS bool control_send(struct channel *channel, const struct control_message *message,
			   const struct channel_descriptors *descriptors,
			   struct failure *failure)
{
	struct control_message stamped = *message;

	stamped.version = CONTROL_VERSION;
	return channel_send(channel,
			    (struct bytes){ (const char *)&stamped, sizeof(stamped) },
			    descriptors, loop_deadline_ms(SEND_MS), failure);
}

static void close_all(struct channel_descriptors *descriptors)
{
	if (!descriptors) {
		return;
	}
	for (size_t i = 0; i < descriptors->count; i++) {
		close(descriptors->list[i]);
	}
	descriptors->count = 0;
}

SUSPENDS bool control_receive(struct channel *channel, struct control_message *message,
			      struct channel_descriptors *descriptors,
			      uint64_t deadline_ms, struct failure *failure)
{
	char *text = memory_new(CHANNEL_MESSAGE_MAX);
	size_t len = 0;
	bool good =
		channel_receive(channel, text, &len, descriptors, deadline_ms, failure);

	if (good) {
		good = len >= CONTROL_FIRST_BYTES;
		if (good) {
			*message = (struct control_message){ 0 };
			memcpy(message, text,
			       len < sizeof(*message) ? len : sizeof(*message));
			good = message->version == CONTROL_VERSION;
		}
		if (!good) {
			close_all(descriptors);
			failure_set(failure, FAILURE_PROTOCOL,
				    "a control message of no known form");
		}
	}
	memory_wipe(text, CHANNEL_MESSAGE_MAX);
	free(text);
	return good;
}
