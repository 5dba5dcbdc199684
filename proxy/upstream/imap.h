/*
 * One connection to an IMAP server (RFC 9051, 3501): signed in, one folder selected.
 *
 * The dialogue (sign-in, SELECT, STORE, EXPUNGE, NOOP) is libetpan's, FETCH and SEARCH
 * are our own over protocol/imap_wire. One command at a time, from one task; only those
 * for bodies may be sent ahead, and any other one waits until they are answered.
 *
 * A failure of kind PEER_GONE, TIMEOUT, PROTOCOL or CANCELLED means that the connection
 * is lost: imap_is_lost() is true, and imap_close() is all that may follow. After any
 * other kind the connection goes on.
 */
#ifndef PROXY_UPSTREAM_IMAP_H
#define PROXY_UPSTREAM_IMAP_H

#include "protocol/imap_wire.h"
#include "protocol/sasl.h"
#include "proxy/upstream/upstream.h"

struct imap;

/* Extensions that change what is sent. Bit flags. */
enum imap_capability {
	IMAP_SASL_IR = 1 << 0,
	IMAP_LOGINDISABLED = 1 << 1,
	IMAP_STARTTLS = 1 << 2,
	IMAP_ID = 1 << 3,
	IMAP_UIDPLUS = 1 << 4,
	IMAP_MOVE = 1 << 5,
	IMAP_ESEARCH = 1 << 6,
	IMAP_CONDSTORE = 1 << 7,
	IMAP_ENABLE = 1 << 8,
	IMAP_LITERAL_PLUS = 1 << 9,
	IMAP_X_GM_EXT_1 = 1 << 10,
	IMAP_OBJECTID = 1 << 11,
	IMAP_AUTH_PLAIN = 1 << 12,
	IMAP_AUTH_XOAUTH2 = 1 << 13,
	IMAP_AUTH_OAUTHBEARER = 1 << 14,
	IMAP_UNSELECT = 1 << 15,
	IMAP_COMPRESS_DEFLATE = 1 << 16,
};

/* "SASL-IR UIDPLUS ...": for probe and the log. */
void imap_capability_text(unsigned capabilities, struct buffer *out);

struct imap_credential {
	enum sasl_mechanism mechanism; // PLAIN: a password; XOAUTH2, OAUTHBEARER: a token
	struct bytes user;
	struct bytes secret;
};

/* Who the client is: for the ID command of routes with forward-client. */
struct imap_client {
	const struct address *address;
	const char *session_id;
	bool traced; // what is sent is logged under the session's id, secrets left out
};

/* The steps of opening, for `popbridge probe`. */
enum imap_stage {
	IMAP_STAGE_CONNECT,
	IMAP_STAGE_TLS,
	IMAP_STAGE_GREETING,
	IMAP_STAGE_ID,
	IMAP_STAGE_SIGN_IN,
	IMAP_STAGE_SELECT,
};
#define IMAP_STAGES 6

/* Zeroed is valid. */
struct imap_timing {
	uint64_t ms[IMAP_STAGES];
	enum imap_stage stage; // under way, or where it failed
	uint64_t since_ms;     // of the stage under way; 0: none
	uint32_t metrics;      // where it is counted, too: upstream.metrics
};

/* The next stage begins, the one under way ends. timing NULL is fine. */
void imap_timing_enter(struct imap_timing *timing, enum imap_stage stage);
void imap_timing_end(struct imap_timing *timing);

/*
 * Connect, TLS, greeting, capabilities, ID, sign in. No credential is sent before
 * everything else is verified. deadline_ms bounds the whole; each step has its own
 * limit besides. NULL on failure:
 * FAILURE_AUTH: the server says the credential is wrong. FAILURE_PERMANENT: certificate,
 * no usable sign-in mechanism, account blocked. FAILURE_TEMPORARY: anything else.
 */
SUSPENDS struct imap *imap_open(struct upstream *upstream,
				const struct imap_credential *credential,
				const struct imap_client *client, uint64_t deadline_ms,
				struct imap_timing *timing, struct failure *failure);

struct imap_mailbox {
	uint32_t exists;
	uint32_t uidvalidity;
	uint32_t uidnext;       // 0: the server did not say
	uint64_t highestmodseq; // RFC 7162; 0: not given
	bool read_only;
	bool deletable; // \Deleted may be set for good
};

/*
 * folder: UTF-8, or modified UTF-7 already (protocol/imap_mailbox_name.h).
 * FAILURE_PERMANENT: malformed name, no such folder, no right to it, no UIDVALIDITY, UIDs
 * not kept.
 * FAILURE_TEMPORARY: any other refusal ("authenticated but not connected" too).
 */
SUSPENDS bool imap_select(struct imap *imap, const char *folder, struct imap_mailbox *out,
			  struct failure *failure);

/*
 * No command may last beyond deadline_ms (DEADLINE_NEVER: only its own limit counts).
 * imap_open() sets it to its deadline; whoever signs in lifts it when he is done.
 */
void imap_set_ceiling(struct imap *imap, uint64_t deadline_ms);

unsigned imap_capabilities(const struct imap *imap);
/* Messages now, as far as the server has told (EXISTS and EXPUNGE counted). */
uint32_t imap_exists(const struct imap *imap);
/* Of the messages SELECT counted, how many EXPUNGE has left. */
uint32_t imap_selected_left(const struct imap *imap);

/* EXISTS went down although no EXPUNGE said so: the server's counts mean nothing. */
bool imap_folder_shrank(const struct imap *imap);

/* As the server last said it for the selected folder. */
uint32_t imap_uidvalidity(const struct imap *imap);

bool imap_is_lost(const struct imap *imap);
/* Nothing has arrived since the last answer: it is probably alive. What events lent is
 * gone after it. */
bool imap_is_quiet(struct imap *imap);
/*
 * Before a connection waits for its next user. Leave the folder, if one is open
 * (UNSELECT, RFC 3691): sent, not waited for; imap_hear() takes the answer in, and then
 * it is settled. False: the server does not offer it.
 */
bool imap_leave(struct imap *imap);
/*
 * Take in what the server said to a connection that nobody uses, without waiting. False:
 * it is lost, or said what it was not asked.
 */
bool imap_hear(struct imap *imap);
/* From now on it is this client's: under its session's id in the log. */
void imap_serve(struct imap *imap, const struct imap_client *client);
/* Nothing is under way: the last command is answered, and no body is open. */
bool imap_is_settled(struct imap *imap);
/* When the server was last heard, on the loop's clock. */
uint64_t imap_last_heard_ms(const struct imap *imap);

/* Give memory back before a long wait: libetpan's objects, buffers. */
void imap_rest(struct imap *imap);

SUSPENDS bool imap_noop(struct imap *imap, struct failure *failure);

/* FETCH of the index ------------------------------------------------------------- */

struct imap_row {
	uint32_t imap_uid;
	uint32_t place;  // sequence number
	uint64_t octets; // RFC822.SIZE
	uint64_t gm_msgid;
	struct bytes emailid; // borrowed until the next call
};

enum imap_step { IMAP_STEP, IMAP_END, IMAP_FAILED };

/* set: "1:*" or the like. identity: POP3_UNIQUE_ID_UID, _GM_MSGID or _EMAILID: what
 * besides UID and RFC822.SIZE is asked for. */
SUSPENDS bool imap_rows_start(struct imap *imap, const char *set,
			      enum pop3_unique_id_source identity,
			      struct failure *failure);
/*
 * IMAP_STEP: one row; any order, a message may come twice. IMAP_END: the server said
 * OK. FAILURE_PROTOCOL for a row without UID or size, or far more rows than messages.
 */
SUSPENDS enum imap_step imap_rows_next(struct imap *imap, struct imap_row *row,
				       struct failure *failure);

/* Bodies --------------------------------------------------------------------------- */

/* BODY.PEEK[] of a message, or BODY.PEEK[]<origin.length> of it. */
struct imap_part {
	uint32_t imap_uid;
	uint64_t origin;
	uint64_t length; // 0: the whole message
	uint64_t listed; // octets of the message by the snapshot (RFC822.SIZE)
};

/* What it will bring, as far as anybody knows. */
uint64_t imap_part_octets(const struct imap_part *part);

#define IMAP_REQUESTS_MAX 256 // on their way at a time

enum imap_body {
	IMAP_BODY_READY, // octets follow
	IMAP_BODY_GONE,  // the message is not there any more
	IMAP_BODY_FAILED,
};

/*
 * UID FETCH it, without waiting: somebody will want it. Collected until
 * imap_body_open(). Only while imap_body_may_ask().
 */
SUSPENDS bool imap_body_ask(struct imap *imap, const struct imap_part *part,
			    struct failure *failure);
/* Is there room for one more request, and does the server bear several at a time? */
bool imap_body_may_ask(struct imap *imap);
bool imap_body_is_asked(const struct imap *imap, const struct imap_part *part);
/* Nobody wants what was asked for so far. */
void imap_body_forget(struct imap *imap);
/* Requests not given out yet; what those on their way announce. */
uint32_t imap_body_count(const struct imap *imap);
uint64_t imap_body_announced(const struct imap *imap);
/* Is anything on its way, or here and not given out? */
bool imap_is_expecting(const struct imap *imap);

/*
 * Take and drop the answers that are still on their way. Every other command does so
 * before it is sent.
 */
SUSPENDS bool imap_body_settle(struct imap *imap, struct failure *failure);

/*
 * The one that is wanted now, asked for where nobody has yet. What is on its way in front
 * of it is read and dropped. On READY read to the end and finish, or lose the connection.
 */
SUSPENDS enum imap_body imap_body_open(struct imap *imap, const struct imap_part *part,
				       struct failure *failure);

/* The announced octets of the body that is open. */
uint64_t imap_body_octets(const struct imap *imap);

/* The next slice, borrowed until the next call; len 0: all announced octets were given.
 */
SUSPENDS bool imap_body_read(struct imap *imap, struct bytes *slice,
			     struct failure *failure);

/* Has anything arrived that was not read? Does not wait. */
bool imap_body_is_buffered(struct imap *imap);

/*
 * After the last slice: wait for the tagged OK, and check that the octets were this
 * message's. Only when this is true is the message complete.
 */
SUSPENDS bool imap_body_finish(struct imap *imap, struct failure *failure);

/*
 * UID STORE it \Seen, without waiting for the answer. A refusal is logged; false: the
 * connection is lost.
 */
SUSPENDS bool imap_mark_seen(struct imap *imap, uint32_t imap_uid,
			     struct failure *failure);

/* Sets of UIDs --------------------------------------------------------------------- */

/*
 * UID SEARCH with these criteria ("UID 3:5", "DELETED"). Start, then take ranges until
 * IMAP_END, which is only given when a SEARCH answer came and the tag said OK.
 */
SUSPENDS bool imap_search_start(struct imap *imap, const char *criteria,
				struct failure *failure);
SUSPENDS enum imap_step imap_search_next(struct imap *imap, struct imap_range *range,
					 struct failure *failure);
/*
 * Was the last one answered by OK alone? That is a failure, though some servers say so
 * where they find nothing.
 */
bool imap_search_was_silent(const struct imap *imap);

enum imap_flag { IMAP_FLAG_DELETED, IMAP_FLAG_SEEN };

/*
 * UID STORE set +FLAGS.SILENT (flag), or - where add is false. A tagged NO or BAD is
 * FAILURE_TEMPORARY, as for the next two.
 */
SUSPENDS bool imap_store(struct imap *imap, struct bytes set, enum imap_flag flag,
			 bool add, struct failure *failure);
SUSPENDS bool imap_uid_expunge(struct imap *imap, struct bytes set,
			       struct failure *failure);
/* EXPUNGE of everything that is \Deleted: know what you do. */
SUSPENDS bool imap_expunge(struct imap *imap, struct failure *failure);

/* LOGOUT is sent, its answer not waited for. NULL is fine. */
SUSPENDS void imap_close(struct imap *imap);

#endif
