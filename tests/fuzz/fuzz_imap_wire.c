#include "tests/unit/imap_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's first octets choose what is expected, the limits and the cuts. */
#define HEAD 4

static size_t next_chunk(void *context)
{
	uint32_t *random = context;

	*random = *random * 1103515245 + 12345;
	return (*random >> 16) % 23;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct imap_wire_limits small = {
		.line = 48,
		.list_line = 64,
		.search = 32,
		.quoted = 12,
		.nesting = 4,
		.literal = 16,
		.unsolicited = 5,
		.octets = 200,
	};
	struct transcript whole;
	struct transcript cut;
	struct bytes input;
	uint32_t random;

	if (size < HEAD) {
		return 0;
	}
	const struct imap_wire_limits *limits = data[1] & 1 ? &small : NULL;

	random = (uint32_t)(data[2] << 8 | data[3]);
	input = (struct bytes){ (const char *)data + HEAD, size - HEAD };
	transcript_of(&whole, input, limits, data[0], NULL, NULL);
	transcript_of(&cut, input, limits, data[0], next_chunk, &random);
	if (strcmp(whole.out.data, cut.out.data) != 0) {
		fprintf(stderr, "whole:\n%scut:\n%s", whole.out.data, cut.out.data);
		abort();
	}
	/* No octets kept but those of a line that spans inputs. */
	if (whole.most > size + 64 || (limits && cut.most > small.list_line)) {
		abort();
	}
	buffer_release(&whole.out);
	buffer_release(&cut.out);
	return 0;
}
