#include "protocol/pop3_command.h"

enum shape {
	BARE,           // no argument
	MSGNO,          // one message number
	MSGNO_OPTIONAL, // one message number or nothing
	MSGNO_LINES,    // message number and line count
	TEXT,           // rest of the line as it is: a password may hold spaces anywhere
	TEXT_OPTIONAL,  // rest of the line or nothing
};

/* The whole grammar. Order of rows is free; the index is the verb. */
static const struct {
	const char *name;
	unsigned states;
	enum shape shape;
} verbs[] = {
	[POP3_APOP] = { "APOP", POP3_AUTHORIZATION, TEXT },
	[POP3_AUTH] = { "AUTH", POP3_AUTHORIZATION, TEXT_OPTIONAL },
	[POP3_CAPA] = { "CAPA", POP3_AUTHORIZATION | POP3_TRANSACTION, BARE },
	[POP3_DELE] = { "DELE", POP3_TRANSACTION, MSGNO },
	[POP3_LIST] = { "LIST", POP3_TRANSACTION, MSGNO_OPTIONAL },
	[POP3_NOOP] = { "NOOP", POP3_TRANSACTION, BARE },
	[POP3_PASS] = { "PASS", POP3_AUTHORIZATION, TEXT },
	[POP3_QUIT] = { "QUIT", POP3_AUTHORIZATION | POP3_TRANSACTION, BARE },
	[POP3_RETR] = { "RETR", POP3_TRANSACTION, MSGNO },
	[POP3_RSET] = { "RSET", POP3_TRANSACTION, BARE },
	[POP3_STAT] = { "STAT", POP3_TRANSACTION, BARE },
	[POP3_STLS] = { "STLS", POP3_AUTHORIZATION, BARE },
	[POP3_TOP] = { "TOP", POP3_TRANSACTION, MSGNO_LINES },
	[POP3_UIDL] = { "UIDL", POP3_TRANSACTION, MSGNO_OPTIONAL },
	[POP3_USER] = { "USER", POP3_AUTHORIZATION, TEXT },
};

static bool find_verb(struct bytes word, enum pop3_verb *out)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (bytes_is_keyword(word, verbs[i].name)) {
			*out = (enum pop3_verb)i;
			return true;
		}
	}
	return false;
}

/* "QUIT " and "LIST 1 " are sent by real clients and mean nothing else. */
static struct bytes without_trailing_spaces(struct bytes text)
{
	while (text.len > 0 && text.at[text.len - 1] == ' ') {
		text.len--;
	}
	return text;
}

static bool take_msgno(struct bytes *rest, uint32_t *out)
{
	return bytes_take_u32(rest, out) && *out > 0;
}

static bool take_arguments(struct bytes line_rest, struct pop3_command *cmd)
{
	struct bytes rest = without_trailing_spaces(line_rest);

	switch (verbs[cmd->verb].shape) {
	case BARE:
		return rest.len == 0;
	case MSGNO:
		return take_msgno(&rest, &cmd->msgno) && rest.len == 0;
	case MSGNO_OPTIONAL:
		return rest.len == 0 || (take_msgno(&rest, &cmd->msgno) && rest.len == 0);
	case MSGNO_LINES:
		return take_msgno(&rest, &cmd->msgno) &&
		       bytes_take_u32(&rest, &cmd->lines) && rest.len == 0;
	case TEXT:
		cmd->text = line_rest;
		return line_rest.len > 0;
	case TEXT_OPTIONAL:
		cmd->text = rest;
		return true;
	}
	return false;
}

enum pop3_parse pop3_command_parse(struct bytes line, enum pop3_state state,
				   struct pop3_command *cmd)
{
	struct pop3_command parsed = { 0 };
	struct bytes rest = line;

	if (!find_verb(bytes_take_word(&rest), &parsed.verb)) {
		return POP3_PARSE_UNKNOWN;
	}
	if (!(verbs[parsed.verb].states & state)) {
		return POP3_PARSE_WRONG_STATE;
	}
	if (!take_arguments(rest, &parsed)) {
		return POP3_PARSE_BAD_ARGUMENT;
	}
	*cmd = parsed;
	return POP3_PARSE_OK;
}

const char *pop3_verb_name(enum pop3_verb verb)
{
	return verbs[verb].name;
}
