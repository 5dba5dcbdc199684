#include "proxy/oauth/http.h"

#include <curl/curl.h>

#define CONNECT_MS 10000L
#define REDIRECTED 300

void http_setup(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *text, size_t size, size_t count, void *argument)
{
	struct buffer *body = argument;

	/* Any other number ends the transfer. */
	return buffer_append(body, (struct bytes){ text, size * count }) ? size * count
									 : 0;
}

static void prepare(CURL *curl, const struct http_request *request, struct buffer *body,
		    char *reason)
{
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->limit_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "popbridge/" POPBRIDGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); // no way around our configuration
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	if (request->ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
	}
	if (request->form.at) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)request->form.len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->form.at);
	}
}

static bool is_about_certificates(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION ||
	       code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR;
}

static bool perform(CURL *curl, const struct http_request *request,
		    struct curl_slist *headers, unsigned *status, struct buffer *body,
		    struct failure *failure)
{
	char reason[CURL_ERROR_SIZE] = "";
	long code = 0;

	prepare(curl, request, body, reason);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (request->bearer.len > 0) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request->bearer.at);
	}
	const CURLcode done = curl_easy_perform(curl);

	if (done != CURLE_OK) {
		return failure_set(failure,
				   is_about_certificates(done) ? FAILURE_PERMANENT
							       : FAILURE_TEMPORARY,
				   "%s: %s", request->url,
				   *reason ? reason : curl_easy_strerror(done));
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	if (code >= REDIRECTED && code < REDIRECTED + 100) {
		return failure_set(failure, FAILURE_TEMPORARY,
				   "%s: redirected (%ld), which is not followed",
				   request->url, code);
	}
	*status = (unsigned)code;
	return true;
}

bool http_ask(const struct http_request *request, unsigned *status, struct buffer *body,
	      struct failure *failure)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	bool asked = false;

	if (curl && headers) {
		asked = perform(curl, request, headers, status, body, failure);
	} else {
		failure_set(failure, FAILURE_TEMPORARY, "no memory for a request");
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return asked;
}

/* RFC 3986 2.3. */
static bool is_unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

/* The form encoding without its "+": every server takes %20. */
bool http_form_add(struct buffer *out, const char *name, struct bytes value)
{
	static const char digits[] = "0123456789ABCDEF";
	const size_t before = out->len;
	bool done = buffer_printf(out, "%s%s=", out->len > 0 ? "&" : "", name);

	for (size_t i = 0; i < value.len && done; i++) {
		const unsigned char c = (unsigned char)value.at[i];
		const char escaped[3] = { '%', digits[c >> 4], digits[c & 15] };

		done = buffer_append(out, is_unreserved(c)
						  ? (struct bytes){ &value.at[i], 1 }
						  : (struct bytes){ escaped, 3 });
	}
	if (!done) {
		out->len = before;
	}
	return done;
}
