/*
 * The pages that a person meets at the consent page, as HTML. Whatever came from outside
 * is escaped. Each works without its script, which only adds what copies a text.
 */
#ifndef PROXY_WEB_CONSENT_PAGE_H
#define PROXY_WEB_CONSENT_PAGE_H

#include "proxy/config/config.h"
#include "proxy/web/consent_answer.h"

struct consent_view {
	const struct config *config;
	const struct consent_answer *answer;
	const char *nonce;
	const char *token; // invitation page: what its form says
};

/* No answer is looked at. */
void consent_page_home(const struct consent_view *view, struct buffer *out);
void consent_page_left(const struct consent_view *view, struct buffer *out);
/* What cannot be answered at all: the sentence says it, the advice what to do. */
void consent_page_problem(const struct consent_view *view, const char *sentence,
			  const char *advice, struct buffer *out);

/* Of an answer that ended well. */
void consent_page_invitation(const struct consent_view *view, struct buffer *out);
void consent_page_onward(const struct consent_view *view, struct buffer *out);
void consent_page_account(const struct consent_view *view, struct buffer *out);

/* Of one that is PAGE_REFUSED. */
void consent_page_refused(const struct consent_view *view, struct buffer *out);

#endif
