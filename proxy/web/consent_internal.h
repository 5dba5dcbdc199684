/*
 * What the files of the consent page share. Nobody else includes this.
 *
 * consent.c          the server: requests from their headers to their end
 * consent_respond.c  which page, with which headers
 * consent_page.c     the pages
 */
#ifndef PROXY_WEB_CONSENT_INTERNAL_H
#define PROXY_WEB_CONSENT_INTERNAL_H

#include "proxy/web/consent.h"
#include "proxy/web/consent_line.h"
#include "proxy/web/consent_page.h"
#include "proxy/web/form.h"
#include "proxy/web/turnstile.h"

#include <microhttpd.h>

struct consent {
	const struct config *config;
	struct MHD_Daemon *daemon;
	struct consent_line line;
	struct turnstile *turnstile; // owned
	struct request *waiting;     // request::next: their connections rest
	uint32_t last_id;
	uint64_t lost_ms; // since when there is no keeper, though there was one; 0: not
};

struct route {
	const char *path, *method;
	/* Once it has ended well; NULL: on to /account. */
	void (*page)(const struct consent_view *view, struct buffer *out);
	enum page_type what; // is asked of the keeper, if anything is
	bool asks;
	bool is_last; // the visit is over: its cookie goes
};

enum request_state {
	REQUEST_NEW,
	REQUEST_READ,     // its body comes, if there is one
	REQUEST_ASKED,    // in consent::waiting
	REQUEST_ANSWERED, // the answer is there
};

struct request {
	struct request *next; // consent::waiting
	struct consent *consent;
	struct MHD_Connection *connection;
	enum request_state state;
	const struct route *route;
	struct form query;
	bool query_is_good;
	struct buffer upload; // holds secrets: wiped
	bool is_too_long;
	size_t body_len; // so far, kept or not
	uint32_t id;
	uint64_t until_ms;
	struct secret token; // of an invitation
	struct consent_answer answer;
};

/* The answer as a page, or on to one. */
enum MHD_Result consent_respond(const struct request *request);

/* A page that asks for nothing and says what is wrong. */
enum MHD_Result consent_respond_problem(const struct request *request, unsigned status,
					const char *sentence, const char *advice);

#endif
