#include "protocol/sasl.h"

#include <string.h>

#define FIELD_END '\x01' // what ends a field of the OAuth mechanisms

static const char *const names[SASL_MECHANISMS] = {
	[SASL_PLAIN] = "PLAIN",
	[SASL_LOGIN] = "LOGIN",
	[SASL_XOAUTH2] = "XOAUTH2",
	[SASL_OAUTHBEARER] = "OAUTHBEARER",
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
	return names[mechanism];
}

bool sasl_mechanism_parse(struct bytes name, enum sasl_mechanism *out)
{
	for (size_t i = 0; i < SASL_MECHANISMS; i++) {
		if (bytes_is_keyword(name, names[i])) {
			*out = (enum sasl_mechanism)i;
			return true;
		}
	}
	return false;
}

static bool holds(struct bytes value, char c)
{
	return value.len > 0 && memchr(value.at, c, value.len);
}

bool sasl_is_safe(enum sasl_mechanism mechanism, struct bytes value)
{
	bool oauth = mechanism == SASL_XOAUTH2 || mechanism == SASL_OAUTHBEARER;

	return !holds(value, '\r') && !holds(value, '\n') && !holds(value, '\0') &&
	       !(oauth && holds(value, FIELD_END));
}

static bool is_usable(enum sasl_mechanism mechanism, const struct sasl_identity *identity)
{
	return identity->user.len > 0 && sasl_is_safe(mechanism, identity->user) &&
	       identity->secret.len > 0 && sasl_is_safe(mechanism, identity->secret);
}

/* Take what stands before the next end, and the end. False: there is none. */
static bool take_until(struct bytes *rest, char end, struct bytes *out)
{
	const char *found = rest->len > 0 ? memchr(rest->at, end, rest->len) : NULL;

	if (!found) {
		return false;
	}
	*out = (struct bytes){ rest->at, (size_t)(found - rest->at) };
	bytes_skip(rest, out->len + 1);
	return true;
}

/* Octets that must stand there exactly so. */
static bool take_literal(struct bytes *rest, const char *literal)
{
	struct bytes wanted = bytes_of(literal);

	if (rest->len < wanted.len ||
	    !bytes_equal((struct bytes){ rest->at, wanted.len }, wanted)) {
		return false;
	}
	bytes_skip(rest, wanted.len);
	return true;
}

/* The scheme of HTTP's Authorization header, whose name comes in any case. */
static bool take_bearer(struct bytes value, struct bytes *token)
{
	if (!bytes_has_prefix(value, "BEARER ")) {
		return false;
	}
	bytes_skip(&value, strlen("BEARER "));
	*token = value;
	return true;
}

/* [authzid] NUL authcid NUL passwd */
static bool decode_plain(struct bytes rest, struct sasl_identity *out)
{
	struct bytes authorization;

	if (!take_until(&rest, '\0', &authorization) ||
	    !take_until(&rest, '\0', &out->user)) {
		return false;
	}
	out->secret = rest;
	return authorization.len == 0 || bytes_equal(authorization, out->user);
}

/* user=U ^A auth=Bearer T ^A ^A */
static bool decode_xoauth2(struct bytes rest, struct sasl_identity *out)
{
	struct bytes value;

	return take_literal(&rest, "user=") && take_until(&rest, FIELD_END, &out->user) &&
	       take_literal(&rest, "auth=") && take_until(&rest, FIELD_END, &value) &&
	       take_bearer(value, &out->secret) && bytes_equal(rest, bytes_of("\x01"));
}

/* GS2's way to write "," and "=" in a name: "=2C" and "=3D", nothing else. */
static bool decode_gs2_name(char *name, size_t len, struct bytes *out)
{
	struct bytes rest = { name, len };
	char *to = name;

	while (rest.len > 0) {
		if (take_literal(&rest, "=2C")) {
			*to++ = ',';
		} else if (take_literal(&rest, "=3D")) {
			*to++ = '=';
		} else if (rest.at[0] == '=') {
			return false;
		} else {
			*to++ = rest.at[0];
			bytes_skip(&rest, 1);
		}
	}
	*out = (struct bytes){ name, (size_t)(to - name) };
	return true;
}

/* What an OAUTHBEARER message may say besides the user; each at most once. */
struct fields {
	struct bytes auth, host, port; // at is NULL while not seen
};

static bool take_field(struct bytes field, struct fields *seen)
{
	struct bytes *slot = NULL;

	if (take_literal(&field, "auth=")) {
		slot = &seen->auth;
	} else if (take_literal(&field, "host=")) {
		slot = &seen->host;
	} else if (take_literal(&field, "port=")) {
		slot = &seen->port;
	}
	if (!slot || slot->at) {
		return false;
	}
	*slot = field;
	return true;
}

/* Fields key=value ^A, and after the last one another ^A. */
static bool take_fields(struct bytes rest, struct fields *seen)
{
	struct bytes field;

	while (take_until(&rest, FIELD_END, &field)) {
		if (field.len == 0) {
			return rest.len == 0;
		}
		if (!take_field(field, seen)) {
			return false;
		}
	}
	return false;
}

/* n,a=U, ^A fields */
static bool decode_oauthbearer(struct buffer *message, struct sasl_identity *out)
{
	struct bytes rest = buffer_bytes(message);
	struct fields fields = { 0 };
	struct bytes name;

	if (!take_literal(&rest, "n,a=") || !take_until(&rest, ',', &name) ||
	    !take_literal(&rest, "\x01") || !take_fields(rest, &fields)) {
		return false;
	}
	char *writable = message->data + (name.at - message->data);
	return take_bearer(fields.auth, &out->secret) &&
	       decode_gs2_name(writable, name.len, &out->user);
}

bool sasl_decode(enum sasl_mechanism mechanism, struct buffer *message,
		 struct sasl_identity *out)
{
	struct sasl_identity identity;
	bool well_formed = false;

	switch (mechanism) {
	case SASL_PLAIN:
		well_formed = decode_plain(buffer_bytes(message), &identity);
		break;
	case SASL_XOAUTH2:
		well_formed = decode_xoauth2(buffer_bytes(message), &identity);
		break;
	case SASL_OAUTHBEARER:
		well_formed = decode_oauthbearer(message, &identity);
		break;
	case SASL_LOGIN:
		break;
	}
	if (!well_formed || !is_usable(mechanism, &identity)) {
		return false;
	}
	*out = identity;
	return true;
}

static bool encode_plain(const struct sasl_identity *identity, struct buffer *out)
{
	struct bytes nul = { "", 1 };

	return buffer_append(out, nul) && buffer_append(out, identity->user) &&
	       buffer_append(out, nul) && buffer_append(out, identity->secret);
}

/* auth=Bearer T ^A ^A */
static bool encode_bearer(struct bytes token, struct buffer *out)
{
	return buffer_append(out, bytes_of("auth=Bearer ")) &&
	       buffer_append(out, token) && buffer_append(out, bytes_of("\x01\x01"));
}

static bool encode_xoauth2(const struct sasl_identity *identity, struct buffer *out)
{
	return buffer_append(out, bytes_of("user=")) &&
	       buffer_append(out, identity->user) &&
	       buffer_append(out, bytes_of("\x01")) &&
	       encode_bearer(identity->secret, out);
}

static bool encode_gs2_name(struct bytes name, struct buffer *out)
{
	for (size_t i = 0; i < name.len; i++) {
		struct bytes octet = { name.at + i, 1 };

		if (*octet.at == ',') {
			octet = bytes_of("=2C");
		} else if (*octet.at == '=') {
			octet = bytes_of("=3D");
		}
		if (!buffer_append(out, octet)) {
			return false;
		}
	}
	return true;
}

static bool encode_oauthbearer(const struct sasl_identity *identity, struct bytes host,
			       uint16_t port, struct buffer *out)
{
	return sasl_is_safe(SASL_OAUTHBEARER, host) &&
	       buffer_append(out, bytes_of("n,a=")) &&
	       encode_gs2_name(identity->user, out) &&
	       buffer_append(out, bytes_of(",\x01host=")) && buffer_append(out, host) &&
	       buffer_printf(out, "\x01port=%u\x01", (unsigned)port) &&
	       encode_bearer(identity->secret, out);
}

bool sasl_encode(enum sasl_mechanism mechanism, const struct sasl_identity *identity,
		 struct bytes host, uint16_t port, struct buffer *out)
{
	size_t before = out->len;
	bool done = false;

	if (!is_usable(mechanism, identity)) {
		return false;
	}
	switch (mechanism) {
	case SASL_PLAIN:
		done = encode_plain(identity, out);
		break;
	case SASL_XOAUTH2:
		done = encode_xoauth2(identity, out);
		break;
	case SASL_OAUTHBEARER:
		done = encode_oauthbearer(identity, host, port, out);
		break;
	case SASL_LOGIN:
		break;
	}
	if (!done) {
		out->len = before;
	}
	return done;
}
