#include "protocol/imap_wire_status.h"
#include "protocol/imap_token.h"

#include <string.h>

/* What a code's arguments are. */
enum shape {
	WORDS,     // anything, kept as code_text
	NZ_NUMBER, // 1 to 2^32-1
	NUMBER,    // 64 bits
	LIMIT,     // a number that may be followed by others
	FLAGS,     // a list in which \Deleted is looked for
};

static const struct {
	const char *name;
	enum shape shape;
} codes[] = {
	[IMAP_WIRE_CODE_NONE] = { "", WORDS },
	[IMAP_WIRE_CODE_OTHER] = { "OTHER", WORDS },
	[IMAP_WIRE_CODE_ALERT] = { "ALERT", WORDS },
	[IMAP_WIRE_CODE_AUTHENTICATIONFAILED] = { "AUTHENTICATIONFAILED", WORDS },
	[IMAP_WIRE_CODE_AUTHORIZATIONFAILED] = { "AUTHORIZATIONFAILED", WORDS },
	[IMAP_WIRE_CODE_CANNOT] = { "CANNOT", WORDS },
	[IMAP_WIRE_CODE_CAPABILITY] = { "CAPABILITY", WORDS },
	[IMAP_WIRE_CODE_CLIENTBUG] = { "CLIENTBUG", WORDS },
	[IMAP_WIRE_CODE_CLOSED] = { "CLOSED", WORDS },
	[IMAP_WIRE_CODE_CONTACTADMIN] = { "CONTACTADMIN", WORDS },
	[IMAP_WIRE_CODE_EXPIRED] = { "EXPIRED", WORDS },
	[IMAP_WIRE_CODE_EXPUNGEISSUED] = { "EXPUNGEISSUED", WORDS },
	[IMAP_WIRE_CODE_HIGHESTMODSEQ] = { "HIGHESTMODSEQ", NUMBER },
	[IMAP_WIRE_CODE_INUSE] = { "INUSE", WORDS },
	[IMAP_WIRE_CODE_LIMIT] = { "LIMIT", WORDS },
	[IMAP_WIRE_CODE_MESSAGELIMIT] = { "MESSAGELIMIT", LIMIT },
	[IMAP_WIRE_CODE_NOMODSEQ] = { "NOMODSEQ", WORDS },
	[IMAP_WIRE_CODE_NONEXISTENT] = { "NONEXISTENT", WORDS },
	[IMAP_WIRE_CODE_NOPERM] = { "NOPERM", WORDS },
	[IMAP_WIRE_CODE_OVERQUOTA] = { "OVERQUOTA", WORDS },
	[IMAP_WIRE_CODE_PERMANENTFLAGS] = { "PERMANENTFLAGS", FLAGS },
	[IMAP_WIRE_CODE_PRIVACYREQUIRED] = { "PRIVACYREQUIRED", WORDS },
	[IMAP_WIRE_CODE_READ_ONLY] = { "READ-ONLY", WORDS },
	[IMAP_WIRE_CODE_READ_WRITE] = { "READ-WRITE", WORDS },
	[IMAP_WIRE_CODE_REFERRAL] = { "REFERRAL", WORDS },
	[IMAP_WIRE_CODE_SERVERBUG] = { "SERVERBUG", WORDS },
	[IMAP_WIRE_CODE_THROTTLED] = { "THROTTLED", WORDS },
	[IMAP_WIRE_CODE_UIDNEXT] = { "UIDNEXT", NZ_NUMBER },
	[IMAP_WIRE_CODE_UIDNOTSTICKY] = { "UIDNOTSTICKY", WORDS },
	[IMAP_WIRE_CODE_UIDVALIDITY] = { "UIDVALIDITY", NZ_NUMBER },
	[IMAP_WIRE_CODE_UNAVAILABLE] = { "UNAVAILABLE", WORDS },
};

static const char *const conditions[] = {
	[IMAP_WIRE_OK] = "OK",           [IMAP_WIRE_NO] = "NO",   [IMAP_WIRE_BAD] = "BAD",
	[IMAP_WIRE_PREAUTH] = "PREAUTH", [IMAP_WIRE_BYE] = "BYE",
};

bool imap_wire_is_condition(struct bytes word, enum imap_wire_condition *condition)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (bytes_is_keyword(word, conditions[i])) {
			*condition = (enum imap_wire_condition)i;
			return true;
		}
	}
	return false;
}

const char *imap_wire_condition_name(enum imap_wire_condition condition)
{
	return conditions[condition];
}

const char *imap_wire_code_name(enum imap_wire_code code)
{
	return codes[code].name;
}

static enum imap_wire_code find_code(struct bytes word)
{
	for (size_t i = IMAP_WIRE_CODE_ALERT; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (bytes_is_keyword(word, codes[i].name)) {
			return (enum imap_wire_code)i;
		}
	}
	return IMAP_WIRE_CODE_OTHER;
}

static bool has_deleted_flag(struct bytes flags)
{
	if (flags.len > 0 && flags.at[0] == '(') {
		bytes_skip(&flags, 1);
	}
	if (flags.len > 0 && flags.at[flags.len - 1] == ')') {
		flags.len--;
	}
	while (flags.len > 0) {
		if (bytes_is_keyword(bytes_take_word(&flags), "\\DELETED")) {
			return true;
		}
	}
	return false;
}

static const char *parse_arguments(enum shape shape, struct bytes arguments,
				   uint64_t *number)
{
	uint32_t small;

	switch (shape) {
	case WORDS:
		break;
	case NZ_NUMBER:
		if (!bytes_take_u32(&arguments, &small) || small == 0 ||
		    arguments.len > 0) {
			return "a response code's number is not within 1 to 2^32-1";
		}
		*number = small;
		break;
	case NUMBER:
		if (!bytes_take_u64(&arguments, number) || arguments.len > 0) {
			return "a response code's number is malformed or above 2^64-1";
		}
		break;
	case LIMIT:
		if (!bytes_take_u64(&arguments, number)) {
			*number = 0;
		}
		break;
	case FLAGS:
		*number = has_deleted_flag(arguments) ? 1 : 0;
		break;
	}
	return NULL;
}

const char *imap_wire_parse_status_text(struct bytes rest, struct imap_wire_event *event)
{
	const char *end;
	struct bytes inner;

	event->text = rest;
	if (rest.len == 0 || rest.at[0] != '[') {
		return NULL;
	}
	/* A code that never closes is no code: the whole is text. */
	end = memchr(rest.at, ']', rest.len);
	if (!end) {
		return NULL;
	}
	inner = (struct bytes){ rest.at + 1, (size_t)(end - rest.at) - 1 };
	bytes_skip(&event->text, inner.len + 2);
	if (event->text.len > 0 && event->text.at[0] == ' ') {
		bytes_skip(&event->text, 1);
	}
	event->code = find_code(bytes_take_word(&inner));
	event->code_text = inner;
	return parse_arguments(codes[event->code].shape, inner, &event->number);
}
