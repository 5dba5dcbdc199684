/*
 * The one reason a session ended: log field and metric label.
 */
#ifndef PROXY_BASE_SESSION_END_H
#define PROXY_BASE_SESSION_END_H

enum session_end {
	SESSION_QUIT,             // in TRANSACTION, UPDATE done
	SESSION_QUIT_UNCOMMITTED, // QUIT answered -ERR
	SESSION_QUIT_EARLY,       // in AUTHORIZATION
	SESSION_CLIENT_GONE,
	SESSION_IDLE,
	SESSION_WRITE_STALL,
	SESSION_SIGN_IN_TIMEOUT,
	SESSION_ERRORS, // too many
	SESSION_INJECTION,
	SESSION_TLS_FAILED,
	SESSION_PROXY_REFUSED, // no PROXY header where one must be, or not from there
	SESSION_UPSTREAM,      // lost, and nothing honest could be answered
	SESSION_TRUNCATED,     // a message broke off: reset
	SESSION_CANCELLED,     // shutdown
	SESSION_TAKEN_OVER,    // by another session of the same account
	SESSION_REFUSED,       // too many sessions
	SESSION_TOO_FAST,      // too many connections in too little time
	SESSION_DROPPED,       // not signed in for long, and the room was needed
	SESSION_KICKED,        // by an operator
};
#define SESSION_ENDS (SESSION_KICKED + 1)

/* "client gone": never NULL. */
const char *session_end_name(enum session_end end);

#endif
