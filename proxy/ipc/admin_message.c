#include "proxy/ipc/admin_message.h"

#include "proxy/ipc/field.h"

#define NUMBER(name) (1u << ADMIN_##name)
#define TEXT(name) (1u << ADMIN_##name)

/* What a type carries. */
struct shape {
	bool asked;
	unsigned numbers, texts;
};

#define ACCOUNT_TEXTS                                                                    \
	(TEXT(USER) | TEXT(ROUTE) | TEXT(MAILBOX) | TEXT(SIGNS_IN_AS) | TEXT(ALIASES) |  \
	 TEXT(PROVIDER))
#define DEVICE_TEXTS                                                                     \
	(TEXT(USER) | TEXT(LABEL) | TEXT(FOLDER) | TEXT(NETWORKS) | TEXT(SECRET))

static const struct shape shapes[ADMIN_TYPES] = {
	[ADMIN_ASK_SERVICE] = { true, 0, 0 },
	[ADMIN_ASK_PROBLEMS] = { true, NUMBER(SILENT_S), 0 },
	[ADMIN_ASK_LEGACY] = { true, 0, 0 },
	[ADMIN_ASK_REFERENCE] = { true, NUMBER(REFERENCE), 0 },
	[ADMIN_ASK_FAILURES] = { true, 0, TEXT(USER) },
	[ADMIN_KICK] = { true, 0, TEXT(USER) },
	[ADMIN_FORGET] = { true, 0, TEXT(USER) },
	[ADMIN_ASK_REGISTERED] = { true, 0, TEXT(USER) },
	[ADMIN_REGISTER] = { true, NUMBER(TYPE) | NUMBER(MODE),
			     ACCOUNT_TEXTS | TEXT(SECRET) },
	[ADMIN_REGISTER_ALL] = { true, 0, 0 },
	[ADMIN_UNREGISTER] = { true, 0, TEXT(USER) },
	[ADMIN_ADD_DEVICE] = { true,
			       NUMBER(TYPE) | NUMBER(RIGHTS) | NUMBER(UNTIL_S) |
				       NUMBER(DIGITS),
			       DEVICE_TEXTS },
	[ADMIN_REMOVE_DEVICE] = { true, NUMBER(ID), TEXT(USER) },
	[ADMIN_CONSENT] = { true, 0, TEXT(USER) },
	[ADMIN_GRANT] = { true, 0, TEXT(USER) | TEXT(SECRET) },
	[ADMIN_INVITE] = { true, 0, TEXT(USER) },
	[ADMIN_REKEY] = { true, 0, TEXT(SECRET) },
	[ADMIN_REGISTERED] = { false,
			       NUMBER(TYPE) | NUMBER(HAS_SECRET) | NUMBER(STATE) |
				       NUMBER(SINCE_S) | NUMBER(UNTIL_S) | NUMBER(AT_S) |
				       NUMBER(DEVICES),
			       ACCOUNT_TEXTS | TEXT(CAUSE) },
	[ADMIN_DEVICE] = { false,
			   NUMBER(TYPE) | NUMBER(ID) | NUMBER(RIGHTS) | NUMBER(SINCE_S) |
				   NUMBER(UNTIL_S) | NUMBER(LAST_RIGHT_S),
			   DEVICE_TEXTS | TEXT(ADDRESS) },
	[ADMIN_CODE] = { false, NUMBER(UNTIL_S),
			 TEXT(URL) | TEXT(URL_COMPLETE) | TEXT(USER_CODE) },
	[ADMIN_PENDING] = { false, 0, 0 },
	[ADMIN_INVITATION] = { false, NUMBER(UNTIL_S), TEXT(URL) },
	[ADMIN_END] = { false, NUMBER(COUNT), 0 },
	[ADMIN_FAILED] = { false, NUMBER(KIND), TEXT(CAUSE) | TEXT(ADVICE) },
	[ADMIN_SERVICE] = { false, 0, TEXT(ADDRESS) | TEXT(VERSION) },
	[ADMIN_LISTENER] = { false, NUMBER(TLS) | NUMBER(BEHIND_PROXY), TEXT(ADDRESS) },
	[ADMIN_ACCOUNT] = { false,
			    NUMBER(PROBLEMS) | NUMBER(LAST_RIGHT_S) |
				    NUMBER(LAST_WRONG_S) | NUMBER(LAST_LOST_S) |
				    NUMBER(WRONG) | NUMBER(UNANSWERED) | NUMBER(LOST),
			    TEXT(USER) | TEXT(ADDRESS) },
	[ADMIN_LEGACY] = { false, NUMBER(TLS) | NUMBER(AT_S) | NUMBER(COUNT),
			   TEXT(USER) | TEXT(ADDRESS) },
	[ADMIN_FAILURE] = { false, NUMBER(AT_S) | NUMBER(REFERENCE) | NUMBER(KIND),
			    TEXT(USER) | TEXT(ADDRESS) | TEXT(ANSWER) | TEXT(CAUSE) |
				    TEXT(ADVICE) },
	[ADMIN_FORGOTTEN] = { false, NUMBER(COUNT), TEXT(WHAT) },
	[ADMIN_ASK_UNIQUE_IDS] = { true, 0, 0 },
	[ADMIN_ACCEPT_UNIQUE_IDS] = { true, NUMBER(DIGEST), 0 },
	[ADMIN_UNIQUE_IDS] = { false, 0,
			       TEXT(USER) | TEXT(ROUTE) | TEXT(FOLDER) | TEXT(TEMPLATE) },
};

static bool put_fields(struct buffer *out, const struct admin_message *message)
{
	const struct shape *shape = &shapes[message->type];

	return field_put_numbers(out, message->number, shape->numbers) &&
	       field_put_texts(out, message->text, shape->texts, ADMIN_TEXT_MAX);
}

bool admin_message_encode(const struct admin_message *message, struct buffer *out)
{
	const char header[4] = { ADMIN_MESSAGE_VERSION, (char)message->type };
	const size_t before = out->len;

	if (buffer_append(out, (struct bytes){ header, sizeof(header) }) &&
	    put_fields(out, message) && out->len - before <= ADMIN_PACKET_MAX) {
		return true;
	}
	out->len = before;
	return false;
}

static bool take_fields(struct bytes *rest, struct admin_message *out)
{
	const struct shape *shape = &shapes[out->type];

	return field_take_numbers(rest, shape->numbers, out->number) &&
	       field_take_texts(rest, shape->texts, ADMIN_TEXT_MAX, out->text) &&
	       rest->len == 0;
}

bool admin_message_decode(struct bytes packet, bool asked, struct admin_message *out)
{
	struct bytes rest = packet;

	*out = (struct admin_message){ 0 };
	if (packet.len < 4 || packet.len > ADMIN_PACKET_MAX ||
	    packet.at[0] != ADMIN_MESSAGE_VERSION ||
	    (unsigned char)packet.at[1] >= ADMIN_TYPES || packet.at[2] != 0 ||
	    packet.at[3] != 0) {
		return false;
	}
	bytes_skip(&rest, 4);
	out->type = (enum admin_type)packet.at[1];
	return shapes[out->type].asked == asked && take_fields(&rest, out);
}
