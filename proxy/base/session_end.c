#include "proxy/base/session_end.h"

static const char *const names[SESSION_ENDS] = {
	[SESSION_QUIT] = "quit",
	[SESSION_QUIT_UNCOMMITTED] = "quit, deletions not proven",
	[SESSION_QUIT_EARLY] = "quit before sign-in",
	[SESSION_CLIENT_GONE] = "client gone",
	[SESSION_IDLE] = "idle",
	[SESSION_WRITE_STALL] = "the client reads nothing",
	[SESSION_SIGN_IN_TIMEOUT] = "sign-in took too long",
	[SESSION_ERRORS] = "too many errors",
	[SESSION_INJECTION] = "commands before TLS",
	[SESSION_TLS_FAILED] = "TLS failed",
	[SESSION_PROXY_REFUSED] = "PROXY header refused",
	[SESSION_UPSTREAM] = "upstream lost",
	[SESSION_TRUNCATED] = "message broke off",
	[SESSION_CANCELLED] = "shutdown",
	[SESSION_TAKEN_OVER] = "taken over",
	[SESSION_REFUSED] = "too many sessions",
	[SESSION_TOO_FAST] = "too many connections",
	[SESSION_DROPPED] = "made room for others",
	[SESSION_KICKED] = "ended by an operator",
};

const char *session_end_name(enum session_end end)
{
	return names[end];
}
