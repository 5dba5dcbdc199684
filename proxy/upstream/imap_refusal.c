/*
 * Which refusal means what: only a tagged NO that means it is a wrong password.
 */
#include "proxy/upstream/imap_internal.h"

#include <string.h>
#include <strings.h>

/* Words by which servers without RFC 5530's codes say "not now". */
bool imap_says_not_now(const char *text)
{
	static const char *const words[] = {
		"try again",      "temporar",   "throttl",  "too many",
		"unavailable",    "rate limit", "overload", "not connected",
		"internal error", "timed out",  "maximum",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasestr(text, words[i])) {
			return true;
		}
	}
	return false;
}

/* What the code alone decides; FAILURE_AUTH stands for "nothing". */
static enum failure_kind code_kind(enum imap_wire_code code)
{
	switch (code) {
	case IMAP_WIRE_CODE_AUTHORIZATIONFAILED:
	case IMAP_WIRE_CODE_CANNOT:
	case IMAP_WIRE_CODE_CONTACTADMIN:
	case IMAP_WIRE_CODE_EXPIRED:
	case IMAP_WIRE_CODE_NONEXISTENT:
	case IMAP_WIRE_CODE_NOPERM:
	case IMAP_WIRE_CODE_PRIVACYREQUIRED:
	case IMAP_WIRE_CODE_REFERRAL:
		return FAILURE_PERMANENT;
	case IMAP_WIRE_CODE_CLIENTBUG:
	case IMAP_WIRE_CODE_INUSE:
	case IMAP_WIRE_CODE_LIMIT:
	case IMAP_WIRE_CODE_MESSAGELIMIT:
	case IMAP_WIRE_CODE_OVERQUOTA:
	case IMAP_WIRE_CODE_SERVERBUG:
	case IMAP_WIRE_CODE_THROTTLED:
	case IMAP_WIRE_CODE_UNAVAILABLE:
		return FAILURE_TEMPORARY;
	case IMAP_WIRE_CODE_ALERT:
	case IMAP_WIRE_CODE_AUTHENTICATIONFAILED:
	case IMAP_WIRE_CODE_CAPABILITY:
	case IMAP_WIRE_CODE_CLOSED:
	case IMAP_WIRE_CODE_EXPUNGEISSUED:
	case IMAP_WIRE_CODE_HIGHESTMODSEQ:
	case IMAP_WIRE_CODE_NOMODSEQ:
	case IMAP_WIRE_CODE_NONE:
	case IMAP_WIRE_CODE_OTHER:
	case IMAP_WIRE_CODE_PERMANENTFLAGS:
	case IMAP_WIRE_CODE_READ_ONLY:
	case IMAP_WIRE_CODE_READ_WRITE:
	case IMAP_WIRE_CODE_UIDNEXT:
	case IMAP_WIRE_CODE_UIDNOTSTICKY:
	case IMAP_WIRE_CODE_UIDVALIDITY:
		return FAILURE_AUTH;
	}
	return FAILURE_AUTH;
}

/* Only a NO that means it is a wrong password (RFC 3206): else clients ask their user. */
enum failure_kind imap_refusal_kind(const struct imap_answer *answer)
{
	const enum failure_kind kind = code_kind(answer->code);

	if (kind != FAILURE_AUTH) {
		return kind;
	}
	if (answer->condition != IMAP_WIRE_NO) {
		return FAILURE_TEMPORARY;
	}
	if (answer->code != IMAP_WIRE_CODE_AUTHENTICATIONFAILED &&
	    imap_says_not_now(answer->text)) {
		return FAILURE_TEMPORARY;
	}
	return FAILURE_AUTH;
}

enum failure_kind imap_select_refusal_kind(const struct imap_answer *answer,
					   const char *folder)
{
	const enum failure_kind kind = code_kind(answer->code);

	if (kind != FAILURE_AUTH) {
		return kind;
	}
	if (answer->condition == IMAP_WIRE_NO && strcasecmp(folder, "INBOX") != 0 &&
	    !imap_says_not_now(answer->text)) {
		return FAILURE_PERMANENT;
	}
	return FAILURE_TEMPORARY;
}
