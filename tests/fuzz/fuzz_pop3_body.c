/* The same comparison as the unit test's, with settings and message from the fuzzer. */
#include "tests/unit/pop3_body_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct buffer wanted = { .max = SIZE_MAX / 2 }, got = { .max = SIZE_MAX / 2 };

	if (size < 3) {
		return 0;
	}
	struct bytes message = { (const char *)input + 3, size - 3 };
	uint32_t lines = input[0] >= 8 ? POP3_BODY_ALL : input[0];
	bool replace_nul = input[1] & 1;
	size_t chunk = 1 + (input[1] >> 1), room = POP3_BODY_END_MAX + input[2];
	uint64_t octets = model_convert(message, lines, replace_nul, &wanted);

	if (pieces_convert(message, lines, replace_nul, chunk, room, &got) != octets ||
	    !bytes_equal(buffer_bytes(&got), buffer_bytes(&wanted))) {
		abort();
	}
	buffer_release(&wanted);
	buffer_release(&got);
	return 0;
}
