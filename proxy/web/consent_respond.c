#include "proxy/web/consent_gate.h"
#include "proxy/web/consent_internal.h"
#include "proxy/web/nonce.h"
#include "proxy/web/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX ((size_t)256 << 10)
#define PAGE_USUAL ((size_t)64 << 10)
#define COOKIE_LIFE_S (30 * 60)
#define HEADER_MAX 512

struct page {
	unsigned status;
	struct buffer text;
	char nonce[NONCE_TEXT];
	const char *location; // NULL: none
	const char *session;  // for the cookie; NULL: it stays, "": it goes
};

static void begin(struct page *page, unsigned status)
{
	*page = (struct page){ .status = status };
	buffer_init(&page->text, PAGE_MAX);
	buffer_reserve(&page->text, PAGE_USUAL); // a password is in one place, and wiped
	nonce_make(page->nonce);
}

/* libmicrohttpd calls it when all is sent. The text ends with a NUL. */
static void wipe_page(void *text)
{
	memory_wipe(text, strlen(text));
	free(text);
}

static void add_cookie(struct MHD_Response *response, const char *session)
{
	char text[HEADER_MAX];

	snprintf(text, sizeof(text),
		 GATE_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%d",
		 session, *session ? COOKIE_LIFE_S : 0);
	MHD_add_response_header(response, "Set-Cookie", text);
	memory_wipe(text, sizeof(text));
}

/* Nothing is loaded, nothing runs but our script, nobody frames it or hears of it. */
static void add_headers(struct MHD_Response *response, const struct request *request,
			const struct page *page)
{
	char policy[HEADER_MAX];

	snprintf(policy, sizeof(policy),
		 "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; "
		 "img-src data:; base-uri 'none'; form-action 'self'; "
		 "frame-ancestors 'none'",
		 page->nonce, page->nonce);
	MHD_add_response_header(response, "Content-Type", "text/html; charset=utf-8");
	MHD_add_response_header(response, "Content-Security-Policy", policy);
	serving_add_headers(response);
	if (page->location) {
		MHD_add_response_header(response, "Location", page->location);
	}
	if (page->session) {
		add_cookie(response, page->session);
	}
	if (page->status == MHD_HTTP_TOO_MANY_REQUESTS ||
	    page->status == MHD_HTTP_SERVICE_UNAVAILABLE) {
		MHD_add_response_header(response, "Retry-After", "30");
	}
	if (page->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, "Allow", request->route->method);
	}
}

static enum MHD_Result send_page(const struct request *request, struct page *page)
{
	const size_t len = page->text.len;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!buffer_reserve(&page->text, 1)) {
		buffer_release(&page->text);
		return MHD_NO;
	}
	page->text.data[len] = '\0';
	response = MHD_create_response_from_buffer_with_free_callback(
		len, page->text.data, wipe_page);
	if (!response) {
		wipe_page(page->text.data);
		return MHD_NO;
	}
	add_headers(response, request, page);
	result = MHD_queue_response(request->connection, page->status, response);
	MHD_destroy_response(response);
	return result;
}

static struct consent_view view_of(const struct request *request, const struct page *page)
{
	return (struct consent_view){ .config = request->consent->config,
				      .answer = &request->answer,
				      .nonce = page->nonce,
				      .token = request->token.at ? request->token.at
								 : "" };
}

enum MHD_Result consent_respond_problem(const struct request *request, unsigned status,
					const char *sentence, const char *advice)
{
	struct page page;
	struct consent_view view;

	begin(&page, status);
	view = view_of(request, &page);
	consent_page_problem(&view, sentence, advice, &page.text);
	return send_page(request, &page);
}

static unsigned status_of(enum page_why why)
{
	switch (why) {
	case PAGE_LATER:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	case PAGE_NOT_NOW:
	case PAGE_TOO_MANY:
		return MHD_HTTP_CONFLICT;
	case PAGE_NO_INVITATION:
	case PAGE_NO_SESSION:
	case PAGE_OTHER_FORM:
	case PAGE_DENIED:
	case PAGE_OTHER_PERSON:
	case PAGE_NO_CONSENT:
	case PAGE_WHYS:
		break;
	}
	return MHD_HTTP_FORBIDDEN;
}

static enum MHD_Result respond_refused(const struct request *request)
{
	struct page page;
	struct consent_view view;

	begin(&page, status_of(request->answer.why));
	view = view_of(request, &page);
	consent_page_refused(&view, &page.text);
	return send_page(request, &page);
}

/* The address that brought the browser here must not be loaded again. */
static enum MHD_Result respond_elsewhere(const struct request *request)
{
	struct page page;

	begin(&page, MHD_HTTP_SEE_OTHER);
	page.location = "/account";
	return send_page(request, &page);
}

enum MHD_Result consent_respond(const struct request *request)
{
	const char *session = consent_text(&request->answer, PAGE_SESSION);
	struct page page;
	struct consent_view view;

	if (request->route->asks && request->answer.end == PAGE_REFUSED) {
		return respond_refused(request);
	}
	if (!request->route->page) {
		return respond_elsewhere(request);
	}
	begin(&page, MHD_HTTP_OK);
	page.session = *session ? session : request->route->is_last ? "" : NULL;
	view = view_of(request, &page);
	request->route->page(&view, &page.text);
	return send_page(request, &page);
}
