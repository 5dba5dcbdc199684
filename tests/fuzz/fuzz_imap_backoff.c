/* Whatever stands around it, a suggestion is found, and only where the text says one. */
#include "protocol/imap_backoff.h"

#include "protocol/buffer.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct bytes text = { (const char *)input, size };
	struct buffer exact, more;
	uint64_t ms = 0;
	uint64_t again = 0;

	buffer_init(&exact, size + 1);
	buffer_init(&more, size + 128);
	buffer_append(&exact, text); // so that reading beyond it is found
	if (imap_backoff_parse(buffer_bytes(&exact), &ms)) {
		buffer_printf(&more, "Suggested Backoff Time: %" PRIu64 " milliseconds",
			      ms);
		buffer_append(&more, text);
		if (!imap_backoff_parse(buffer_bytes(&more), &again) || again != ms) {
			abort();
		}
	}
	buffer_release(&more);
	buffer_release(&exact);
	return 0;
}
