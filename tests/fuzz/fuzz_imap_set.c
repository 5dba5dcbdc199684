#include "protocol/imap_set.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* Whatever is walked is within bounds and comes to an end. */
static void walk(const uint8_t *data, size_t size)
{
	struct bytes rest = { (const char *)data, size };
	struct imap_range range;

	for (size_t steps = 0; imap_set_next(&rest, &range) == IMAP_SET_RANGE; steps++) {
		check(range.first >= 1 && range.first <= range.last);
		check(steps <= size);
	}
}

/* What was added is what is walked, whatever the maximum. */
static void write_and_walk(const uint8_t *data, size_t size)
{
	struct imap_set_writer writer;
	struct imap_range range = { 0 };
	struct buffer out;
	struct bytes rest;
	uint32_t imap_uids[64];
	size_t count = 0;
	uint64_t next = 0;

	buffer_init(&out, size > 0 ? data[0] : 0);
	imap_set_writer_init(&writer, &out);
	for (size_t i = 1; i + 1 < size && count < 64; i += 2) {
		/* Neighbours are common, gaps of all sizes happen. */
		next += (uint64_t)(data[i] | 1) << (data[i + 1] % 26);
		if (next > UINT32_MAX || !imap_set_add(&writer, (uint32_t)next)) {
			break;
		}
		imap_uids[count++] = (uint32_t)next;
	}
	imap_set_finish(&writer);
	check(out.len <= out.max);
	rest = buffer_bytes(&out);
	for (size_t i = 0; i < count; i++) {
		if (range.first == 0 || range.first == range.last) {
			check(imap_set_next(&rest, &range) == IMAP_SET_RANGE);
		} else {
			range.first++;
		}
		check(range.first == imap_uids[i]);
	}
	check(count == 0 || range.first == range.last);
	check(imap_set_next(&rest, &range) == IMAP_SET_END);
	buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk(data, size);
	write_and_walk(data, size);
	return 0;
}
