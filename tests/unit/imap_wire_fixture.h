/*
 * Inputs and the transcripts they should give, at every cut.
 */
#ifndef TESTS_UNIT_IMAP_WIRE_FIXTURE_H
#define TESTS_UNIT_IMAP_WIRE_FIXTURE_H

#include "tests/unit/imap_transcript.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EXPECT_ALL                                                                       \
	(IMAP_WIRE_EXPECT_FETCH | IMAP_WIRE_EXPECT_SEARCH | IMAP_WIRE_EXPECT_VANISHED)

struct example {
	const char *input;
	const char *events;
};

static inline size_t same_chunk(void *context)
{
	return *(const size_t *)context;
}

/* The same at every cut: whole, and in pieces of 1 to 17. */
static inline void check_bytes(struct bytes input, const char *events,
			       const struct imap_wire_limits *limits, unsigned expect)
{
	for (size_t chunk = 0; chunk <= 17; chunk++) {
		struct transcript transcript;

		transcript_of(&transcript, input, limits, expect, same_chunk, &chunk);
		if (strcmp(transcript.out.data, events) != 0) {
			fail_msg("pieces of %zu of %.*s\ngave\n%swanted\n%s", chunk,
				 (int)input.len, input.at, transcript.out.data, events);
		}
		buffer_release(&transcript.out);
	}
}

static inline void check(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_bytes(bytes_of(examples[i].input), examples[i].events, NULL,
			    EXPECT_ALL);
	}
}

#define CHECK(examples) check(examples, sizeof(examples) / sizeof((examples)[0]))

/* Each input is refused, for this reason. */
static inline void check_refused(const char *why, const char *const *inputs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t chunk = 0; chunk <= 17; chunk++) {
			struct transcript transcript;
			const char *violation;

			transcript_of(&transcript, bytes_of(inputs[i]), NULL, EXPECT_ALL,
				      same_chunk, &chunk);
			violation = strstr(transcript.out.data, "violation: ");
			if (!violation || !strstr(violation, why)) {
				fail_msg("pieces of %zu of %s\ngave\n%swanted %s", chunk,
					 inputs[i], transcript.out.data, why);
			}
			buffer_release(&transcript.out);
		}
	}
}

#define REFUSED(why, ...)                                                                \
	do {                                                                             \
		static const char *const inputs[] = { __VA_ARGS__ };                     \
		check_refused(why, inputs, sizeof(inputs) / sizeof(inputs[0]));          \
	} while (0)

#endif
