/*
 * libetpan's part of signing in: greeting, STARTTLS, LOGIN, AUTHENTICATE. The last two
 * are ours where libetpan's leave something to wish for: literals, SASL-IR, tokens.
 */
#include "proxy/upstream/imap_dialogue_internal.h"

#include "proxy/base/memory.h"

#include <stdio.h>
#include <string.h>

SUSPENDS bool dialogue_greeting(struct imap *imap, struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->connect_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);
	const int result = mailimap_connect(session, imap->dialogue->stream);

	imap->failure = NULL;
	if (imap->lost) {
		return false;
	}
	if (result == MAILIMAP_NO_ERROR_AUTHENTICATED) {
		failure_set(failure, FAILURE_PERMANENT,
			    "the server greets with PREAUTH: it has signed in somebody "
			    "of its own choice");
		return imap_lose(imap);
	}
	if (result != MAILIMAP_NO_ERROR_NON_AUTHENTICATED) {
		failure_set(failure, FAILURE_PROTOCOL,
			    "the server does not greet like an IMAP server");
		return imap_lose(imap);
	}
	return true;
}

SUSPENDS bool dialogue_starttls(struct imap *imap, struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->tls_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);

	imap_trace(imap, "upstream", "STARTTLS");
	return dialogue_finish(imap, mailimap_starttls(session), failure);
}

/* libetpan's write buffer has held a credential. */
static void wipe_stream(struct imap *imap)
{
	memory_wipe(imap->dialogue->stream->write_buffer, STREAM_BUFFER_BYTES);
}

/* One line of ours in an AUTHENTICATE exchange. */
SUSPENDS static bool send_line(mailimap *session, const char *text)
{
	return mailimap_token_send(session->imap_stream, text) == MAILIMAP_NO_ERROR &&
	       mailimap_crlf_send(session->imap_stream) == MAILIMAP_NO_ERROR &&
	       mailstream_flush(session->imap_stream) != -1;
}

/* Is the line just read a continuation request? */
static bool is_continuation(mailimap *session)
{
	struct mailimap_continue_req *request;
	size_t index = 0;

	if (mailimap_continue_req_parse(session->imap_stream, session->imap_stream_buffer,
					NULL, &index, &request, 0,
					NULL) != MAILIMAP_NO_ERROR) {
		return false;
	}
	mailimap_continue_req_free(request);
	return true;
}

/*
 * One argument of LOGIN as a literal (RFC 9051 4.3): what octets above 0x7F need. Without
 * LITERAL+ the server is asked first. before: what stands in front of it on the line.
 */
SUSPENDS static bool send_literal(struct imap *imap, const char *before,
				  const struct secret *value)
{
	mailimap *session = imap->dialogue->session;
	const bool at_once = imap->capabilities & IMAP_LITERAL_PLUS;
	char head[64];

	snprintf(head, sizeof(head), at_once ? "%s{%zu+}" : "%s{%zu}", before,
		 value->len);
	if (!send_line(session, head)) {
		return false;
	}
	if (!at_once && (!mailimap_read_line(session) || !is_continuation(session))) {
		return false;
	}
	return mailimap_token_send(session->imap_stream, value->at) == MAILIMAP_NO_ERROR;
}

/* A server that refuses in mid-command has answered: then nothing more is sent. */
SUSPENDS static int login_by_literals(struct imap *imap, const struct secret *user,
				      const struct secret *password)
{
	mailimap *session = imap->dialogue->session;
	int result = mailimap_send_current_tag(session);

	if (result == MAILIMAP_NO_ERROR &&
	    (!send_literal(imap, "LOGIN ", user) || !send_literal(imap, " ", password))) {
		result = MAILIMAP_ERROR_STREAM;
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = dialogue_complete(session);
	}
	if (imap->answer.given && imap->answer.condition == IMAP_WIRE_OK) {
		session->imap_state = MAILIMAP_STATE_AUTHENTICATED;
	}
	return result;
}

static bool has_8bit(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		if ((unsigned char)value.at[i] > 0x7f) {
			return true;
		}
	}
	return false;
}

SUSPENDS bool dialogue_login(struct imap *imap, const struct imap_credential *credential,
			     struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->authenticate_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);
	struct secret user = { 0 };
	struct secret password = { 0 };
	int result;

	imap_trace(imap, "upstream", "LOGIN ***");
	secret_set(&user, credential->user);
	secret_set(&password, credential->secret);
	if (has_8bit(credential->user) || has_8bit(credential->secret)) {
		result = login_by_literals(imap, &user, &password);
	} else {
		result = mailimap_login(session, user.at, password.at);
	}
	secret_release(&password);
	secret_release(&user);
	wipe_stream(imap);
	return dialogue_finish(imap, result, failure);
}

#define CHALLENGES_MAX 3 // ours, the error report, and one to spare

SUSPENDS static int exchange(mailimap *session, const char *message, bool sent,
			     const char *closing)
{
	struct mailimap_response *response;
	int result;

	for (int challenges = 0;; challenges++) {
		if (!mailimap_read_line(session)) {
			return MAILIMAP_ERROR_STREAM;
		}
		if (!is_continuation(session)) {
			break;
		}
		if (challenges == CHALLENGES_MAX) {
			return MAILIMAP_ERROR_PROTOCOL;
		}
		if (!send_line(session, sent ? closing : message)) {
			return MAILIMAP_ERROR_STREAM;
		}
		sent = true;
	}
	result = mailimap_parse_response(session, &response);
	if (result != MAILIMAP_NO_ERROR) {
		return result;
	}
	if (response->rsp_resp_done->rsp_data.rsp_tagged->rsp_cond_state->rsp_type ==
	    MAILIMAP_RESP_COND_STATE_OK) {
		session->imap_state = MAILIMAP_STATE_AUTHENTICATED;
	}
	mailimap_response_free(response);
	return MAILIMAP_NO_ERROR;
}

SUSPENDS bool dialogue_authenticate(struct imap *imap, const char *mechanism,
				    const char *message, bool at_once,
				    const char *closing, struct failure *failure)
{
	mailimap *session = dialogue_begin(imap, imap->upstream->limits->authenticate_ms,
					   IMAP_WIRE_EXPECT_NOTHING, failure);
	mailstream *stream = session->imap_stream;
	int result = mailimap_send_current_tag(session);

	imap_trace(imap, "upstream", "AUTHENTICATE %s ***", mechanism);
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(stream, "AUTHENTICATE ");
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = mailimap_token_send(stream, mechanism);
	}
	if (result == MAILIMAP_NO_ERROR && at_once) {
		result = mailimap_space_send(stream);
	}
	if (result == MAILIMAP_NO_ERROR && !send_line(session, at_once ? message : "")) {
		result = MAILIMAP_ERROR_STREAM;
	}
	if (result == MAILIMAP_NO_ERROR) {
		result = exchange(session, message, at_once, closing);
	}
	wipe_stream(imap);
	return dialogue_finish(imap, result, failure);
}
