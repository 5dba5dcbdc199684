/*
 * AUTHORIZATION (RFC 1939 section 4, RFC 2595 STLS, RFC 5034 AUTH).
 */
#include "proxy/session/session_internal.h"

#include "protocol/base64.h"
#include "protocol/sasl.h"

#include <stdio.h>

#define MESSAGE_MAX SASL_LINE_MAX
#define UNKNOWN_MAX 3 // no mail client says more that we do not know

/* Nobody sends a password in the clear because we let him (RFC 8314). */
SUSPENDS static bool may_sign_in(struct session *session, enum next *next)
{
	struct failure failure;

	if (session_allows_password(session)) {
		return true;
	}
	failure_set(&failure, FAILURE_PERMANENT,
		    "a sign-in without TLS from a network that is not in plain-from");
	failure_advise(&failure, "let the client use TLS (STLS or port 995), or name its "
				 "network in the listener's plain-from");
	*next = session_count_error(
		session,
		reply_refusal(session, "[SYS/PERM] TLS is required before sign-in",
			      &failure));
	return false;
}

static void set_user(struct session *session, struct bytes user)
{
	buffer_clear(&session->user);
	buffer_append(&session->user, user);
}

/* By now it is known who it is, and so whether anybody asked. */
static void trace_auth(const struct session *session, enum sasl_mechanism mechanism)
{
	report_trace(session, "client", "AUTH %s ***", sasl_mechanism_name(mechanism));
}

/* Only verbs: what stands behind them may be secret. USER and AUTH say so themselves. */
static void trace_verb(const struct session *session, enum pop3_verb verb)
{
	if (verb != POP3_USER && verb != POP3_AUTH) {
		report_trace(session, "client", verb == POP3_PASS ? "%s ***" : "%s",
			     pop3_verb_name(verb));
	}
}

SUSPENDS static enum next do_user(struct session *session, struct bytes name)
{
	enum next next;

	if (!may_sign_in(session, &next)) {
		return next;
	}
	set_user(session, name);
	report_trace(session, "client", "USER %.*s", (int)name.len, name.at);
	session->user_given = true;
	return reply_ok(session, "now the password");
}

SUSPENDS static enum next do_pass(struct session *session, struct bytes password)
{
	enum next next;

	if (!may_sign_in(session, &next)) {
		return next;
	}
	if (!session->user_given) {
		return reply_mistake(session, "USER comes first");
	}
	session->user_given = false;
	return sign_in(session, SASL_PLAIN, buffer_bytes(&session->user), password);
}

/* RFC 2595 section 4. What came before TLS is forgotten, what came with it is an attack.
 */
SUSPENDS static enum next do_stls(struct session *session)
{
	struct failure failure;

	if (session->listener->tls != CONFIG_TLS_STARTTLS ||
	    stream_is_tls(session->client)) {
		return reply_mistake(session, "STLS is not available here");
	}
	if (stream_input(session->client).len > 0) {
		session->end = SESSION_INJECTION;
		return NEXT_CLOSE;
	}
	if (reply_ok(session, "begin TLS") != NEXT_COMMAND ||
	    !stream_flush(session->client, session_write_deadline_ms(session),
			  &failure)) {
		return NEXT_CLOSE;
	}
	if (!tls_start(session)) {
		return NEXT_CLOSE;
	}
	buffer_clear(&session->user);
	session->user_given = false;
	return NEXT_COMMAND;
}

/* AUTH alone lists the mechanisms: old Outlook asks that way. */
SUSPENDS static enum next list_mechanisms(struct session *session)
{
	enum next next = reply_ok(session, "mechanisms follow");

	for (int i = 0; i < SASL_MECHANISMS && next == NEXT_COMMAND; i++) {
		if (session_allows_password(session)) {
			next = reply_format(session, "%s",
					    sasl_mechanism_name((enum sasl_mechanism)i));
		}
	}
	return next == NEXT_COMMAND ? reply_end(session) : next;
}

/* What became of reading one SASL message. */
enum sasl_step { SASL_READY, SASL_REFUSED, SASL_CLOSE };

/* Ask with a challenge (base64), take the client's line, "*" cancels. */
SUSPENDS static enum sasl_step ask(struct session *session, const char *challenge,
				   struct buffer *out, enum next *next)
{
	struct bytes line;

	*next = reply_format(session, "+ %s", challenge);
	if (*next != NEXT_COMMAND) {
		return SASL_CLOSE;
	}
	switch (session_read_line(session, &line)) {
	case SESSION_LINE_READY:
		break;
	case SESSION_LINE_REFUSED:
		*next = NEXT_COMMAND;
		return SASL_REFUSED;
	case SESSION_LINE_NONE:
		*next = NEXT_CLOSE;
		return SASL_CLOSE;
	}
	if (bytes_equal(line, bytes_of("*"))) {
		*next = reply_mistake(session, "sign-in cancelled");
		return SASL_REFUSED;
	}
	if (!base64_decode(line, out)) {
		*next = reply_mistake(session, "that is not base64");
		return SASL_REFUSED;
	}
	return SASL_READY;
}

/* The first message: on the command's own line (RFC 5034, "=" is empty) or asked for. */
SUSPENDS static enum sasl_step first_message(struct session *session,
					     struct bytes initial, const char *challenge,
					     struct buffer *out, enum next *next)
{
	if (initial.len == 0) {
		return ask(session, challenge, out, next);
	}
	if (bytes_equal(initial, bytes_of("=")) || base64_decode(initial, out)) {
		return SASL_READY;
	}
	*next = reply_mistake(session, "that is not base64");
	return SASL_REFUSED;
}

SUSPENDS static enum next
auth_message(struct session *session, enum sasl_mechanism mechanism, struct bytes initial)
{
	struct buffer message;
	struct sasl_identity identity;
	enum next next = NEXT_CLOSE;

	buffer_init(&message, MESSAGE_MAX);
	if (first_message(session, initial, "", &message, &next) == SASL_READY) {
		if (sasl_decode(mechanism, &message, &identity)) {
			set_user(session, identity.user);
			trace_auth(session, mechanism);
			next = sign_in(session, mechanism, identity.user,
				       identity.secret);
		} else {
			next = sign_in_malformed(session);
		}
	}
	memory_wipe(message.data, message.size);
	buffer_release(&message);
	return next;
}

/* AUTH LOGIN: the name, then the password, each asked for. */
SUSPENDS static enum next auth_login(struct session *session, struct bytes initial)
{
	struct buffer user;
	struct buffer password;
	enum next next = NEXT_CLOSE;

	buffer_init(&user, NAME_MAX_OCTETS);
	buffer_init(&password, MESSAGE_MAX);
	if (first_message(session, initial, "VXNlcm5hbWU6", &user, &next) == SASL_READY &&
	    ask(session, "UGFzc3dvcmQ6", &password, &next) == SASL_READY) {
		set_user(session, buffer_bytes(&user));
		trace_auth(session, SASL_LOGIN);
		next = sign_in(session, SASL_LOGIN, buffer_bytes(&user),
			       buffer_bytes(&password));
	}
	memory_wipe(password.data, password.size);
	buffer_release(&password);
	buffer_release(&user);
	return next;
}

SUSPENDS static enum next do_auth(struct session *session, struct bytes arguments)
{
	enum sasl_mechanism mechanism;
	enum next next;

	if (arguments.len == 0) {
		return list_mechanisms(session);
	}
	if (!may_sign_in(session, &next)) {
		return next;
	}
	if (!sasl_mechanism_parse(bytes_take_word(&arguments), &mechanism)) {
		return reply_mistake(session, "unknown mechanism");
	}
	session->user_given = false;
	if (mechanism == SASL_LOGIN) {
		return auth_login(session, arguments);
	}
	return auth_message(session, mechanism, arguments);
}

/* RFC 1939 section 7: only where the greeting had a stamp. */
SUSPENDS static enum next do_apop(struct session *session, struct bytes arguments)
{
	const struct bytes name = bytes_take_word(&arguments);
	enum next next;

	if (session->stamp[0] == '\0') {
		return reply_mistake(session, "APOP is not available here");
	}
	if (name.len == 0 || name.len > NAME_MAX_OCTETS || arguments.len == 0) {
		return reply_mistake(session, "a name and a digest are needed");
	}
	if (!may_sign_in(session, &next)) {
		return next;
	}
	session->user_given = false;
	set_user(session, name);
	return sign_in_by_digest(session, buffer_bytes(&session->user), arguments);
}

SUSPENDS static enum next do_quit(struct session *session)
{
	session->end = SESSION_QUIT_EARLY;
	reply_ok(session, "goodbye");
	return NEXT_CLOSE;
}

SUSPENDS static enum next obey(struct session *session,
			       const struct pop3_command *command)
{
	switch (command->verb) {
	case POP3_AUTH:
		return do_auth(session, command->text);
	case POP3_CAPA:
		return reply_capabilities(session);
	case POP3_PASS:
		return do_pass(session, command->text);
	case POP3_QUIT:
		return do_quit(session);
	case POP3_STLS:
		return do_stls(session);
	case POP3_USER:
		return do_user(session, command->text);
	case POP3_APOP:
		return do_apop(session, command->text);
	case POP3_DELE:
	case POP3_LIST:
	case POP3_NOOP:
	case POP3_RETR:
	case POP3_RSET:
	case POP3_STAT:
	case POP3_TOP:
	case POP3_UIDL:
		break; // refused by the parser in this state
	}
	return NEXT_CLOSE;
}

/* A browser, or a page that makes one talk to us (ALPACA): never answered. */
static bool is_http(struct bytes line)
{
	const struct bytes verb = bytes_take_word(&line);

	return bytes_is_keyword(verb, "GET") || bytes_is_keyword(verb, "POST") ||
	       bytes_is_keyword(verb, "HEAD") || bytes_is_keyword(verb, "PUT") ||
	       bytes_is_keyword(verb, "OPTIONS") || bytes_is_keyword(verb, "CONNECT");
}

/* Something else than a mail client, or one that somebody else makes speak (ALPACA). */
SUSPENDS static enum next refuse_unknown(struct session *session)
{
	const enum next next = reply_mistake(session, "unknown command");

	if (next == NEXT_COMMAND && ++session->unknown_commands == UNKNOWN_MAX) {
		session->end = SESSION_ERRORS;
		return NEXT_CLOSE;
	}
	return next;
}

SUSPENDS static enum next answer(struct session *session, struct bytes line)
{
	struct pop3_command command;

	if (is_http(line)) {
		session->end = SESSION_ERRORS;
		return NEXT_CLOSE;
	}
	switch (pop3_command_parse(line, POP3_AUTHORIZATION, &command)) {
	case POP3_PARSE_OK:
		break;
	case POP3_PARSE_UNKNOWN:
		return refuse_unknown(session);
	case POP3_PARSE_WRONG_STATE:
		return reply_mistake(session, "sign in first");
	case POP3_PARSE_BAD_ARGUMENT:
		return reply_mistake(session, "bad or missing argument");
	}
	trace_verb(session, command.verb);
	return obey(session, &command);
}

SUSPENDS enum next authorization(struct session *session)
{
	enum next next = NEXT_COMMAND;
	struct bytes line;

	while (next == NEXT_COMMAND) {
		switch (session_read_line(session, &line)) {
		case SESSION_LINE_READY:
			next = line.len > COMMAND_LINE_MAX &&
					       !bytes_has_prefix(line, "AUTH ")
				       ? session_refuse_long_line(session)
				       : answer(session, line);
			memory_wipe(session->long_line, SASL_LINE_MAX);
			break;
		case SESSION_LINE_REFUSED:
			break;
		case SESSION_LINE_NONE:
			next = NEXT_CLOSE;
			break;
		}
	}
	return next;
}
