#include "tests/bench/load/body.h"

#include <stdio.h>
#include <string.h>

void body_init(struct body *body, bool with_digest)
{
	*body = (struct body){ 0 };
	if (with_digest) {
		body->digest = EVP_MD_CTX_new();
		EVP_DigestInit_ex(body->digest, EVP_sha256(), NULL);
	}
}

static void count(struct body *body, const char *at, size_t len)
{
	body->octets += len;
	if (body->digest) {
		EVP_DigestUpdate(body->digest, at, len);
	}
}

/* The rest of the line, as far as it is there. */
static size_t take_line(struct body *body, const char *at, size_t len)
{
	const char *end = memchr(at, '\n', len);
	const size_t taken = end ? (size_t)(end - at) + 1 : len;

	count(body, at, taken);
	body->place = end ? BODY_LINE_START : BODY_IN_LINE;
	return taken;
}

/* One step over len > 0 octets. Returns how many were taken. */
static size_t take_stuffed(struct body *body, const char *at, size_t len, bool *ended)
{
	switch (body->place) {
	case BODY_LINE_START:
		body->place = *at == '.' ? BODY_BEHIND_DOT : BODY_IN_LINE;
		return *at == '.';
	case BODY_BEHIND_DOT:
		body->place = *at == '\r' ? BODY_BEHIND_DOT_CR : BODY_IN_LINE;
		return *at == '\r';
	case BODY_BEHIND_DOT_CR:
		*ended = *at == '\n';
		if (!*ended) {
			count(body, "\r", 1);
		}
		body->place = *ended ? BODY_LINE_START : BODY_IN_LINE;
		return *ended;
	case BODY_IN_LINE:
		break;
	}
	return take_line(body, at, len);
}

static bool more(struct body *body, struct connection *c)
{
	if (c->at == c->len && !connection_fill(c)) {
		return false;
	}
	if (body->first_s == 0) {
		body->first_s = now_s();
	}
	return true;
}

bool body_take_stuffed(struct body *body, struct connection *c)
{
	bool ended = false;

	body->place = BODY_LINE_START;
	while (!ended) {
		if (!more(body, c)) {
			return false;
		}
		while (c->at < c->len && !ended) {
			c->at += take_stuffed(body, c->input + c->at, c->len - c->at,
					      &ended);
		}
	}
	return true;
}

bool body_take_literal(struct body *body, struct connection *c, uint64_t len)
{
	while (len > 0) {
		if (!more(body, c)) {
			return false;
		}
		while (c->at < c->len && len > 0) {
			const size_t here = c->len - c->at;
			const size_t taken = take_line(body, c->input + c->at,
						       here < len ? here : (size_t)len);

			c->at += taken;
			len -= taken;
		}
	}
	return true;
}

void body_finish(struct body *body, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (body->digest) {
		EVP_DigestFinal_ex(body->digest, digest, &len);
		EVP_MD_CTX_free(body->digest);
		body->digest = NULL;
	}
	for (unsigned i = 0; i < len && i < 32; i++) {
		snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
	}
}
