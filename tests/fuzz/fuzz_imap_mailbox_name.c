/*
 * A name that is modified UTF-7 stays as it is; what is not UTF-8 or has controls is
 * refused; anything else comes back from an independent decoder as it was.
 */
#include "tests/unit/imap_mailbox_name_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (!reference_agrees((struct bytes){ (const char *)input, size })) {
		abort();
	}
	return 0;
}
