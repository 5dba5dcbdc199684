#include "proxy/ipc/page_message.h"

#include "proxy/ipc/field.h"

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

static bool put_fields(struct buffer *out, const struct page_message *message)
{
	const struct shape *shape = &shapes[message->type];

	return field_put_numbers(out, message->number, shape->numbers) &&
	       field_put_texts(out, message->text, shape->texts, PAGE_TEXT_MAX);
}

bool page_message_encode(const struct page_message *message, struct buffer *out)
{
	const char header[4] = { PAGE_MESSAGE_VERSION, (char)message->type };
	const size_t before = out->len;

	if (buffer_append(out, (struct bytes){ header, sizeof(header) }) &&
	    field_put_number(out, message->id, 4) && put_fields(out, message) &&
	    out->len - before <= PAGE_PACKET_MAX) {
		return true;
	}
	out->len = before;
	return false;
}

static bool take_fields(struct bytes *rest, struct page_message *out)
{
	const struct shape *shape = &shapes[out->type];

	return field_take_numbers(rest, shape->numbers, out->number) &&
	       field_take_texts(rest, shape->texts, PAGE_TEXT_MAX, out->text) &&
	       rest->len == 0 && out->number[PAGE_WHY] < PAGE_WHYS;
}

bool page_message_decode(struct bytes packet, bool asked, struct page_message *out)
{
	struct bytes rest = packet;

	*out = (struct page_message){ 0 };
	if (packet.len < 8 || packet.len > PAGE_PACKET_MAX ||
	    packet.at[0] != PAGE_MESSAGE_VERSION ||
	    (unsigned char)packet.at[1] >= PAGE_TYPES || packet.at[2] != 0 ||
	    packet.at[3] != 0) {
		return false;
	}
	bytes_skip(&rest, 4);
	field_take_u32(&rest, 4, &out->id);
	out->type = (enum page_type)packet.at[1];
	return shapes[out->type].asked == asked && take_fields(&rest, out);
}
