#include "protocol/tls_hello.h"

#include <stdio.h>

#define CLIENT_HELLO 1
#define RANDOM_OCTETS 32

/* Extensions (RFC 6066, 7301, 8446). */
#define SERVER_NAME 0
#define APPLICATION_PROTOCOLS 16
#define SUPPORTED_VERSIONS 43

/* The next n octets, or as many as there are. */
static struct bytes take(struct bytes *rest, size_t n)
{
	struct bytes taken = { rest->at, n < rest->len ? n : rest->len };

	bytes_skip(rest, taken.len);
	return taken;
}

/* A number of so many octets; those that are missing count as 0. */
static uint32_t take_number(struct bytes *rest, size_t octets)
{
	const struct bytes taken = take(rest, octets);
	uint32_t number = 0;

	for (size_t i = 0; i < octets; i++) {
		number = number << 8 | (i < taken.len ? (unsigned char)taken.at[i] : 0);
	}
	return number;
}

/* A vector behind its length. */
static struct bytes take_vector(struct bytes *rest, size_t length_octets)
{
	const size_t len = take_number(rest, length_octets);

	return take(rest, len);
}

/* 0x0a0a, 0x1a1a ...: thrown in by clients so that servers learn to ignore. */
static bool is_grease(uint32_t value)
{
	return (value & 0x0f0f) == 0x0a0a && (value >> 8 & 0xff) == (value & 0xff);
}

static void take_versions(struct bytes extension, struct tls_hello *out)
{
	uint16_t newest = 0;

	out->versions = take_vector(&extension, 1);
	for (struct bytes rest = out->versions; rest.len >= 2;) {
		const uint16_t version = (uint16_t)take_number(&rest, 2);

		if (version <= TLS_HELLO_1_3 && version > newest) {
			newest = version;
		}
	}
	if (newest > 0) {
		out->newest = newest;
	}
}

static void take_name(struct bytes extension, struct tls_hello *out)
{
	struct bytes list = take_vector(&extension, 2);
	const uint32_t type = take_number(&list, 1);

	if (type == 0) { // a host name, the only type there is
		out->name = take_vector(&list, 2);
	}
}

static void take_extensions(struct bytes rest, struct tls_hello *out)
{
	struct bytes list = take_vector(&rest, 2);

	while (list.len > 0) {
		const uint32_t type = take_number(&list, 2);
		struct bytes extension = take_vector(&list, 2);

		if (type == SERVER_NAME) {
			take_name(extension, out);
		} else if (type == APPLICATION_PROTOCOLS) {
			out->protocols = take_vector(&extension, 2);
		} else if (type == SUPPORTED_VERSIONS) {
			take_versions(extension, out);
		}
	}
}

/* RFC 8446 4.1.2 and all before it back to SSL 3.0. */
static void take_body(struct bytes body, struct tls_hello *out)
{
	out->newest = (uint16_t)take_number(&body, 2);
	take(&body, RANDOM_OCTETS);
	take_vector(&body, 1); // session id
	out->cipher_octets = 2;
	out->ciphers = take_vector(&body, 2);
	take_vector(&body, 1); // compression
	take_extensions(body, out);
}

/* RFC 5246 E.2: ciphers of three octets, nothing else of interest. */
static void take_old_body(struct bytes body, struct tls_hello *out)
{
	out->newest = (uint16_t)take_number(&body, 2);
	const size_t len = take_number(&body, 2);

	take(&body, 4); // lengths of session id and challenge
	out->cipher_octets = 3;
	out->ciphers = take(&body, len);
}

bool tls_hello_parse(struct bytes message, bool old_form, struct tls_hello *out)
{
	struct tls_hello hello = { 0 };

	if (message.len < 6 || take_number(&message, 1) != CLIENT_HELLO) {
		return false;
	}
	if (old_form) {
		take_old_body(message, &hello);
	} else {
		take_number(&message, 3); // its length
		take_body(message, &hello);
	}
	*out = hello;
	return true;
}

bool tls_hello_next_cipher(const struct tls_hello *hello, struct bytes *rest,
			   uint32_t *out)
{
	if (rest->len < hello->cipher_octets || rest->len == 0) {
		return false;
	}
	*out = take_number(rest, hello->cipher_octets);
	return true;
}

const char *tls_hello_gone_cipher(uint32_t cipher)
{
	static const struct {
		uint16_t number;
		const char *name;
	} gone[] = {
		{ 0x0003, "EXP-RC4-MD5" },
		{ 0x0004, "RC4-MD5" },
		{ 0x0005, "RC4-SHA" },
		{ 0x0006, "EXP-RC2-CBC-MD5" },
		{ 0x0007, "IDEA-CBC-SHA" },
		{ 0x0008, "EXP-DES-CBC-SHA" },
		{ 0x0009, "DES-CBC-SHA" },
		{ 0x000A, "DES-CBC3-SHA" },
		{ 0x0011, "EXP-DHE-DSS-DES-CBC-SHA" },
		{ 0x0012, "DHE-DSS-DES-CBC-SHA" },
		{ 0x0013, "DHE-DSS-DES-CBC3-SHA" },
		{ 0x0014, "EXP-DHE-RSA-DES-CBC-SHA" },
		{ 0x0015, "DHE-RSA-DES-CBC-SHA" },
		{ 0x0016, "DHE-RSA-DES-CBC3-SHA" },
		{ 0x0062, "EXP1024-DES-CBC-SHA" },
		{ 0x0063, "EXP1024-DHE-DSS-DES-CBC-SHA" },
		{ 0x0064, "EXP1024-RC4-SHA" },
		{ 0x0065, "EXP1024-DHE-DSS-RC4-SHA" },
		{ 0x0066, "DHE-DSS-RC4-SHA" },
		{ 0xC002, "ECDH-ECDSA-RC4-SHA" },
		{ 0xC003, "ECDH-ECDSA-DES-CBC3-SHA" },
		{ 0xC007, "ECDHE-ECDSA-RC4-SHA" },
		{ 0xC008, "ECDHE-ECDSA-DES-CBC3-SHA" },
		{ 0xC00C, "ECDH-RSA-RC4-SHA" },
		{ 0xC00D, "ECDH-RSA-DES-CBC3-SHA" },
		{ 0xC011, "ECDHE-RSA-RC4-SHA" },
		{ 0xC012, "ECDHE-RSA-DES-CBC3-SHA" },
	};

	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
		if (gone[i].number == cipher) {
			return gone[i].name;
		}
	}
	return NULL;
}

bool tls_hello_is_signal(uint32_t cipher)
{
	return cipher == 0x00ff || cipher == 0x5600 || is_grease(cipher);
}

bool tls_hello_is_hopeless(const struct tls_hello *hello)
{
	struct bytes rest = hello->ciphers;
	uint32_t cipher;
	bool any = false;

	while (tls_hello_next_cipher(hello, &rest, &cipher)) {
		if (tls_hello_is_signal(cipher)) {
			continue;
		}
		/* Those of SSL 2.0 itself begin with another octet than 0. */
		if (cipher <= 0xffff && !tls_hello_gone_cipher(cipher)) {
			return false;
		}
		any = true;
	}
	return any;
}

const char *tls_hello_version_name(uint16_t version, char out[8])
{
	switch (version) {
	case TLS_HELLO_SSL_2_0:
		return "SSL 2.0";
	case TLS_HELLO_SSL_3_0:
		return "SSL 3.0";
	case TLS_HELLO_1_0:
		return "TLS 1.0";
	case TLS_HELLO_1_1:
		return "TLS 1.1";
	case TLS_HELLO_1_2:
		return "TLS 1.2";
	case TLS_HELLO_1_3:
		return "TLS 1.3";
	default:
		snprintf(out, 8, "0x%04x", version);
		return out;
	}
}

void tls_hello_write_versions(const struct tls_hello *hello, struct buffer *out)
{
	const char *before = "";
	char unknown[8];

	if (hello->versions.len < 2) {
		buffer_printf(out, "up to %s",
			      tls_hello_version_name(hello->newest, unknown));
		return;
	}
	for (struct bytes rest = hello->versions; rest.len >= 2;) {
		const uint16_t version = (uint16_t)take_number(&rest, 2);

		if (!is_grease(version)) {
			buffer_printf(out, "%s%s", before,
				      tls_hello_version_name(version, unknown));
			before = ", ";
		}
	}
}

void tls_hello_write_protocols(const struct tls_hello *hello, struct buffer *out)
{
	for (struct bytes rest = hello->protocols; rest.len > 0;) {
		const struct bytes protocol = take_vector(&rest, 1);

		if (out->len > 0) {
			buffer_append(out, bytes_of(", "));
		}
		buffer_append(out, protocol);
	}
}
