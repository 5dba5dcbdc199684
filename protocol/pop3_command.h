/*
 * One POP3 command line (RFC 1939, 2449, 2595, 5034) as a value.
 *
 * Pure: no I/O, no allocation, no global state. The line is untrusted input,
 * but pop3_line.h has already bounded its length and taken out CR, LF, NUL.
 */
#ifndef PROTOCOL_POP3_COMMAND_H
#define PROTOCOL_POP3_COMMAND_H

#include "protocol/bytes.h"

/* The session states of RFC 1939 in which a client may speak. Bit flags. */
enum pop3_state {
	POP3_AUTHORIZATION = 1 << 0,
	POP3_TRANSACTION = 1 << 1,
};

enum pop3_verb {
	POP3_APOP,
	POP3_AUTH,
	POP3_CAPA,
	POP3_DELE,
	POP3_LIST,
	POP3_NOOP,
	POP3_PASS,
	POP3_QUIT,
	POP3_RETR,
	POP3_RSET,
	POP3_STAT,
	POP3_STLS,
	POP3_TOP,
	POP3_UIDL,
	POP3_USER,
};

/* Why a line was refused. The session has the words for it. */
enum pop3_parse {
	POP3_PARSE_OK,
	POP3_PARSE_UNKNOWN,      // no such verb
	POP3_PARSE_WRONG_STATE,  // known verb, not allowed in this state
	POP3_PARSE_BAD_ARGUMENT, // missing, superfluous or malformed argument
};

struct pop3_command {
	enum pop3_verb verb;
	uint32_t msgno;    // counts from 1; 0 = not given (LIST, UIDL)
	uint32_t lines;    // TOP: body lines wanted, 0 is legal
	struct bytes text; // USER, PASS, APOP, AUTH: rest of line, borrowed
};

/*
 * Parse one line. Writes *cmd only on POP3_PARSE_OK. cmd->text points into
 * line and lives exactly as long; only a bare AUTH leaves it empty. For PASS
 * and AUTH it is a secret, so the caller wipes the line buffer and never logs it.
 */
enum pop3_parse pop3_command_parse(struct bytes line, enum pop3_state state,
				   struct pop3_command *cmd);

/* The verb as it goes into logs and metrics: a static upper-case string. */
const char *pop3_verb_name(enum pop3_verb verb);

#endif
