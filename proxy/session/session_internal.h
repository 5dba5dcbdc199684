/*
 * What the files of a session share. Nobody else includes this.
 *
 * session.c        life, reading lines, the log line at the end
 * admission.c      who may come in, and who has to go when it gets crowded
 * proxy.c          the PROXY header in front of everything
 * tls.c            TLS with the client, and who may do without
 * authorization.c  AUTHORIZATION: until somebody is signed in
 * sign_in.c        a credential on its way upstream
 * transaction.c    TRANSACTION: a verb, a function
 * update.c         UPDATE: what QUIT does
 * report.c         what the log says of a session
 * reply.c          answers; the one switch from failure kinds to response codes
 */
#ifndef PROXY_SESSION_SESSION_INTERNAL_H
#define PROXY_SESSION_SESSION_INTERNAL_H

#include "protocol/pop3_command.h"
#include "protocol/pop3_line.h"
#include "proxy/base/census.h"
#include "proxy/base/metrics.h"
#include "proxy/mailbox/maildrop.h"
#include "proxy/session/session.h"

#define COMMAND_LINE_MAX 512      // RFC 2449 says 255
#define SASL_LINE_MAX (16 * 1024) // bearer tokens
#define NAME_MAX_OCTETS 1024      // a user name, in its widest form
#define APOP_STAMP_MAX 64
#define ERRORS_MAX 25
#define LONG_LINES_MAX 3

/* What a session is counted by. */
enum admission_count {
	ADMISSION_ALL,
	ADMISSION_BLOCK, // IPv4 address, or /64 of IPv6
	ADMISSION_WIDE,  // /48 of IPv6
	ADMISSION_ACCOUNT,
	ADMISSION_COUNTS
};

/* What a verb's function says about what happens next. */
enum next {
	NEXT_COMMAND, // read another one
	NEXT_STATE,   // this state is over: AUTHORIZATION or TRANSACTION is done
	NEXT_CLOSE,   // hang up; session.end says why
};

struct session {
	struct session *next;  // in service->sessions
	struct session **link; // what points to this one there
	TAILQ_ENTRY(session) newcomer;
	bool is_newcomer; // linked by it
	struct service *service;
	const struct config_listener *listener;
	struct stream *client; // owned
	struct task *task;
	char id[17];                     // random: in log lines, and forwarded upstream
	char peer[ADDRESS_TEXT_MAX + 4]; // as log.addresses has it
	bool peer_hidden; // the balancer could not name the client: peer is itself
	uint64_t started_ms;
	uint64_t sign_in_deadline_ms; // the client's part
	struct pop3_line line;
	char *long_line; // owned: 16 KiB, in AUTHORIZATION
	char command_line[COMMAND_LINE_MAX];
	struct buffer user;         // the POP3 user name, from USER or SASL
	char stamp[APOP_STAMP_MAX]; // of the greeting (RFC 1939 section 7); "": no APOP
	bool user_given;            // by USER, PASS may follow
	unsigned errors;
	unsigned unknown_commands; // before sign-in
	unsigned long_lines;
	enum metrics_state state;
	bool signed_in;
	bool committing; // must not be cancelled
	bool in_answer;  // a listing or message is begun, not ended: hang up hard
	bool kicked;     // by an operator: cancelled, unless it was committing
	bool dropped;    // cancelled to make room for others
	struct census_place *counted[ADMISSION_COUNTS]; // NULL: not there
	struct maildrop maildrop;
	uint64_t hash_at_start;
	uint64_t retrieved; // messages
	uint64_t retrieved_octets;
	uint64_t removed; // messages, proven
	uint64_t removed_octets;
	enum session_end end;
};

/* session.c */

enum session_line {
	SESSION_LINE_READY,
	SESSION_LINE_REFUSED, // too long or with control octets: -ERR was answered
	SESSION_LINE_NONE,    // hang up; session.end says why
};

/* The next line, its end taken off. Flushes the answers before it waits. */
SUSPENDS enum session_line session_read_line(struct session *session, struct bytes *text);

/* A protocol error was answered. NEXT_CLOSE once there are too many. */
SUSPENDS enum next session_count_error(struct session *session, enum next next);

/* Too long a line, answered. NEXT_CLOSE the third time. */
SUSPENDS enum next session_refuse_long_line(struct session *session);

/* The client's stream failed: sets the end. Returns NEXT_CLOSE. */
enum next session_client_failed(struct session *session, const struct failure *failure);

/* Does its address stand for many people (shared-addresses, an unnamed PROXY client)? */
bool session_is_from_many(const struct session *session);

uint64_t session_write_deadline_ms(const struct session *session);

/* reply.c */

SUSPENDS enum next reply_ok(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The client's own mistake: counted. */
SUSPENDS enum next reply_mistake(struct session *session, const char *text);
/* -ERR [CODE] ... (ref 7F3A9C), and the log line that the reference finds. */
SUSPENDS enum next reply_failure(struct session *session, const struct failure *failure);
/* The same with words of its own in front of the reference, code included. */
SUSPENDS enum next reply_refusal(struct session *session, const char *answer,
				 const struct failure *failure);
/* A message that is gone: no fault of anybody's, with a reference. */
SUSPENDS enum next reply_gone(struct session *session, uint32_t msgno);
/* One line of a listing, CR LF included. */
SUSPENDS enum next reply_text(struct session *session, struct bytes text);
SUSPENDS enum next reply_format(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
SUSPENDS enum next reply_end(struct session *session); // "."
SUSPENDS enum next reply_capabilities(struct session *session);

/*
 * proxy.c: on a listener with proxy-from, the balancer's header; the client it names is
 * the peer from then on. False: hang up; session.end says why.
 */
SUSPENDS bool proxy_receive(struct session *session);

/* report.c */

/* Its address, anew: the stream's peer. */
void report_peer(struct session *session);

/*
 * A line about this session, with its id and peer. False: not wanted, or the peer has
 * filled enough: then write no fields and do not end.
 */
bool report_begin(const struct session *session, struct log_line *line,
		  enum log_level level, const char *event);
/* A whole line: cause and advice. */
void report_failure(const struct session *session, enum log_level level,
		    const char *event, const struct failure *failure);

/* Is the user one of log.trace? */
bool report_is_traced(const struct session *session);
/* One line of a traced dialogue; nothing for anybody else. Never a secret. */
void report_trace(const struct session *session, const char *side, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));

/* tls.c */

/* May a password be sent on this connection? */
bool session_allows_password(const struct session *session);

/* How the client came. What this very host says crosses no network: as good as the
 * newest. */
enum keeper_tls tls_of(const struct session *session);

/* TLS from here on. False: hang up; session.end says why, and the log in plain words. */
SUSPENDS bool tls_start(struct session *session);

/* The client broke its TLS in mid-session: logged, sets the end. Returns NEXT_CLOSE. */
enum next tls_broken(struct session *session, const struct failure *failure);

/* True: the client begins with TLS where it must not; as after false above. */
bool tls_is_begun_too_early(struct session *session, struct bytes input);

/* admission.c */

/* It exists: counted in all. Before anything else. */
void admission_enter(struct session *session);

/* Once the peer is known. False: turned away, and told so where that is possible. */
SUSPENDS bool admission_admit(struct session *session);

/* Signed in. FAILURE_IN_USE: too many sessions of that account. */
bool admission_sign_in(struct session *session, struct failure *failure);

/* A last word to who was dropped, where nothing is half said. */
void admission_say_goodbye(struct session *session);

/* It is over. */
void admission_leave(struct session *session);

/* authorization.c, transaction.c, update.c */

SUSPENDS enum next authorization(struct session *session);
SUSPENDS enum next transaction(struct session *session);
SUSPENDS void update(struct session *session);

/* sign_in.c: upstream. NEXT_STATE: signed in, answered +OK. */
SUSPENDS enum next sign_in(struct session *session, enum sasl_mechanism mechanism,
			   struct bytes user, struct bytes secret);

/* The same with APOP: digest is over the greeting's stamp and the password. */
SUSPENDS enum next sign_in_by_digest(struct session *session, struct bytes user,
				     struct bytes digest);

/*
 * A SASL message that is none, or asks to act as somebody else (RFC 4616): refused like a
 * wrong password.
 */
SUSPENDS enum next sign_in_malformed(struct session *session);

#endif
