#include "proxy/ipc/oauth_message.h"

#include "proxy/ipc/field.h"

#include <stddef.h>
#include <string.h>

#define ANSWERS 0x80 // in the place of what

/* The fields in their order, for both directions. */
static const size_t request_texts[] = {
	offsetof(struct oauth_request, tag),
	offsetof(struct oauth_request, provider),
	offsetof(struct oauth_request, secret),
	offsetof(struct oauth_request, subject),
	offsetof(struct oauth_request, redirect),
	offsetof(struct oauth_request, verifier),
	offsetof(struct oauth_request, state),
	offsetof(struct oauth_request, nonce),
	offsetof(struct oauth_request, issuer),
	offsetof(struct oauth_request, hint),
};

static const size_t reply_numbers[] = {
	offsetof(struct oauth_reply, verdict),
	offsetof(struct oauth_reply, expires_s),
	offsetof(struct oauth_reply, refresh_expires_s),
	offsetof(struct oauth_reply, interval_s),
};

static const size_t reply_texts[] = {
	offsetof(struct oauth_reply, tag),
	offsetof(struct oauth_reply, access_token),
	offsetof(struct oauth_reply, refresh_token),
	offsetof(struct oauth_reply, identity),
	offsetof(struct oauth_reply, device_code),
	offsetof(struct oauth_reply, user_code),
	offsetof(struct oauth_reply, url),
	offsetof(struct oauth_reply, url_complete),
	offsetof(struct oauth_reply, text),
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static bool put_header(struct buffer *out, unsigned what, uint32_t id)
{
	return field_put_number(out, OAUTH_MESSAGE_VERSION | what << 8, 4) &&
	       field_put_number(out, id, 4);
}

static bool put_texts(struct buffer *out, const void *message, const size_t *offsets,
		      size_t count)
{
	struct bytes text;

	for (size_t i = 0; i < count; i++) {
		memcpy(&text, (const char *)message + offsets[i], sizeof(text));
		if (!field_put_text(out, text, OAUTH_TEXT_MAX)) {
			return false;
		}
	}
	return true;
}

bool oauth_request_encode(const struct oauth_request *request, struct buffer *out)
{
	const size_t before = out->len;

	if (put_header(out, request->what, request->id) &&
	    put_texts(out, request, request_texts, COUNT(request_texts))) {
		return true;
	}
	out->len = before;
	return false;
}

bool oauth_reply_encode(const struct oauth_reply *reply, struct buffer *out)
{
	const size_t before = out->len;
	bool done = put_header(out, ANSWERS, reply->id);

	for (size_t i = 0; i < COUNT(reply_numbers) && done; i++) {
		uint32_t number;

		memcpy(&number, (const char *)reply + reply_numbers[i], sizeof(number));
		done = field_put_number(out, number, 4);
	}
	if (done && put_texts(out, reply, reply_texts, COUNT(reply_texts))) {
		return true;
	}
	out->len = before;
	return false;
}

static bool take_texts(struct bytes *rest, void *message, const size_t *offsets,
		       size_t count)
{
	struct bytes text;

	for (size_t i = 0; i < count; i++) {
		if (!field_take_text(rest, OAUTH_TEXT_MAX, &text)) {
			return false;
		}
		memcpy((char *)message + offsets[i], &text, sizeof(text));
	}
	return rest->len == 0;
}

static bool take_header(struct bytes *rest, uint32_t *what, uint32_t *id)
{
	if (!field_take_u32(rest, 4, what) || !field_take_u32(rest, 4, id) ||
	    (*what & 0xFF) != OAUTH_MESSAGE_VERSION) {
		return false;
	}
	*what >>= 8;
	return true;
}

bool oauth_request_decode(struct bytes packet, struct oauth_request *out)
{
	uint32_t what;

	*out = (struct oauth_request){ 0 };
	if (!take_header(&packet, &what, &out->id) || what >= OAUTH_WHATS) {
		return false;
	}
	out->what = (enum oauth_what)what;
	return take_texts(&packet, out, request_texts, COUNT(request_texts));
}

bool oauth_reply_decode(struct bytes packet, struct oauth_reply *out)
{
	uint32_t what;

	*out = (struct oauth_reply){ 0 };
	if (!take_header(&packet, &what, &out->id) || what != ANSWERS) {
		return false;
	}
	for (size_t i = 0; i < COUNT(reply_numbers); i++) {
		uint32_t number;

		if (!field_take_u32(&packet, 4, &number)) {
			return false;
		}
		memcpy((char *)out + reply_numbers[i], &number, sizeof(number));
	}
	return out->verdict < OAUTH_VERDICTS &&
	       take_texts(&packet, out, reply_texts, COUNT(reply_texts));
}
