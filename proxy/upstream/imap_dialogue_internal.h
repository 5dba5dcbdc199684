/*
 * What the two files share that talk to libetpan. Nobody else includes this.
 */
#ifndef PROXY_UPSTREAM_IMAP_DIALOGUE_INTERNAL_H
#define PROXY_UPSTREAM_IMAP_DIALOGUE_INTERNAL_H

#include "proxy/upstream/imap_internal.h"

#include <libetpan/libetpan.h>

/* Exported by libetpan 1.9.4, not declared in its installed headers. */
int mailimap_crlf_send(mailstream *stream);
int mailimap_space_send(mailstream *stream);
int mailimap_token_send(mailstream *stream, const char *token);
int mailimap_continue_req_parse(mailstream *stream, MMAPString *buffer,
				struct mailimap_parser_context *context, size_t *index,
				struct mailimap_continue_req **result,
				size_t progress_rate, progress_function *progress);

/* Answers are one short line, commands are flushed as they grow. */
#define STREAM_BUFFER_BYTES 1024

struct imap_dialogue {
	mailimap *session;  // owned
	mailstream *stream; // owned
	struct bytes relay; // what libetpan has still to read, in the wire's own line
};

/*
 * Before every command. Gives the session to call libetpan with. Where what is on its way
 * cannot be taken in, the connection is lost, and libetpan will find that.
 */
SUSPENDS mailimap *dialogue_begin(struct imap *imap, uint64_t limit_ms, unsigned expect,
				  struct failure *failure);

/*
 * After every command: libetpan's result does not matter where our pump saw the tagged
 * answer (it calls BAD a protocol error); without one the two are out of step.
 */
bool dialogue_finish(struct imap *imap, int result, struct failure *failure);

/* Send what stands in the stream and wait for the tagged answer. */
SUSPENDS int dialogue_complete(mailimap *session);

#endif
