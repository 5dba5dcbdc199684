/*
 * Why something did not work: written by the function that fails, on the caller's
 * stack, only on failure. The kind means an action, the text is for the log and never
 * goes to the peer.
 */
#ifndef PROXY_BASE_FAILURE_H
#define PROXY_BASE_FAILURE_H

#include <stdbool.h>

enum failure_kind {
	FAILURE_AUTH,      // the credential is wrong                  -> [AUTH]
	FAILURE_TEMPORARY, // may work later                           -> [SYS/TEMP]
	FAILURE_PERMANENT, // somebody has to change something         -> [SYS/PERM]
	FAILURE_IN_USE,    // the maildrop is locked                   -> [IN-USE]
	FAILURE_TIMEOUT,   // a deadline passed                        -> [SYS/TEMP]
	FAILURE_CANCELLED, // the task was told to end                 -> [SYS/TEMP]
	FAILURE_PEER_GONE, // the other side of this stream is gone    -> [SYS/TEMP]
	FAILURE_PROTOCOL,  // the other side broke its protocol        -> [SYS/TEMP]
	FAILURE_TOO_SOON,  // the account's last sign-in was just now  -> [LOGIN-DELAY]
};
#define FAILURE_KINDS (FAILURE_TOO_SOON + 1)

struct failure {
	enum failure_kind kind;
	const char *advice; // static: what to do about it; NULL: nothing to say
	char text[320];     // plain words; may quote the peer, so only for the log
};

/* Fills *failure (NULL is fine), clears the advice and returns false, for `return
 * failure_set(...)`. */
bool failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "words: " in front of the text. Returns false. */
bool failure_prefix(struct failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Sets the advice, a static sentence. Returns false. */
bool failure_advise(struct failure *failure, const char *advice);

/* "temporary" ...: for the log. */
const char *failure_kind_name(enum failure_kind kind);

#endif
