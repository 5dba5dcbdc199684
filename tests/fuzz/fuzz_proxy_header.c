/*
 * A header read in pieces of any size has the verdict of the header as a whole, and
 * whoever reads no more than proxy_header_wanted() at a time stops exactly at its end.
 */
#include "protocol/proxy_header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct verdict {
	enum proxy_header_result result;
	size_t consumed;
	struct proxy_header header;
};

static struct verdict judge(struct bytes input)
{
	struct verdict verdict = { 0 };

	verdict.result = proxy_header_parse(input, &verdict.consumed, &verdict.header);
	return verdict;
}

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static bool same_end(const struct proxy_header_end *a, const struct proxy_header_end *b)
{
	return memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       a->port == b->port;
}

static bool same(const struct verdict *a, const struct verdict *b)
{
	return a->result == b->result && a->consumed == b->consumed &&
	       a->header.is_local == b->header.is_local &&
	       a->header.has_address == b->header.has_address &&
	       a->header.family == b->header.family &&
	       same_end(&a->header.source, &b->header.source) &&
	       same_end(&a->header.destination, &b->header.destination);
}

/* The first verdict that is one; step 0: as many octets as are wanted. */
static struct verdict judge_in_steps(struct bytes whole, size_t step)
{
	struct bytes input = { whole.at, 0 };
	struct verdict verdict = judge(input);

	while (verdict.result == PROXY_HEADER_NEED_MORE && input.len < whole.len) {
		size_t more = step > 0 ? step : proxy_header_wanted(input);

		must(more > 0);
		input.len = more < whole.len - input.len ? input.len + more : whole.len;
		verdict = judge(input);
	}
	must(step > 0 || verdict.result != PROXY_HEADER_READY ||
	     verdict.consumed == input.len);
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size == 0) {
		return 0;
	}
	const struct bytes whole = { (const char *)input + 1, size - 1 };
	const struct verdict at_once = judge(whole);
	const size_t steps[] = { 0, 1, 1U + input[0] };

	must(at_once.consumed <= PROXY_HEADER_FIXED + PROXY_HEADER_BLOCK_MAX);
	must(at_once.result != PROXY_HEADER_NEED_MORE ||
	     whole.len < PROXY_HEADER_FIXED + PROXY_HEADER_BLOCK_MAX);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const struct verdict in_steps = judge_in_steps(whole, steps[i]);

		must(same(&at_once, &in_steps));
	}
	return 0;
}
