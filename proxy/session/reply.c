#include "proxy/session/session_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REPLY_MAX 512 // RFC 2449 section 4

SUSPENDS enum next reply_text(struct session *session, struct bytes text)
{
	struct failure failure;

	if (!stream_write(session->client, text, session_write_deadline_ms(session),
			  &failure)) {
		return session_client_failed(session, &failure);
	}
	return NEXT_COMMAND;
}

__attribute__((format(printf, 3, 0))) SUSPENDS static enum next
reply_list(struct session *session, const char *before, const char *format,
	   va_list arguments)
{
	char line[REPLY_MAX];
	const int head = snprintf(line, sizeof(line), "%s", before);
	const size_t room = sizeof(line) - (size_t)head - 2; // CR LF
	int body = vsnprintf(line + head, room, format, arguments);

	if (body < 0) {
		body = 0;
	} else if ((size_t)body >= room) {
		body = (int)room - 1;
	}
	const size_t len = (size_t)head + (size_t)body;

	if (line[0] == '+' || line[0] == '-') { // no line of a listing
		report_trace(session, "answer", "%.*s", (int)len, line);
	}
	line[len] = '\r';
	line[len + 1] = '\n';
	return reply_text(session, (struct bytes){ line, len + 2 });
}

SUSPENDS enum next reply_ok(struct session *session, const char *format, ...)
{
	va_list arguments;
	enum next next;

	va_start(arguments, format);
	next = reply_list(session, "+OK ", format, arguments);
	va_end(arguments);
	return next;
}

SUSPENDS enum next reply_format(struct session *session, const char *format, ...)
{
	va_list arguments;
	enum next next;

	va_start(arguments, format);
	next = reply_list(session, "", format, arguments);
	va_end(arguments);
	return next;
}

SUSPENDS enum next reply_end(struct session *session)
{
	return reply_format(session, ".");
}

SUSPENDS enum next reply_mistake(struct session *session, const char *text)
{
	return session_count_error(session, reply_format(session, "-ERR %s", text));
}

/* The one place where failures become response codes (RFC 2449, 3206) and words. */
static const char *answer_for(const struct session *session,
			      const struct failure *failure)
{
	switch (failure->kind) {
	case FAILURE_AUTH:
		return "[AUTH] sign-in failed";
	case FAILURE_PERMANENT:
		return session->signed_in
			       ? "[SYS/PERM] the mail server does not allow this"
			       : "[SYS/PERM] this user's mail server cannot be used "
				 "until somebody changes a setting";
	case FAILURE_IN_USE:
		return "[IN-USE] another session has this mailbox open";
	case FAILURE_TOO_SOON:
		return "[LOGIN-DELAY] signed in too often, try again later";
	case FAILURE_TEMPORARY:
	case FAILURE_PROTOCOL:
		return "[SYS/TEMP] the mail server cannot do this now, try again later";
	case FAILURE_TIMEOUT:
		return "[SYS/TEMP] the mail server takes too long, try again later";
	case FAILURE_PEER_GONE:
		return "[SYS/TEMP] the connection to the mail server was lost, try again "
		       "later";
	case FAILURE_CANCELLED:
		return "[SYS/TEMP] the service is shutting down, try again later";
	}
	return "[SYS/TEMP] try again later";
}

static uint32_t new_reference(void)
{
	uint32_t reference = 0;

	if (getrandom(&reference, sizeof(reference), 0) != (ssize_t)sizeof(reference)) {
		abort();
	}
	return reference & 0xffffff;
}

static void log_reference(const struct session *session, uint32_t reference,
			  const char *answer, const struct failure *failure)
{
	struct log_line line;
	char text[8];

	if (!report_begin(session, &line, LOG_WARNING, "refused")) {
		return;
	}
	snprintf(text, sizeof(text), "%06" PRIX32, reference);
	log_string(&line, "ref", text);
	log_text(&line, "user", buffer_bytes(&session->user));
	log_string(&line, "answer", answer);
	log_string(&line, "cause", failure->text);
	if (failure->advice) {
		log_string(&line, "advice", failure->advice);
	}
	log_end(&line);
}

/* For `popbridge explain`. */
static void tell_keeper(const struct session *session, uint32_t reference,
			const char *answer, const struct failure *failure)
{
	const struct keeper_failure what = { .reference = reference,
					     .address = stream_peer(session->client),
					     .account = buffer_bytes(&session->user),
					     .answer = answer,
					     .failure = failure };

	keeper_tell_failed(session->service->keeper, &what);
}

SUSPENDS enum next reply_refusal(struct session *session, const char *answer,
				 const struct failure *failure)
{
	const uint32_t reference = new_reference();

	if (session->signed_in) {
		metrics_refused(failure->kind);
	}
	log_reference(session, reference, answer, failure);
	tell_keeper(session, reference, answer, failure);
	return reply_format(session, "-ERR %s (ref %06" PRIX32 ")", answer, reference);
}

SUSPENDS enum next reply_failure(struct session *session, const struct failure *failure)
{
	return reply_refusal(session, answer_for(session, failure), failure);
}

SUSPENDS enum next reply_gone(struct session *session, uint32_t msgno)
{
	struct failure failure;

	failure_set(&failure, FAILURE_PERMANENT,
		    "message %" PRIu32 " was removed by another client", msgno);
	failure_advise(&failure, "nothing to do: it is not listed in the next session");
	return reply_refusal(session, "no such message any more", &failure);
}

/*
 * RFC 2449 section 6.5. Before sign-in the longest of all routes; USER says that it may
 * be another one then.
 */
static void offer_login_delay(const struct session *session, struct buffer *out)
{
	const struct config *config = session->service->config;
	uint32_t longest_s = 0;
	bool differs = false;

	if (session->signed_in) {
		longest_s = session->maildrop.upstream->route->login_delay_s;
	}
	for (size_t i = 0; !session->signed_in && i < config->route_count; i++) {
		const uint32_t delay_s = config->routes[i].login_delay_s;

		differs = differs || delay_s != config->routes[0].login_delay_s;
		longest_s = delay_s > longest_s ? delay_s : longest_s;
	}
	if (longest_s > 0) {
		buffer_printf(out, "LOGIN-DELAY %" PRIu32 "%s\r\n", longest_s,
			      differs ? " USER" : "");
	}
}

/* RFC 2449 section 5: exactly what works here and now. */
SUSPENDS enum next reply_capabilities(struct session *session)
{
	const bool starttls = session->listener->tls == CONFIG_TLS_STARTTLS &&
			      !stream_is_tls(session->client) && !session->signed_in;
	struct buffer text;
	enum next next;

	buffer_init(&text, 1024);
	buffer_printf(&text,
		      "+OK here is what I can do\r\n"
		      "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
	if (starttls) {
		buffer_printf(&text, "STLS\r\n");
	}
	if (session_allows_password(session)) {
		buffer_printf(&text, "USER\r\nSASL PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n");
	}
	offer_login_delay(session, &text);
	if (session->signed_in) {
		buffer_printf(&text,
			      "IMPLEMENTATION popbridge-" POPBRIDGE_VERSION "\r\n");
	}
	buffer_printf(&text, ".\r\n");
	report_trace(session, "answer", "+OK (capabilities)");
	next = reply_text(session, buffer_bytes(&text));
	buffer_release(&text);
	return next;
}
