/*
 * A message from base64, decoded by every mechanism. What is accepted is safe, and is
 * the same again after encoding it for an upstream and decoding that.
 */
#include "protocol/base64.h"
#include "protocol/sasl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void check_round_trip(enum sasl_mechanism mechanism,
			     const struct sasl_identity *identity)
{
	struct buffer encoded = { .max = SIZE_MAX / 2 };
	struct sasl_identity again;

	require(identity->user.len > 0 && sasl_is_safe(mechanism, identity->user));
	require(identity->secret.len > 0 && sasl_is_safe(mechanism, identity->secret));
	require(sasl_encode(mechanism, identity, bytes_of("imap.example.org"), 993,
			    &encoded));
	require(sasl_decode(mechanism, &encoded, &again));
	require(bytes_equal(again.user, identity->user));
	require(bytes_equal(again.secret, identity->secret));
	buffer_release(&encoded);
}

static void decode_by_all(struct bytes message)
{
	for (int i = 0; i < SASL_MECHANISMS; i++) {
		struct buffer copy = { .max = SIZE_MAX / 2 };
		struct sasl_identity identity;

		buffer_append(&copy, message);
		if (sasl_decode((enum sasl_mechanism)i, &copy, &identity)) {
			check_round_trip((enum sasl_mechanism)i, &identity);
		}
		buffer_release(&copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct bytes text = { (const char *)input, size };
	struct buffer decoded = { .max = SIZE_MAX / 2 },
		      encoded = { .max = SIZE_MAX / 2 };

	if (base64_decode(text, &decoded)) { // strict: there is one way to write it
		require(base64_encode(buffer_bytes(&decoded), &encoded));
		require(bytes_equal(buffer_bytes(&encoded), text));
		decode_by_all(buffer_bytes(&decoded));
	}
	decode_by_all(text);
	buffer_release(&decoded);
	buffer_release(&encoded);
	return 0;
}
