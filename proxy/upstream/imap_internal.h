/*
 * What the files of the IMAP connection share. Nobody else includes this.
 *
 * imap.c           life, the event pump, our own commands
 * imap_dialogue.c  libetpan: its stream driver and the commands it composes;
 *                  imap_dialogue_sign_in.c what it composes to sign in
 * imap_sign_in.c   from connect to signed in
 * imap_refusal.c   which refusal means what
 * imap_select.c    a folder is opened
 * imap_window.c    what was asked for, several at a time
 * imap_arrival.c   what comes of it
 * imap_spool.c     what has come and is not wanted yet
 * imap_body.c      the one that is wanted
 * imap_fetch.c     rows, searches
 */
#ifndef PROXY_UPSTREAM_IMAP_INTERNAL_H
#define PROXY_UPSTREAM_IMAP_INTERNAL_H

#include "proxy/upstream/allowance.h"
#include "proxy/upstream/imap.h"

/* The last tagged answer. */
struct imap_answer {
	bool given;
	enum imap_wire_condition condition;
	enum imap_wire_code code;
	char text[120]; // as the server wrote it: for the log only
};

/* A SELECT's answers as they come. */
struct imap_selection {
	bool exists_given;
	bool shrank; // EXISTS went down and no EXPUNGE said why
	bool uid_not_sticky;
	uint32_t left; // of the messages counted at SELECT, those not expunged since
	struct imap_mailbox mailbox;
};

/* What imap_window.c sends, several at a time. */
enum imap_request_kind {
	IMAP_REQUEST_FETCH,
	IMAP_REQUEST_SEEN, // UID STORE \Seen
	IMAP_REQUEST_NOOP, // what stands before it is answered before what stands behind
};

enum imap_request_use {
	IMAP_REQUEST_AHEAD,    // somebody may want it
	IMAP_REQUEST_WANTED,   // somebody reads up to it; one at most
	IMAP_REQUEST_UNWANTED, // nobody does any more
};

enum imap_request_body {
	IMAP_REQUEST_SENT,    // nothing has come
	IMAP_REQUEST_COMING,  // it has begun
	IMAP_REQUEST_GIVEN,   // whole, to the reader
	IMAP_REQUEST_SPOOLED, // whole, in the spool
	IMAP_REQUEST_DROPPED, // it came, and was not kept
};

struct imap_request {
	enum imap_request_kind kind;
	enum imap_request_use use;
	enum imap_request_body body;
	bool answered; // its tag came
	bool early;    // its body came before that of one asked for before it
	unsigned tag_number;
	uint32_t spool_at, spool_size; // its place in the spool
	uint32_t spool_octets;         // there, and not taken
	struct imap_part part;
};

#define IMAP_ANSWERS_LATE_MAX 7
#define IMAP_WINDOW_REQUESTS_MAX (2 * IMAP_REQUESTS_MAX) // with those that are no FETCH
#define IMAP_SPOOL_OCTETS_MAX (256 * 1024)

/* What was asked for, in the order it was sent, until it is answered and given out. */
struct imap_window {
	struct imap_request *requests; // owned, IMAP_WINDOW_REQUESTS_MAX; NULL: empty
	uint32_t count;
	uint32_t bodies; // requests for one
	uint32_t unanswered;
	uint64_t octets; // announced for those
	uint32_t coming; // index of the body that is under way
	char *spool;     // owned, IMAP_SPOOL_OCTETS_MAX; NULL: nothing was asked ahead
	uint32_t spool_used;
	unsigned oddities; // bodies that could not be believed, less those forgiven
	unsigned good;     // and those that could
	bool one_at_a_time;
};

/* The FETCH response under way, and the body in it that was asked for. */
struct imap_reading {
	uint32_t imap_uid;  // as this FETCH response says; 0: not yet
	bool uids_differ;   // it said two
	bool open;          // between body begins and body ends
	bool from_spool;    // what the reader gets
	uint64_t announced; // octets of the body
	uint64_t waited_ms; // since window start, only while we were reading
	uint64_t window_octets;
};

struct imap {
	struct upstream *upstream;
	struct stream *stream; // owned
	struct allowance allowance;
	struct allowance_place place;
	uint64_t taken_octets; // of the day's, by the allowance
	struct imap_wire wire;
	size_t taken;                   // input octets the wire has taken, to be consumed
	struct imap_dialogue *dialogue; // libetpan's objects; NULL while at rest
	int dialogue_state; // libetpan's state and tag, to make its objects anew
	int dialogue_tag;
	bool lost;
	bool capabilities_given; // since the last command or handshake
	unsigned capabilities;
	uint64_t deadline_ms; // of the command under way
	uint64_t ceiling_ms;  // no command's deadline is later (imap_set_ceiling)
	uint64_t last_heard_ms;
	struct failure *failure; // where the pump reports while libetpan is on the stack
	char tag[20];            // of our own command under way
	char aside_tag[20];      // of a command whose answer does not matter; "": none
	bool aside_sent;         // it has left our buffer
	bool leaving;            // it is UNSELECT, and its answer does matter
	unsigned tag_number;
	char tag_secret[9]; // so that nobody can answer in advance
	struct imap_answer answer;
	struct imap_selection selection;
	struct imap_window window;
	struct imap_reading reading;
	bool search_answered;
	bool search_silent; // the last one: OK, and nothing else
	uint64_t rows_left; // how many more a row fetch may give
	char emailid[256];
	char session_id[17]; // whose it is, for the log
	bool traced;         // his dialogue is logged
};

/* imap.c */

/*
 * The next event, bookkeeping done (EXISTS, EXPUNGE, codes, capabilities). BYE, a
 * violation, a lost stream or a passed deadline are failures, and the end.
 */
SUSPENDS bool imap_event(struct imap *imap, struct imap_wire_event *event,
			 struct failure *failure);

/* Marks the connection lost. Returns false. */
bool imap_lose(struct imap *imap);

/*
 * Send one command of our own, tagged, once everything before it is answered. deadline:
 * the step's limit from now.
 */
SUSPENDS bool imap_send(struct imap *imap, unsigned expect, struct failure *failure,
			const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same before another command, in one write with it: its answer does not matter. */
SUSPENDS bool imap_send_aside(struct imap *imap, struct failure *failure,
			      const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Is this event the answer to imap_send()? Another tag is a failure: *wrong. */
bool imap_is_answer(struct imap *imap, const struct imap_wire_event *event, bool *wrong,
		    struct failure *failure);

/* A command gets ms from now, but never beyond the ceiling. */
void imap_set_deadline(struct imap *imap, uint64_t ms);

/* "what: the server answered NO [CODE] text". Returns false. */
bool imap_refused(const struct imap *imap, enum failure_kind kind, const char *what,
		  struct failure *failure);

/*
 * One line of the log where the session is traced. side: "upstream" for what we send,
 * "server" for what it answers. Never a credential.
 */
void imap_trace(const struct imap *imap, const char *side, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The next tag's number. */
unsigned imap_next_tag(struct imap *imap);

/* imap_window.c */

/* NULL: not asked for, or not to be had any more. */
struct imap_request *imap_window_find(const struct imap *imap,
				      const struct imap_part *part);
struct imap_request *imap_window_wanted(const struct imap *imap);
/* Collected in the stream. */
SUSPENDS bool imap_window_send(struct imap *imap, enum imap_request_kind kind,
			       enum imap_request_use use, const struct imap_part *part,
			       struct failure *failure);
SUSPENDS bool imap_window_flush(struct imap *imap, struct failure *failure);
/* Nobody wants what was asked for before this; NULL: any of it. */
void imap_window_forget(struct imap *imap, const struct imap_request *before);
/* It was given out, or there is nothing to give. */
void imap_window_remove(struct imap *imap, struct imap_request *request);
bool imap_window_is_one_at_a_time(const struct imap *imap);
void imap_window_release(struct imap *imap);

/* imap_arrival.c */

/* What an event meant: a body that was asked for begins (window.coming), a tag came. */
enum imap_news { IMAP_NEWS_NONE, IMAP_NEWS_BODY, IMAP_NEWS_ANSWER, IMAP_NEWS_FAILED };

/* The next event. What nobody wants is dropped, what somebody may want is spooled. */
SUSPENDS enum imap_news imap_window_take(struct imap *imap, struct imap_wire_event *event,
					 struct failure *failure);
/* Everything asked for before it has come, or is answered. */
bool imap_window_is_due(const struct imap *imap, const struct imap_request *request);

/* imap_spool.c */

/* False: there are too many spools already. */
bool imap_spool_make(struct imap_window *window);
void imap_spool_release(struct imap_window *window);
/* Its octets follow. False, and nothing done: there is no room for so many. */
bool imap_spool_begin(struct imap_window *window, struct imap_request *request,
		      uint64_t octets);
void imap_spool_put(struct imap_window *window, struct imap_request *request,
		    struct bytes text);
/* All of it, once; borrowed until something else comes. */
struct bytes imap_spool_take(const struct imap_window *window,
			     struct imap_request *request);
/* It is not wanted any more. */
void imap_spool_drop(struct imap_request *request);

/* imap_dialogue.c */

SUSPENDS bool dialogue_greeting(struct imap *imap, struct failure *failure);
SUSPENDS bool dialogue_starttls(struct imap *imap, struct failure *failure);
/* A command without arguments of the peer's choosing. True: answered (see imap->answer).
 */
SUSPENDS bool dialogue_command(struct imap *imap, const char *command,
			       struct failure *failure);
SUSPENDS bool dialogue_login(struct imap *imap, const struct imap_credential *credential,
			     struct failure *failure);
/*
 * AUTHENTICATE: message is the initial response in base64, sent at once where inline_,
 * else when asked. A second challenge is an error report: closing_ is sent for it.
 */
SUSPENDS bool dialogue_authenticate(struct imap *imap, const char *mechanism,
				    const char *message, bool inline_,
				    const char *closing, struct failure *failure);
SUSPENDS bool dialogue_select(struct imap *imap, const char *folder,
			      struct failure *failure);
SUSPENDS bool dialogue_store(struct imap *imap, struct bytes set, enum imap_flag flag,
			     bool add, struct failure *failure);
SUSPENDS bool dialogue_uid_expunge(struct imap *imap, struct bytes set,
				   struct failure *failure);
SUSPENDS bool dialogue_noop(struct imap *imap, struct failure *failure);
SUSPENDS bool dialogue_expunge(struct imap *imap, struct failure *failure);

/* Frees libetpan's objects; the next command makes them anew. */
void dialogue_release(struct imap *imap);

/* imap_sign_in.c */

unsigned imap_capability_parse(struct bytes words);

/* imap_refusal.c */

#define ADVICE_NOT_CONNECTED                                                             \
	"the account was accepted but its mailbox cannot be opened: check that IMAP is " \
	"enabled for the mailbox, that the user name is the mailbox's own (not another " \
	"address), that the permission was granted, and that it is not throttled"

/* Words by which servers without RFC 5530's codes say "not now". */
bool imap_says_not_now(const char *text);
enum failure_kind imap_refusal_kind(const struct imap_answer *answer);
/* After sign-in: what a refused SELECT means. */
enum failure_kind imap_select_refusal_kind(const struct imap_answer *answer,
					   const char *folder);

#endif
