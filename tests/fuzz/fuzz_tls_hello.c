/*
 * Whatever a client sends, the results lie within the message and the texts are bounded;
 * a message cut short never shows what the whole one does not.
 */
#include "protocol/tls_hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void must_lie_within(struct bytes part, struct bytes whole)
{
	must(part.len == 0 ||
	     (part.at >= whole.at && part.at + part.len <= whole.at + whole.len));
}

static void write_texts(const struct tls_hello *hello)
{
	struct buffer text;

	buffer_init(&text, 64);
	tls_hello_write_versions(hello, &text);
	buffer_clear(&text);
	tls_hello_write_protocols(hello, &text);
	must(text.len <= 64);
	buffer_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct tls_hello hello;
	struct tls_hello cut;

	if (size == 0) {
		return 0;
	}
	const bool old_form = input[0] & 1;
	const struct bytes whole = { (const char *)input + 1, size - 1 };

	if (!tls_hello_parse(whole, old_form, &hello)) {
		return 0;
	}
	must_lie_within(hello.ciphers, whole);
	must_lie_within(hello.versions, whole);
	must_lie_within(hello.name, whole);
	must_lie_within(hello.protocols, whole);
	tls_hello_is_hopeless(&hello);
	write_texts(&hello);
	const struct bytes part = { whole.at, whole.len / 2 };

	if (tls_hello_parse(part, old_form, &cut)) {
		must_lie_within(cut.ciphers, part);
		must(cut.ciphers.len <= hello.ciphers.len);
	}
	return 0;
}
