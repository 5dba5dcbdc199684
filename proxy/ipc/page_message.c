#include "proxy/ipc/page_message.h"

#define NUMBER(name) (1U << PAGE_##name)
#define TEXT(name) (1U << PAGE_##name)

/* What a type carries. */
struct shape {
	bool asked;
	unsigned numbers, texts;
};

static const struct shape shapes[PAGE_TYPES] = {
	[PAGE_SEE] = { true, 0, TEXT(INVITATION) },
	[PAGE_START] = { true, 0, TEXT(INVITATION) },
	[PAGE_CALLBACK] = { true, 0,
			    TEXT(SESSION) | TEXT(STATE) | TEXT(CODE) | TEXT(ISSUER) |
				    TEXT(ERROR) | TEXT(TEXT) },
	[PAGE_LOOK] = { true, 0, TEXT(SESSION) },
	[PAGE_AGAIN] = { true, 0, TEXT(SESSION) | TEXT(FORM) },
	[PAGE_ADD] = { true, 0, TEXT(SESSION) | TEXT(FORM) | TEXT(LABEL) },
	[PAGE_REMOVE] = { true, NUMBER(ID), TEXT(SESSION) | TEXT(FORM) },
	[PAGE_LEAVE] = { true, 0, TEXT(SESSION) | TEXT(FORM) },
	[PAGE_ACCOUNT] = { false, NUMBER(SIGNED_IN),
			   TEXT(FORM) | TEXT(USER) | TEXT(PERSON) | TEXT(PROVIDER) |
				   TEXT(SECRET) },
	[PAGE_DEVICE] = { false, NUMBER(ID) | NUMBER(SINCE_S) | NUMBER(LAST_S),
			  TEXT(LABEL) },
	[PAGE_DONE] = { false, 0, 0 },
	[PAGE_GO] = { false, 0, TEXT(SESSION) | TEXT(URL) },
	[PAGE_REFUSED] = { false, NUMBER(WHY), TEXT(TEXT) },
};

static bool put_number(struct buffer *out, uint64_t number, size_t octets)
{
	char text[8];

	for (size_t i = 0; i < octets; i++) {
		text[i] = (char)(number >> (8 * i));
	}
	return buffer_append(out, (struct bytes){ text, octets });
}

static bool put_text(struct buffer *out, struct bytes text)
{
	return text.len <= PAGE_TEXT_MAX && put_number(out, text.len, 2) &&
	       (text.len == 0 || buffer_append(out, text));
}

static bool put_fields(struct buffer *out, const struct page_message *message)
{
	const struct shape *shape = &shapes[message->type];
	bool fits = true;

	for (unsigned i = 0; i < PAGE_NUMBERS && fits; i++) {
		fits = !(shape->numbers & 1U << i) ||
		       put_number(out, message->number[i], 8);
	}
	for (unsigned i = 0; i < PAGE_TEXTS && fits; i++) {
		fits = !(shape->texts & 1U << i) || put_text(out, message->text[i]);
	}
	return fits;
}

bool page_message_encode(const struct page_message *message, struct buffer *out)
{
	const char header[4] = { PAGE_MESSAGE_VERSION, (char)message->type };
	const size_t before = out->len;

	if (buffer_append(out, (struct bytes){ header, sizeof(header) }) &&
	    put_number(out, message->id, 4) && put_fields(out, message) &&
	    out->len - before <= PAGE_PACKET_MAX) {
		return true;
	}
	out->len = before;
	return false;
}

static bool take_number(struct bytes *rest, size_t octets, uint64_t *out)
{
	if (rest->len < octets) {
		return false;
	}
	*out = 0;
	for (size_t i = 0; i < octets; i++) {
		*out |= (uint64_t)(unsigned char)rest->at[i] << (8 * i);
	}
	bytes_skip(rest, octets);
	return true;
}

static bool take_text(struct bytes *rest, struct bytes *out)
{
	uint64_t len;

	if (!take_number(rest, 2, &len) || len > PAGE_TEXT_MAX || len > rest->len) {
		return false;
	}
	*out = (struct bytes){ rest->at, (size_t)len };
	bytes_skip(rest, (size_t)len);
	return true;
}

static bool take_fields(struct bytes *rest, struct page_message *out)
{
	const struct shape *shape = &shapes[out->type];
	bool good = true;

	for (unsigned i = 0; i < PAGE_NUMBERS && good; i++) {
		good = !(shape->numbers & 1U << i) ||
		       take_number(rest, 8, &out->number[i]);
	}
	for (unsigned i = 0; i < PAGE_TEXTS && good; i++) {
		good = !(shape->texts & 1U << i) || take_text(rest, &out->text[i]);
	}
	return good && rest->len == 0 && out->number[PAGE_WHY] < PAGE_WHYS;
}

bool page_message_decode(struct bytes packet, bool asked, struct page_message *out)
{
	struct bytes rest = packet;
	uint64_t id = 0;

	*out = (struct page_message){ 0 };
	if (packet.len < 8 || packet.len > PAGE_PACKET_MAX ||
	    packet.at[0] != PAGE_MESSAGE_VERSION ||
	    (unsigned char)packet.at[1] >= PAGE_TYPES || packet.at[2] != 0 ||
	    packet.at[3] != 0) {
		return false;
	}
	bytes_skip(&rest, 4);
	take_number(&rest, 4, &id);
	out->id = (uint32_t)id;
	out->type = (enum page_type)packet.at[1];
	return shapes[out->type].asked == asked && take_fields(&rest, out);
}
