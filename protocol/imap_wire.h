/*
 * The tokenizer and guard of what an IMAP server sends (RFC 9051, 3501, 4731, 7162).
 *
 * Pure and incremental: fed whatever TLS delivers, at any chunking, pulled for events.
 * Everything from the server is hostile until it has passed here. No response reaches
 * libetpan as the server wrote it: libetpan reads only `relay`, a line this module
 * composes anew from the tag and the condition. FETCH becomes events of its own.
 *
 * One struct per upstream connection. No allocation but one line buffer with a maximum.
 *
 * The events of an input are the same however it was cut; only BODY_BYTES come in other
 * slices. Every BODY_BEGINS has its BODY_ENDS, a NIL and an empty body too. A FETCH,
 * SEARCH or VANISHED nobody expects has its events all the same: the reader drops them.
 * ESEARCH's ALL without UID is a violation: its numbers would not be UIDs.
 *
 * A client that composes with libetpan: while mailimap_continue_req_parse() waits for a
 * "+", any other relay line makes it answer PARSE; mailimap_parse_response() then takes
 * that same line.
 */
#ifndef PROTOCOL_IMAP_WIRE_H
#define PROTOCOL_IMAP_WIRE_H

#include "protocol/buffer.h"
#include "protocol/imap_set.h"

enum imap_wire_kind {
	IMAP_WIRE_NEED_INPUT,    // all input taken, feed more
	IMAP_WIRE_STATUS,        // OK NO BAD PREAUTH BYE; tagged where tag.len > 0
	IMAP_WIRE_CONTINUE,      // "+": text; relay
	IMAP_WIRE_CAPABILITY,    // text: the words of "* CAPABILITY"
	IMAP_WIRE_ENABLED,       // text: the words of "* ENABLED"
	IMAP_WIRE_EXISTS,        // number: messages in the mailbox
	IMAP_WIRE_EXPUNGE,       // number: sequence number
	IMAP_WIRE_SEARCH_BEGINS, // a SEARCH or ESEARCH answer; tag: ESEARCH's correlator
	IMAP_WIRE_FOUND,         // range: some of what SEARCH or ESEARCH (ALL) found
	IMAP_WIRE_SEARCH_ENDS,
	IMAP_WIRE_VANISHED,     // range; number: 1 for VANISHED (EARLIER); no end event
	IMAP_WIRE_FETCH_BEGINS, // number: sequence number
	IMAP_WIRE_UID,          // number: 1 to 2^32-1
	IMAP_WIRE_SIZE,         // number: RFC822.SIZE, 64 bits
	IMAP_WIRE_MODSEQ,       // number
	IMAP_WIRE_GM_MSGID,     // number: X-GM-MSGID
	IMAP_WIRE_EMAILID,      // text: RFC 8474 objectid; empty for NIL
	IMAP_WIRE_BODY_BEGINS,  // BODY[] or BODY[]<origin>; number: announced octets; nil
	IMAP_WIRE_BODY_BYTES,   // text: a slice of the input (or the line), not a copy
	IMAP_WIRE_BODY_ENDS,
	IMAP_WIRE_FETCH_ENDS,
	IMAP_WIRE_VIOLATION, // why: what was broken; every later call says so again
};

enum imap_wire_condition {
	IMAP_WIRE_OK,
	IMAP_WIRE_NO,
	IMAP_WIRE_BAD,
	IMAP_WIRE_PREAUTH,
	IMAP_WIRE_BYE,
};

/* Response codes that mean an action here (RFC 9051 7.1, 5530, 4315, 7162, 9738). */
enum imap_wire_code {
	IMAP_WIRE_CODE_NONE,
	IMAP_WIRE_CODE_OTHER,
	IMAP_WIRE_CODE_ALERT,
	IMAP_WIRE_CODE_AUTHENTICATIONFAILED,
	IMAP_WIRE_CODE_AUTHORIZATIONFAILED,
	IMAP_WIRE_CODE_CANNOT,
	IMAP_WIRE_CODE_CAPABILITY, // code_text: the words
	IMAP_WIRE_CODE_CLIENTBUG,
	IMAP_WIRE_CODE_CLOSED,
	IMAP_WIRE_CODE_CONTACTADMIN,
	IMAP_WIRE_CODE_EXPIRED,
	IMAP_WIRE_CODE_EXPUNGEISSUED,
	IMAP_WIRE_CODE_HIGHESTMODSEQ, // number
	IMAP_WIRE_CODE_INUSE,
	IMAP_WIRE_CODE_LIMIT,
	IMAP_WIRE_CODE_MESSAGELIMIT, // number
	IMAP_WIRE_CODE_NOMODSEQ,
	IMAP_WIRE_CODE_NONEXISTENT,
	IMAP_WIRE_CODE_NOPERM,
	IMAP_WIRE_CODE_OVERQUOTA,
	IMAP_WIRE_CODE_PERMANENTFLAGS, // number: 1 where \Deleted is in the list
	IMAP_WIRE_CODE_PRIVACYREQUIRED,
	IMAP_WIRE_CODE_READ_ONLY,
	IMAP_WIRE_CODE_READ_WRITE,
	IMAP_WIRE_CODE_REFERRAL,
	IMAP_WIRE_CODE_SERVERBUG,
	IMAP_WIRE_CODE_THROTTLED, // Gmail
	IMAP_WIRE_CODE_UIDNEXT,   // number: 1 to 2^32-1
	IMAP_WIRE_CODE_UIDNOTSTICKY,
	IMAP_WIRE_CODE_UIDVALIDITY, // number: 1 to 2^32-1
	IMAP_WIRE_CODE_UNAVAILABLE,
};

struct imap_wire_event {
	enum imap_wire_kind kind;
	enum imap_wire_condition condition; // STATUS
	enum imap_wire_code code;           // STATUS
	bool nil;                           // BODY_BEGINS: NIL, the message is gone
	bool partial;                       // BODY_BEGINS: the answer names an origin
	uint64_t number;                    // as said above
	uint64_t origin;                    // BODY_BEGINS: BODY[]<origin>
	struct imap_range range;            // FOUND, VANISHED
	struct bytes tag;                   // tagged STATUS, SEARCH_BEGINS
	struct bytes code_text;             // STATUS: the code's arguments, as sent
	struct bytes text;                  // human text or payload, as sent: untrusted
	struct bytes relay;                 // the line for libetpan; empty: not for it
	const char *why;                    // VIOLATION: a static sentence
};

/* All slices of an event live until the next call, or until the input moves. */

/*
 * A limit of 0 means the default below. For tests, where line must be 24 or more: the
 * kind of a line has to be seen within it.
 */
struct imap_wire_limits {
	size_t line;          // 64 KiB: a response without its literals
	size_t list_line;     // 1 MiB: FLAGS, PERMANENTFLAGS, ESEARCH, VANISHED
	uint64_t search;      // 64 MiB: a SEARCH line, which is streamed number by number
	size_t quoted;        // 8 KiB
	unsigned nesting;     // 24 parentheses
	size_t literal;       // 64 KiB: a literal that is no body
	unsigned unsolicited; // 10,000 responses nobody asked for, per command
	size_t octets;        // 2 MiB: what one command may get besides FETCH and SEARCH
};

/* What the command under way asked for: does not count as unsolicited. Bit flags. */
enum imap_wire_expect {
	IMAP_WIRE_EXPECT_NOTHING = 0,
	IMAP_WIRE_EXPECT_FETCH = 1 << 0,
	IMAP_WIRE_EXPECT_SEARCH = 1 << 1,
	IMAP_WIRE_EXPECT_VANISHED = 1 << 2, // and EXPUNGE
};

/* Where in a response the wire is. */
enum imap_wire_state {
	IMAP_WIRE_AT_START,       // the next octet begins a response
	IMAP_WIRE_IN_SEARCH,      // numbers, as they come
	IMAP_WIRE_IN_SEARCH_CR,   // its line end has begun
	IMAP_WIRE_IN_SEARCH_TAIL, // "(MODSEQ n)"
	IMAP_WIRE_AT_SEARCH_END,  // all but the event
	IMAP_WIRE_IN_ESEARCH,
	IMAP_WIRE_IN_VANISHED,
	IMAP_WIRE_IN_FETCH_FIRST, // behind "(": an item or ")"
	IMAP_WIRE_IN_FETCH,       // behind an item: a space or ")"
	IMAP_WIRE_IN_NAME,        // of an item that is skipped, its section included
	IMAP_WIRE_IN_VALUE,       // likewise
	IMAP_WIRE_IN_QUOTED_BODY,
	IMAP_WIRE_IN_BODY,
	IMAP_WIRE_IN_UNKNOWN, // a response that is consumed silently
	IMAP_WIRE_IN_LITERAL, // one that is skipped
};

/* Where the current line is. */
enum imap_wire_source {
	IMAP_WIRE_LINE_NONE,
	IMAP_WIRE_LINE_PARTIAL,   // its beginning in the buffer, its end not here yet
	IMAP_WIRE_LINE_IN_INPUT,  // whole, at the front of the input
	IMAP_WIRE_LINE_IN_BUFFER, // whole, copied
};

/* The fields are the module's own. */
struct imap_wire {
	struct imap_wire_limits limits;
	const char *violation;
	unsigned expect;
	unsigned unsolicited; // since imap_wire_begin_command()
	size_t octets;        // likewise

	struct buffer line; // the current line, where it spans inputs
	enum imap_wire_source source;
	size_t at;     // LINE_IN_BUFFER: taken so far
	size_t left;   // not yet taken of the current line, its end excluded
	size_t ending; // octets of its end
	size_t used;   // octets of this response's lines so far

	enum imap_wire_state state;
	enum imap_wire_state resume; // after the literal that is skipped
	bool charged;                // this response counts against the octets
	unsigned depth;              // parentheses open
	uint64_t literal_left;
	uint64_t streamed; // octets of the SEARCH line so far
	uint64_t streamed_max;
	size_t set_left; // ESEARCH: octets of the set that is being walked
	uint64_t number; // SEARCH: digits so far; ESEARCH: UID seen; VANISHED: EARLIER
	char relay[64];
};

/* limits: NULL for the defaults. */
void imap_wire_init(struct imap_wire *wire, const struct imap_wire_limits *limits);
void imap_wire_release(struct imap_wire *wire);

/* A command is about to be sent: the counts start again. expect: imap_wire_expect flags.
 */
void imap_wire_begin_command(struct imap_wire *wire, unsigned expect);

/*
 * The next event of *input, which is advanced past what was taken. What was not taken
 * must be there again at the next call, at the front, wherever it moved. After
 * IMAP_WIRE_NEED_INPUT *input is empty. Tags of digits only are libetpan's and get a
 * relay line; others are our own.
 */
void imap_wire_next(struct imap_wire *wire, struct bytes *input,
		    struct imap_wire_event *event);

/* Nothing is half read: the place where TLS may start or a connection may be parked. */
bool imap_wire_is_between_responses(const struct imap_wire *wire);

/* Give the line buffer's memory back (idle sessions). Only between responses. */
void imap_wire_trim(struct imap_wire *wire);

/* Upper case name for the log: "AUTHENTICATIONFAILED"; "" for none. */
const char *imap_wire_code_name(enum imap_wire_code code);

#endif
