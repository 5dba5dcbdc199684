/*
 * No text makes the decoder read beyond it, and what it takes is spelt back and taken
 * again.
 */
#include "proxy/ops/handover.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct handover first, second;
	struct failure failure;
	struct buffer again;

	if (handover_decode((struct bytes){ (const char *)input, size }, &first,
			    &failure)) {
		buffer_init(&again, HANDOVER_MAX);
		must(handover_encode(&first, &again));
		must(handover_decode(buffer_bytes(&again), &second, &failure));
		must(second.child_count == first.child_count &&
		     second.listener_count == first.listener_count);
		handover_release(&second);
		buffer_release(&again);
	}
	handover_release(&first);
	return 0;
}
