#include "proxy/oauth/exchange.h"

#include "proxy/config/config_values.h"
#include "proxy/oauth/http.h"
#include "proxy/oauth/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 30000
#define FORM_MAX (64 * 1024)
#define FILE_MAX (64 * 1024)
#define KEY_MAX (16 * 1024)

#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"
#define GRANT_JWT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define ASSERTION_JWT "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

struct asking {
	const struct config_provider *provider;
	const struct exchange_papers *papers;
	const struct answer_endpoints *endpoints;
	const struct oauth_request *request;
	struct buffer form; // holds secrets: wiped
};

static uint64_t wall_s(void)
{
	return (uint64_t)time(NULL);
}

/* A small file, whole; for secrets: wiped by release_secret(). */
static bool read_file(const char *path, struct buffer *out, struct failure *failure)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	buffer_init(out, FILE_MAX);
	if (fd >= 0 && buffer_reserve(out, FILE_MAX)) {
		got = read(fd, out->data, FILE_MAX);
	}
	const int error = errno;

	if (fd >= 0) {
		close(fd);
	}
	if (got < 0) {
		return failure_set(failure, FAILURE_PERMANENT, "%s: %s", path,
				   strerror(error));
	}
	out->len = (size_t)got;
	return got > 0 || failure_set(failure, FAILURE_PERMANENT, "%s is empty", path);
}

static void release_secret(struct buffer *buffer)
{
	if (buffer->data) {
		memory_wipe(buffer->data, buffer->size);
	}
	buffer_release(buffer);
}

/* Without the line end that editors add. */
static struct bytes trimmed(const struct buffer *buffer)
{
	struct bytes text = buffer_bytes(buffer);

	while (text.len > 0 && strchr("\r\n \t", text.at[text.len - 1])) {
		text.len--;
	}
	return text;
}

static bool add(struct asking *asking, const char *name, struct bytes value)
{
	return value.len == 0 || http_form_add(&asking->form, name, value);
}

static bool add_text(struct asking *asking, const char *name, const char *value)
{
	return !value || add(asking, name, bytes_of(value));
}

static bool too_long(struct failure *failure)
{
	return failure_set(failure, FAILURE_PERMANENT, "the request is too long");
}

/* RFC 7523 2.2. */
static bool add_assertion(struct asking *asking, struct failure *failure)
{
	const struct config_provider *provider = asking->provider;
	const struct jwt_claims claims = { .issuer = provider->client_id,
					   .subject = provider->client_id,
					   .audience = asking->endpoints->token,
					   .now_s = wall_s() };
	struct buffer assertion;
	bool done;

	buffer_init(&assertion, 2 * JWT_MAX);
	done = jwt_sign(&claims, buffer_bytes(&asking->papers->key),
			buffer_bytes(&asking->papers->certificate), &assertion,
			failure) &&
	       ((add_text(asking, "client_assertion_type", ASSERTION_JWT) &&
		 add(asking, "client_assertion", buffer_bytes(&assertion))) ||
		too_long(failure));
	release_secret(&assertion);
	return done;
}

static bool add_client(struct asking *asking, struct failure *failure)
{
	const struct config_provider *provider = asking->provider;

	if (!add_text(asking, "client_id", provider->client_id)) {
		return too_long(failure);
	}
	if (provider->client_secret_file) {
		return add(asking, "client_secret",
			   trimmed(&asking->papers->client_secret)) ||
		       too_long(failure);
	}
	return !provider->certificate || add_assertion(asking, failure);
}

/* Appends the grant, with what the account's JSON file says. */
static bool add_signed_grant(struct asking *asking, const char *account, const char *key,
			     struct failure *failure)
{
	char subject[OAUTH_IDENTITY_MAX];
	const struct jwt_claims claims = { .issuer = account,
					   .subject = subject,
					   .audience = asking->endpoints->token,
					   .scope = asking->provider->app_scope,
					   .now_s = wall_s() };
	struct buffer assertion;
	bool done;

	snprintf(subject, sizeof(subject), "%.*s", (int)asking->request->subject.len,
		 asking->request->subject.at);
	buffer_init(&assertion, 2 * JWT_MAX);
	done = jwt_sign(&claims, bytes_of(key), (struct bytes){ 0 }, &assertion,
			failure) &&
	       ((add_text(asking, "grant_type", GRANT_JWT) &&
		 add(asking, "assertion", buffer_bytes(&assertion))) ||
		too_long(failure));
	release_secret(&assertion);
	return done;
}

/* Google's own form of RFC 7523 2.1: the account and its key stand in one JSON file. */
static bool add_service_account(struct asking *asking, struct failure *failure)
{
	char account[OAUTH_IDENTITY_MAX];
	char *key = memory_new(KEY_MAX);
	const struct bytes file = buffer_bytes(&asking->papers->service_account);
	bool done = answer_text_member(file, "client_email", account, sizeof(account)) &&
		    answer_text_member(file, "private_key", key, KEY_MAX);

	if (!done) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s is not a service account's JSON key",
			    asking->provider->service_account_file);
	}
	done = done && add_signed_grant(asking, account, key, failure);
	memory_wipe(key, KEY_MAX);
	free(key);
	return done;
}

static bool add_grant(struct asking *asking, struct failure *failure)
{
	const struct oauth_request *request = asking->request;
	bool fits = true;

	switch (request->what) {
	case OAUTH_REFRESH:
		fits = add_text(asking, "grant_type", "refresh_token") &&
		       add(asking, "refresh_token", request->secret);
		break;
	case OAUTH_DEVICE_START:
		fits = add_text(asking, "scope", asking->provider->scope);
		break;
	case OAUTH_DEVICE_POLL:
		fits = add_text(asking, "grant_type", GRANT_DEVICE) &&
		       add(asking, "device_code", request->secret);
		break;
	case OAUTH_CODE:
		fits = add_text(asking, "grant_type", "authorization_code") &&
		       add(asking, "code", request->secret) &&
		       add(asking, "redirect_uri", request->redirect) &&
		       add(asking, "code_verifier", request->verifier);
		break;
	case OAUTH_APP_TOKEN:
		fits = add_text(asking, "grant_type", "client_credentials") &&
		       add_text(asking, "scope", asking->provider->app_scope);
		break;
	case OAUTH_SERVICE_ACCOUNT:
		return add_service_account(asking, failure);
	case OAUTH_REVOKE:
		fits = add(asking, "token", request->secret) &&
		       add_text(asking, "token_type_hint", "refresh_token");
		break;
	case OAUTH_AUTHORIZE_URL:
	case OAUTH_KEPT:
	case OAUTH_WHATS:
		break;
	}
	return fits ? add_client(asking, failure) : too_long(failure);
}

static const char *endpoint_of(const struct asking *asking)
{
	switch (asking->request->what) {
	case OAUTH_DEVICE_START:
		return asking->endpoints->device;
	case OAUTH_REVOKE:
		return asking->endpoints->revocation;
	case OAUTH_AUTHORIZE_URL:
		return asking->endpoints->authorization;
	case OAUTH_REFRESH:
	case OAUTH_DEVICE_POLL:
	case OAUTH_CODE:
	case OAUTH_APP_TOKEN:
	case OAUTH_SERVICE_ACCOUNT:
	case OAUTH_KEPT:
	case OAUTH_WHATS:
		break;
	}
	return asking->endpoints->token;
}

/* RFC 6749 4.1.1, RFC 7636 4.3, OpenID Connect Core 3.1.2.1. */
static bool compose_url(struct asking *asking, struct answer *answer,
			struct failure *failure)
{
	const struct config_provider *provider = asking->provider;
	const struct oauth_request *request = asking->request;
	const char *endpoint = asking->endpoints->authorization;
	const char *extra = provider->authorization_extra;
	const bool fits = add_text(asking, "response_type", "code") &&
			  add_text(asking, "client_id", provider->client_id) &&
			  add(asking, "redirect_uri", request->redirect) &&
			  add_text(asking, "scope", provider->scope) &&
			  add(asking, "state", request->state) &&
			  add(asking, "nonce", request->nonce) &&
			  add(asking, "code_challenge", request->verifier) &&
			  add_text(asking, "code_challenge_method", "S256") &&
			  add(asking, "login_hint", request->hint);
	const int len =
		snprintf(answer->verification_uri, sizeof(answer->verification_uri),
			 "%s%s%.*s%s%s", endpoint, strchr(endpoint, '?') ? "&" : "?",
			 (int)asking->form.len, asking->form.data, extra ? "&" : "",
			 extra ? extra : "");

	return (fits && len > 0 && (size_t)len < sizeof(answer->verification_uri)) ||
	       too_long(failure);
}

static bool ask(struct asking *asking, struct exchange_result *result,
		struct failure *failure)
{
	const struct http_request http = { .url = endpoint_of(asking),
					   .form = buffer_bytes(&asking->form),
					   .ca_file = asking->provider->ca_file,
					   .limit_ms = LIMIT_MS };
	struct buffer body;
	unsigned status = 0;
	bool asked;

	buffer_init(&body, ANSWER_MAX);
	buffer_reserve(&body, ANSWER_MAX); // no copies of tokens where it grew
	asked = http_ask(&http, &status, &body, failure);
	if (asked && asking->request->what == OAUTH_REVOKE && status == 200) {
		result->answer.verdict = OAUTH_GRANTED;
	} else if (asked) {
		answer_read(buffer_bytes(&body), status, &result->answer);
	}
	release_secret(&body);
	return asked;
}

/* Some providers name the person only there (OpenID Connect Core 5.3). */
static bool ask_userinfo(const struct asking *asking, struct exchange_result *result,
			 const char **why)
{
	const struct http_request http = {
		.url = asking->endpoints->userinfo,
		.bearer = secret_bytes(&result->answer.access_token),
		.ca_file = asking->provider->ca_file,
		.limit_ms = LIMIT_MS,
	};
	struct failure ignored;
	struct buffer body;
	unsigned status = 0;

	buffer_init(&body, ANSWER_MAX);
	bool good = true;

	if (http_ask(&http, &status, &body, &ignored) && status == 200) {
		good = answer_person(buffer_bytes(&body),
				     asking->provider->identity_claim, result->identity,
				     sizeof(result->identity), why);
	}
	buffer_release(&body);
	return good;
}

static bool identify(const struct asking *asking, struct exchange_result *result,
		     const char **why)
{
	const struct config_provider *provider = asking->provider;
	const struct bytes token = secret_bytes(&result->answer.id_token);
	char nonce[OAUTH_IDENTITY_MAX];
	const struct answer_expected expected = {
		.issuer = provider->issuer             ? provider->issuer
			  : *asking->endpoints->issuer ? asking->endpoints->issuer
						       : NULL,
		.client_id = provider->client_id,
		.nonce = asking->request->nonce.len > 0 ? nonce : NULL,
		.claim = provider->identity_claim,
		.now_s = wall_s(),
	};

	if (!provider->identity_claim || token.len == 0) {
		return true;
	}
	snprintf(nonce, sizeof(nonce), "%.*s", (int)asking->request->nonce.len,
		 asking->request->nonce.at);
	if (!answer_identity(token, &expected, result->identity, sizeof(result->identity),
			     why)) {
		return false;
	}
	return result->identity[0] != '\0' || !*asking->endpoints->userinfo ||
	       ask_userinfo(asking, result, why);
}

/*
 * Only where somebody has just consented, or an operator pastes a token, which no account
 * waits for. A refresh token that was rotated is nowhere but
 * in its answer: it neither waits for another question nor is lost over a clock.
 */
static bool names_a_person(const struct oauth_request *request)
{
	return request->what == OAUTH_DEVICE_POLL || request->what == OAUTH_CODE ||
	       (request->what == OAUTH_REFRESH && request->tag.len == 0);
}

/* No token goes out beside an id_token that is not what it should be. */
static void check_identity(const struct asking *asking, struct exchange_result *result)
{
	const char *why;

	if (!identify(asking, result, &why)) {
		answer_release(&result->answer);
		result->identity[0] = '\0';
		result->answer.verdict = OAUTH_REFUSED;
		snprintf(result->answer.text, sizeof(result->answer.text), "%s", why);
	}
}

static bool is_possible(const struct asking *asking, struct failure *failure)
{
	const struct bytes issuer = asking->request->issuer;
	const char *ours = asking->provider->issuer ? asking->provider->issuer
						    : asking->endpoints->issuer;

	if (endpoint_of(asking)[0] == '\0') {
		return failure_set(failure, FAILURE_PERMANENT,
				   "provider %s has no such way (no endpoint for it)",
				   asking->provider->name);
	}
	if (asking->request->what == OAUTH_CODE && issuer.len == 0 &&
	    asking->endpoints->says_issuer) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the answer does not say whose it is (RFC 9207)");
	}
	if (issuer.len > 0 && *ours && !answer_is_issuer(ours, issuer)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the answer is another issuer's (RFC 9207)");
	}
	return true;
}

void exchange(const struct config_provider *provider,
	      const struct exchange_papers *papers,
	      const struct answer_endpoints *endpoints,
	      const struct oauth_request *request, struct exchange_result *result)
{
	struct asking asking = { provider, papers, endpoints, request, { 0 } };
	struct failure failure;
	bool done;

	memset(result, 0, sizeof(*result));
	buffer_init(&asking.form, FORM_MAX);
	buffer_reserve(&asking.form, FORM_MAX); // no copies of secrets where it grew
	done = is_possible(&asking, &failure);
	if (done && request->what == OAUTH_AUTHORIZE_URL) {
		result->answer.verdict = OAUTH_GRANTED;
		done = compose_url(&asking, &result->answer, &failure);
	} else if (done) {
		done = add_grant(&asking, &failure) && ask(&asking, result, &failure);
	}
	release_secret(&asking.form);
	if (!done) {
		result->answer.verdict = failure.kind == FAILURE_TEMPORARY
						 ? OAUTH_TEMPORARY
						 : OAUTH_REFUSED;
		snprintf(result->answer.text, sizeof(result->answer.text), "%s",
			 failure.text);
	} else if (result->answer.verdict == OAUTH_GRANTED && names_a_person(request)) {
		check_identity(&asking, result);
	}
}

void exchange_result_release(struct exchange_result *result)
{
	answer_release(&result->answer);
}

static void take(const char *from, char *to)
{
	if (from) {
		snprintf(to, ANSWER_URL_MAX, "%s", from);
	}
}

/* An endpoint that secrets must not go to; NULL: none is. */
static const char *unsafe_endpoint(const struct answer_endpoints *found)
{
	const char *const all[] = { found->authorization, found->token, found->device,
				    found->revocation, found->userinfo };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (*all[i] && !config_url_is_safe(all[i])) {
			return all[i];
		}
	}
	return NULL;
}

static bool read_discovery(const struct config_provider *provider,
			   struct answer_endpoints *out, struct failure *failure)
{
	const struct http_request http = { .url = provider->discovery,
					   .ca_file = provider->ca_file,
					   .limit_ms = LIMIT_MS };
	struct buffer body;
	unsigned status = 0;
	bool done;

	buffer_init(&body, ANSWER_MAX);
	done = http_ask(&http, &status, &body, failure);
	if (done && (status != 200 || !answer_read_discovery(buffer_bytes(&body), out))) {
		done = failure_set(failure, FAILURE_TEMPORARY,
				   "%s: HTTP status %u, and no discovery document",
				   provider->discovery, status);
	}
	buffer_release(&body);
	if (done && unsafe_endpoint(out)) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "%s: the document names %s, which is not https://",
				   provider->discovery, unsafe_endpoint(out));
	}
	if (done && provider->issuer &&
	    !answer_is_issuer(provider->issuer, bytes_of(out->issuer))) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "%s: the document is of the issuer %s",
				   provider->discovery, out->issuer);
	}
	return done;
}

bool exchange_discover(const struct config_provider *provider,
		       struct answer_endpoints *out, struct failure *failure)
{
	memset(out, 0, sizeof(*out));
	if (provider->discovery && !read_discovery(provider, out, failure)) {
		return false;
	}
	take(provider->issuer, out->issuer);
	take(provider->authorization_endpoint, out->authorization);
	take(provider->token_endpoint, out->token);
	take(provider->device_endpoint, out->device);
	take(provider->revocation_endpoint, out->revocation);
	return true;
}

static bool read_paper(const char *path, struct buffer *out, struct failure *failure)
{
	return !path || read_file(path, out, failure);
}

bool exchange_read_papers(const struct config_provider *provider,
			  struct exchange_papers *out, struct failure *failure)
{
	memset(out, 0, sizeof(*out));
	return (read_paper(provider->client_secret_file, &out->client_secret, failure) &&
		read_paper(provider->certificate, &out->certificate, failure) &&
		read_paper(provider->key, &out->key, failure) &&
		read_paper(provider->service_account_file, &out->service_account,
			   failure)) ||
	       failure_prefix(failure, "provider %s", provider->name);
}

void exchange_papers_release(struct exchange_papers *papers)
{
	release_secret(&papers->client_secret);
	release_secret(&papers->certificate);
	release_secret(&papers->key);
	release_secret(&papers->service_account);
}
