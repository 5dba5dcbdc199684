#include "proxy/ipc/keeper_message.h"

#include "proxy/base/failure.h"
#include "proxy/ipc/field.h"

#include <string.h>

/* What a type carries. */
enum field {
	FIELD_REQUEST = 1 << 0,
	FIELD_NUMBER = 1 << 1,
	FIELD_LOST_DELE = 1 << 2,
	FIELD_ADDRESS = 1 << 3, // and whether it is shared
	FIELD_HASH = 1 << 4,
	FIELD_KEY = 1 << 5,
	FIELD_ACCOUNT = 1 << 6,
	FIELD_REMOVED = 1 << 7,
	FIELD_TLS = 1 << 8,
	FIELD_WORDS = 1 << 9, // kind, answer, cause, advice
	FIELD_SET = 1 << 10,
	FIELD_SECRET = 1 << 11,
	FIELD_STAMP = 1 << 12,
	FIELD_CREDENTIAL = 1 << 13, // its kind, rights, mailbox, route, folder
	FIELD_PIECE = 1 << 14,
	FIELD_KNOWN = 1 << 15, // route, folder, unique_id
};

struct shape {
	bool from_worker;
	unsigned fields;
	uint32_t number_max;
};

#define TRIED (FIELD_ADDRESS | FIELD_HASH | FIELD_ACCOUNT)

static const struct shape shapes[KEEPER_TYPES] = {
	[KEEPER_HELLO] = { true, FIELD_NUMBER, UINT32_MAX },
	[KEEPER_HOLD] = { true, FIELD_KEY, 0 },
	[KEEPER_HELD_ALL] = { true, 0, 0 },
	[KEEPER_LOCK] = { true, FIELD_REQUEST | FIELD_NUMBER | FIELD_KEY,
			  KEEPER_LOCK_TAKE_OVER },
	[KEEPER_UNLOCK] = { true, FIELD_KEY, 0 },
	[KEEPER_ASK] = { true, FIELD_REQUEST | TRIED, 0 },
	[KEEPER_TELL] = { true, FIELD_NUMBER | FIELD_TLS | TRIED, KEEPER_NO_ANSWER },
	[KEEPER_ENDED] = { true,
			   FIELD_NUMBER | FIELD_LOST_DELE | FIELD_REMOVED | FIELD_ACCOUNT,
			   UINT32_MAX },
	[KEEPER_FAILED] = { true,
			    FIELD_NUMBER | FIELD_ADDRESS | FIELD_ACCOUNT | FIELD_WORDS,
			    KEEPER_REFERENCE_MAX },
	[KEEPER_KICKED] = { true, FIELD_REQUEST | FIELD_NUMBER, UINT32_MAX },
	[KEEPER_LEFT] = { true, FIELD_NUMBER | FIELD_KEY | FIELD_ACCOUNT | FIELD_SET,
			  UINT32_MAX },
	[KEEPER_ASK_LEFT] = { true, FIELD_REQUEST | FIELD_NUMBER | FIELD_KEY,
			      UINT32_MAX },
	[KEEPER_LOGIN] = { true, FIELD_REQUEST | FIELD_NUMBER | FIELD_KEY,
			   KEEPER_LOGIN_DELAY_MAX_S },
	[KEEPER_PROVE] = { true,
			   FIELD_REQUEST | FIELD_NUMBER | FIELD_ADDRESS | FIELD_ACCOUNT |
				   FIELD_SECRET | FIELD_STAMP,
			   KEEPER_PROVES - 1 },
	[KEEPER_LOCKED] = { false, FIELD_REQUEST | FIELD_NUMBER, 1 },
	[KEEPER_VERDICT] = { false, FIELD_REQUEST | FIELD_NUMBER, UINT32_MAX },
	[KEEPER_TAKE_OVER] = { false, FIELD_KEY, 0 },
	[KEEPER_KICK] = { false, FIELD_REQUEST | FIELD_NUMBER | FIELD_ACCOUNT,
			  KEEPER_KICK_REMAINS },
	[KEEPER_LEFTOVERS] = { false, FIELD_REQUEST | FIELD_SET, 0 },
	[KEEPER_CREDENTIAL] = { false,
				FIELD_REQUEST | FIELD_NUMBER | FIELD_WORDS |
					FIELD_SECRET | FIELD_CREDENTIAL,
				KEEPER_PROOFS - 1 },
	[KEEPER_APOP] = { false, FIELD_NUMBER, 1 },
	[KEEPER_ASK_INDEX] = { true, FIELD_REQUEST | FIELD_NUMBER | FIELD_KEY,
			       KEEPER_PIECES_MAX - 1 },
	[KEEPER_INDEX] = { false, FIELD_REQUEST | FIELD_PIECE, 0 },
	[KEEPER_KEEP_INDEX] = { true,
				FIELD_REQUEST | FIELD_NUMBER | FIELD_KEY | FIELD_ACCOUNT |
					FIELD_PIECE,
				KEEPER_PIECES_MAX - 1 },
	[KEEPER_KEPT] = { false, FIELD_REQUEST | FIELD_NUMBER, 1 },
	[KEEPER_KNOWN] = { true, FIELD_ACCOUNT | FIELD_KNOWN, 0 },
};

static bool put(struct buffer *out, const void *at, size_t len)
{
	return buffer_append(out, (struct bytes){ at, len });
}

static bool put_header(struct buffer *out, const struct keeper_message *message,
		       const struct shape *shape)
{
	const unsigned char start[4] = { KEEPER_MESSAGE_VERSION,
					 (unsigned char)message->type };

	return put(out, start, sizeof(start)) &&
	       field_put_number(out, shape->fields & FIELD_REQUEST ? message->request : 0,
				4);
}

static bool put_words(struct buffer *out, const struct keeper_message *message)
{
	return field_put_number(out, message->kind, 1) &&
	       field_put_text(out, message->answer, KEEPER_WORDS_MAX) &&
	       field_put_text(out, message->cause, KEEPER_WORDS_MAX) &&
	       field_put_text(out, message->advice, KEEPER_WORDS_MAX);
}

static bool put_credential(struct buffer *out, const struct keeper_message *message)
{
	return field_put_number(out, message->credential, 1) &&
	       field_put_number(out, message->rights, 1) &&
	       field_put_text(out, message->mailbox, KEEPER_TEXT_MAX) &&
	       field_put_text(out, message->route, KEEPER_TEXT_MAX) &&
	       field_put_text(out, message->folder, KEEPER_TEXT_MAX);
}

static bool put_known(struct buffer *out, const struct keeper_message *message)
{
	return field_put_text(out, message->route, KEEPER_TEXT_MAX) &&
	       field_put_text(out, message->folder, KEEPER_TEXT_MAX) &&
	       field_put_text(out, message->unique_id, KEEPER_WORDS_MAX);
}

static bool put_fields(struct buffer *out, const struct keeper_message *message,
		       unsigned fields)
{
	return (!(fields & FIELD_NUMBER) || field_put_number(out, message->number, 4)) &&
	       (!(fields & FIELD_LOST_DELE) ||
		field_put_number(out, message->lost_dele, 4)) &&
	       (!(fields & FIELD_ADDRESS) ||
		(put(out, message->address, KEEPER_ADDRESS_BYTES) &&
		 field_put_number(out, message->shared_address, 1))) &&
	       (!(fields & FIELD_HASH) || put(out, message->hash, KEEPER_HASH_BYTES)) &&
	       (!(fields & FIELD_KEY) ||
		(message->key.len > 0 &&
		 field_put_text(out, message->key, KEEPER_TEXT_MAX))) &&
	       (!(fields & FIELD_ACCOUNT) ||
		field_put_text(out, message->account, KEEPER_TEXT_MAX)) &&
	       (!(fields & FIELD_REMOVED) ||
		field_put_number(out, message->removed, 4)) &&
	       (!(fields & FIELD_TLS) || field_put_number(out, message->tls, 1)) &&
	       (!(fields & FIELD_WORDS) || put_words(out, message)) &&
	       (!(fields & FIELD_SET) ||
		field_put_text(out, message->set, KEEPER_SET_MAX)) &&
	       (!(fields & FIELD_SECRET) ||
		field_put_text(out, message->secret, KEEPER_SECRET_MAX)) &&
	       (!(fields & FIELD_STAMP) ||
		field_put_text(out, message->stamp, KEEPER_WORDS_MAX)) &&
	       (!(fields & FIELD_CREDENTIAL) || put_credential(out, message)) &&
	       (!(fields & FIELD_PIECE) ||
		field_put_text(out, message->piece, KEEPER_PIECE_MAX)) &&
	       (!(fields & FIELD_KNOWN) || put_known(out, message));
}

bool keeper_message_encode(const struct keeper_message *message, struct buffer *out)
{
	const struct shape *shape = &shapes[message->type];
	const size_t before = out->len;

	if (put_header(out, message, shape) && put_fields(out, message, shape->fields)) {
		return true;
	}
	out->len = before;
	return false;
}

static bool take(struct bytes *rest, void *to, size_t len)
{
	if (rest->len < len) {
		return false;
	}
	memcpy(to, rest->at, len);
	bytes_skip(rest, len);
	return true;
}

static bool take_flag(struct bytes *rest, bool *out)
{
	uint32_t number;

	if (!field_take_u32(rest, 1, &number) || number > 1) {
		return false;
	}
	*out = number == 1;
	return true;
}

static bool take_tls(struct bytes *rest, enum keeper_tls *out)
{
	uint32_t number;

	if (!field_take_u32(rest, 1, &number) || number > KEEPER_TLS_MODERN) {
		return false;
	}
	*out = (enum keeper_tls)number;
	return true;
}

static bool take_words(struct bytes *rest, struct keeper_message *out)
{
	return field_take_u32(rest, 1, &out->kind) && out->kind < FAILURE_KINDS &&
	       field_take_text(rest, KEEPER_WORDS_MAX, &out->answer) &&
	       field_take_text(rest, KEEPER_WORDS_MAX, &out->cause) &&
	       field_take_text(rest, KEEPER_WORDS_MAX, &out->advice);
}

static bool take_credential(struct bytes *rest, struct keeper_message *out)
{
	uint32_t kind;

	if (!field_take_u32(rest, 1, &kind) || kind >= KEEPER_CREDENTIAL_KINDS ||
	    !field_take_u32(rest, 1, &out->rights) ||
	    out->rights > (KEEPER_NO_DELETE | KEEPER_READ_ONLY)) {
		return false;
	}
	out->credential = (enum keeper_credential_kind)kind;
	return field_take_text(rest, KEEPER_TEXT_MAX, &out->mailbox) &&
	       field_take_text(rest, KEEPER_TEXT_MAX, &out->route) &&
	       field_take_text(rest, KEEPER_TEXT_MAX, &out->folder);
}

static bool take_known(struct bytes *rest, struct keeper_message *out)
{
	return field_take_text(rest, KEEPER_TEXT_MAX, &out->route) &&
	       field_take_text(rest, KEEPER_TEXT_MAX, &out->folder) &&
	       field_take_text(rest, KEEPER_WORDS_MAX, &out->unique_id);
}

static bool take_header(struct bytes *rest, bool from_worker, struct keeper_message *out)
{
	unsigned char start[4];

	if (!take(rest, start, sizeof(start)) ||
	    !field_take_u32(rest, 4, &out->request) ||
	    start[0] != KEEPER_MESSAGE_VERSION || start[1] >= KEEPER_TYPES ||
	    start[2] != 0 || start[3] != 0) {
		return false;
	}
	const struct shape *shape = &shapes[start[1]];

	out->type = (enum keeper_message_type)start[1];
	return shape->from_worker == from_worker &&
	       (out->request != 0) == ((shape->fields & FIELD_REQUEST) != 0);
}

static bool take_fields(struct bytes *rest, unsigned fields, struct keeper_message *out)
{
	return (!(fields & FIELD_NUMBER) || field_take_u32(rest, 4, &out->number)) &&
	       (!(fields & FIELD_LOST_DELE) ||
		field_take_u32(rest, 4, &out->lost_dele)) &&
	       (!(fields & FIELD_ADDRESS) ||
		(take(rest, out->address, KEEPER_ADDRESS_BYTES) &&
		 take_flag(rest, &out->shared_address))) &&
	       (!(fields & FIELD_HASH) || take(rest, out->hash, KEEPER_HASH_BYTES)) &&
	       (!(fields & FIELD_KEY) ||
		(field_take_text(rest, KEEPER_TEXT_MAX, &out->key) &&
		 out->key.len > 0)) &&
	       (!(fields & FIELD_ACCOUNT) ||
		field_take_text(rest, KEEPER_TEXT_MAX, &out->account)) &&
	       (!(fields & FIELD_REMOVED) || field_take_u32(rest, 4, &out->removed)) &&
	       (!(fields & FIELD_TLS) || take_tls(rest, &out->tls)) &&
	       (!(fields & FIELD_WORDS) || take_words(rest, out)) &&
	       (!(fields & FIELD_SET) ||
		field_take_text(rest, KEEPER_SET_MAX, &out->set)) &&
	       (!(fields & FIELD_SECRET) ||
		field_take_text(rest, KEEPER_SECRET_MAX, &out->secret)) &&
	       (!(fields & FIELD_STAMP) ||
		field_take_text(rest, KEEPER_WORDS_MAX, &out->stamp)) &&
	       (!(fields & FIELD_CREDENTIAL) || take_credential(rest, out)) &&
	       (!(fields & FIELD_PIECE) ||
		field_take_text(rest, KEEPER_PIECE_MAX, &out->piece)) &&
	       (!(fields & FIELD_KNOWN) || take_known(rest, out));
}

bool keeper_message_decode(struct bytes packet, bool from_worker,
			   struct keeper_message *out)
{
	struct bytes rest = packet;

	*out = (struct keeper_message){ 0 };
	if (!take_header(&rest, from_worker, out)) {
		return false;
	}
	const struct shape *shape = &shapes[out->type];

	return take_fields(&rest, shape->fields, out) && rest.len == 0 &&
	       out->number <= shape->number_max;
}
