/*
 * What the log says of a session: each line with its id and its peer, the peer as
 * log.addresses has it, and no more lines than one peer may fill. And the dialogue of
 * those users whom log.trace names, without what is secret in it.
 */
#include "proxy/base/log_limit.h"
#include "proxy/rt/keyed_hash.h"
#include "proxy/session/session_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_OCTETS 8 // of a hash

/* "hash-" and the beginning of a hash of the address. */
static void write_hash(const struct session *session, char *out)
{
	char text[ADDRESS_TEXT_MAX];
	unsigned char hash[KEYED_HASH_BYTES];

	address_text(stream_peer(session->client), text);
	keyed_hash(session->service->secret, bytes_of("log address"), bytes_of(text),
		   hash);
	memcpy(out, "hash-", 6);
	for (size_t i = 0; i < SHOWN_OCTETS; i++) {
		snprintf(out + 5 + 2 * i, 3, "%02x", hash[i]);
	}
}

void report_peer(struct session *session)
{
	switch (session->service->config->log_addresses) {
	case CONFIG_ADDRESSES_FULL:
		address_text(stream_peer(session->client), session->peer);
		break;
	case CONFIG_ADDRESSES_TRUNCATED:
		address_network_text(stream_peer(session->client), session->peer);
		break;
	case CONFIG_ADDRESSES_HASHED:
		write_hash(session, session->peer);
		break;
	}
}

/* While lines are being suppressed somebody has to say so afterwards. */
SUSPENDS static void report_suppressed(void *argument)
{
	struct service *service = argument;

	while (log_limit_report() && task_sleep_until(loop_deadline_ms(1000))) {
	}
	service->reporting = false;
}

bool report_begin(const struct session *session, struct log_line *line,
		  enum log_level level, const char *event)
{
	struct service *service = session->service;

	if (!log_wants(level)) {
		return false;
	}
	if (!log_limit_allows(session->peer)) {
		if (!service->reporting) {
			service->reporting = true;
			task_start(report_suppressed, service);
		}
		return false;
	}
	log_begin(line, level, event);
	log_string(line, "session", session->id);
	log_string(line, "peer", session->peer);
	return true;
}

void report_failure(const struct session *session, enum log_level level,
		    const char *event, const struct failure *failure)
{
	struct log_line line;

	if (report_begin(session, &line, level, event)) {
		log_string(&line, "cause", failure->text);
		if (failure->advice) {
			log_string(&line, "advice", failure->advice);
		}
		log_end(&line);
	}
}

bool report_is_traced(const struct session *session)
{
	return config_is_traced(session->service->config, buffer_bytes(&session->user));
}

void report_trace(const struct session *session, const char *side, const char *format,
		  ...)
{
	char text[LOG_VALUE_MAX];
	struct log_line line;
	va_list arguments;

	if (!report_is_traced(session) || !log_begin(&line, LOG_INFO, "trace")) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_string(&line, "session", session->id);
	log_text(&line, "user", buffer_bytes(&session->user));
	log_string(&line, "from", side);
	log_string(&line, "text", text);
	log_end(&line);
}
