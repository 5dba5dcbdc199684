#include "proxy/oauth/answer.h"

#include "protocol/base64.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_S 300 // clocks differ
#define NUMBER_MAX 1000000000

static json_t *load(struct bytes text)
{
	json_error_t ignored;

	if (text.len == 0 || text.len > ANSWER_MAX) {
		return NULL;
	}
	json_t *root = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &ignored);

	if (root && !json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

/* A text of visible ASCII: what may stand in a header, a command, a URL. */
static bool is_visible(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '!' || text[i] > '~') {
			return false;
		}
	}
	return len > 0;
}

static bool take_token(const json_t *root, const char *name, struct secret *out)
{
	const json_t *member = json_object_get(root, name);
	const char *text = json_string_value(member);
	const size_t len = json_string_length(member);

	if (!text || len > ANSWER_TOKEN_MAX || !is_visible(text, len)) {
		return false;
	}
	secret_set(out, (struct bytes){ text, len });
	return true;
}

static bool take_text(const json_t *root, const char *name, char *out, size_t size)
{
	const json_t *member = json_object_get(root, name);
	const char *text = json_string_value(member);
	const size_t len = json_string_length(member);

	if (!text || len >= size || memchr(text, '\0', len)) {
		return false;
	}
	memcpy(out, text, len + 1);
	return true;
}

static void take_url(const json_t *root, const char *name, char *out)
{
	if (!take_text(root, name, out, ANSWER_URL_MAX) ||
	    !is_visible(out, strlen(out))) {
		out[0] = '\0';
	}
}

/* Some providers send numbers as texts. Nonsense is 0: not said. */
static uint32_t take_number(const json_t *root, const char *name)
{
	const json_t *member = json_object_get(root, name);
	const char *text = json_string_value(member);
	struct bytes rest = text ? bytes_of(text) : (struct bytes){ 0 };
	json_int_t number = json_integer_value(member);
	uint32_t parsed = 0;

	if (text && bytes_take_u32(&rest, &parsed)) {
		number = parsed;
	} else if (json_is_real(member)) {
		const double real = json_real_value(member);

		number = real > 0 && real < NUMBER_MAX ? (json_int_t)real : 0;
	}
	return number > 0 && number <= NUMBER_MAX ? (uint32_t)number : 0;
}

/* For the log and for people: printable, bounded. */
static void append_printable(char *out, size_t size, const char *text)
{
	size_t len = strlen(out);
	const size_t last =
		len + ANSWER_TEXT_MAX < size - 1 ? len + ANSWER_TEXT_MAX : size - 1;

	for (; *text && len < last; text++) {
		out[len++] = *text >= ' ' && *text <= '~' ? *text : ' ';
	}
	out[len] = '\0';
}

static void take_reason(const json_t *root, struct answer *answer)
{
	const char *code = json_string_value(json_object_get(root, "error"));
	const char *words = json_string_value(json_object_get(root, "error_description"));

	append_printable(answer->text, ANSWER_TEXT_MAX, code ? code : "no error code");
	if (words) {
		append_printable(answer->text, sizeof(answer->text), ": ");
		append_printable(answer->text, sizeof(answer->text), words);
	}
}

/* RFC 6749 5.2, RFC 8628 3.5, OpenID Connect Core 3.1.2.6; what else is heard of. */
static enum oauth_verdict verdict_of(const char *code, unsigned status)
{
	static const struct {
		const char *code;
		enum oauth_verdict verdict;
	} codes[] = {
		{ "authorization_pending", OAUTH_PENDING },
		{ "slow_down", OAUTH_SLOW_DOWN },
		{ "access_denied", OAUTH_DENIED },
		{ "authorization_declined", OAUTH_DENIED }, // Microsoft
		{ "expired_token", OAUTH_EXPIRED },
		{ "code_expired", OAUTH_EXPIRED },
		{ "invalid_grant", OAUTH_INVALID_GRANT },
		{ "interaction_required", OAUTH_INVALID_GRANT },
		{ "consent_required", OAUTH_INVALID_GRANT },
		{ "login_required", OAUTH_INVALID_GRANT },
		{ "invalid_client", OAUTH_INVALID_CLIENT },
		{ "unauthorized_client", OAUTH_INVALID_CLIENT },
		{ "temporarily_unavailable", OAUTH_TEMPORARY },
		{ "server_error", OAUTH_TEMPORARY },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		if (status < 500 && status != 429 && strcmp(codes[i].code, code) == 0) {
			return codes[i].verdict;
		}
	}
	/* No word of ours means that a token is dead: it is kept unless that is said. */
	return status >= 500 || status == 429 || status == 408 ? OAUTH_TEMPORARY
							       : OAUTH_REFUSED;
}

static void read_refusal(const json_t *root, unsigned status, struct answer *answer)
{
	const char *code = json_string_value(json_object_get(root, "error"));

	answer->verdict = verdict_of(code ? code : "", status);
	take_reason(root, answer);
}

static bool read_device_start(const json_t *root, struct answer *answer)
{
	if (!take_token(root, "device_code", &answer->device_code) ||
	    !take_text(root, "user_code", answer->user_code, sizeof(answer->user_code))) {
		return false;
	}
	take_url(root, "verification_uri", answer->verification_uri);
	if (answer->verification_uri[0] == '\0') {
		take_url(root, "verification_url", answer->verification_uri); // Google
	}
	take_url(root, "verification_uri_complete", answer->verification_uri_complete);
	answer->interval_s = take_number(root, "interval");
	return is_visible(answer->user_code, strlen(answer->user_code)) &&
	       answer->verification_uri[0] != '\0';
}

static bool read_grant(const json_t *root, struct answer *answer)
{
	const char *type = json_string_value(json_object_get(root, "token_type"));

	if (type && !bytes_is_keyword(bytes_of(type), "BEARER")) {
		return false;
	}
	take_token(root, "refresh_token", &answer->refresh_token);
	take_token(root, "id_token", &answer->id_token);
	answer->refresh_expires_s = take_number(root, "refresh_token_expires_in");
	if (answer->refresh_expires_s == 0) {
		answer->refresh_expires_s = take_number(root, "refresh_expires_in");
	}
	return take_token(root, "access_token", &answer->access_token);
}

void answer_read(struct bytes text, unsigned status, struct answer *answer)
{
	json_t *root = load(text);

	memset(answer, 0, sizeof(*answer));
	answer->verdict = OAUTH_TEMPORARY;
	if (!root) {
		/* A proxy's page, a captive portal: never the provider's own word. */
		snprintf(answer->text, sizeof(answer->text),
			 "HTTP status %u, and the answer is not a JSON object", status);
		return;
	}
	if (status < 200 || status > 299 || json_object_get(root, "error")) {
		read_refusal(root, status, answer);
	} else {
		answer->expires_s = take_number(root, "expires_in");
		if (read_device_start(root, answer) || read_grant(root, answer)) {
			answer->verdict = OAUTH_GRANTED;
		} else {
			snprintf(answer->text, sizeof(answer->text),
				 "the answer has no usable token");
		}
	}
	json_decref(root);
}

void answer_release(struct answer *answer)
{
	secret_release(&answer->access_token);
	secret_release(&answer->refresh_token);
	secret_release(&answer->id_token);
	secret_release(&answer->device_code);
}

bool answer_read_discovery(struct bytes text, struct answer_endpoints *out)
{
	json_t *root = load(text);

	memset(out, 0, sizeof(*out));
	if (!root) {
		return false;
	}
	take_url(root, "issuer", out->issuer);
	take_url(root, "authorization_endpoint", out->authorization);
	take_url(root, "token_endpoint", out->token);
	take_url(root, "device_authorization_endpoint", out->device);
	take_url(root, "revocation_endpoint", out->revocation);
	take_url(root, "userinfo_endpoint", out->userinfo);
	out->says_issuer = json_is_true(
		json_object_get(root, "authorization_response_iss_parameter_supported"));
	json_decref(root);
	return out->issuer[0] != '\0' && out->token[0] != '\0';
}

bool answer_text_member(struct bytes text, const char *name, char *out, size_t size)
{
	json_t *root = load(text);
	const bool taken = root && take_text(root, name, out, size);

	json_decref(root);
	return taken;
}

/* base64url (RFC 7515 2): other letters for two, no padding. */
static bool decode_url(struct bytes text, struct buffer *out)
{
	struct buffer plain;
	bool done = true;

	buffer_init(&plain, text.len + 3);
	for (size_t i = 0; i < text.len && done; i++) {
		const char c = text.at[i] == '-'   ? '+'
			       : text.at[i] == '_' ? '/'
						   : text.at[i];

		done = text.at[i] != '+' && text.at[i] != '/' && text.at[i] != '=' &&
		       buffer_append(&plain, (struct bytes){ &c, 1 });
	}
	while (done && plain.len % 4 != 0) {
		done = buffer_append(&plain, bytes_of("="));
	}
	done = done && base64_decode(buffer_bytes(&plain), out);
	buffer_release(&plain);
	return done;
}

/* The middle one of three parts. */
static json_t *load_claims(struct bytes token)
{
	const char *first = memchr(token.at, '.', token.len);
	struct buffer text;
	json_t *claims = NULL;

	if (!first) {
		return NULL;
	}
	bytes_skip(&token, (size_t)(first - token.at) + 1);
	const char *second = memchr(token.at, '.', token.len);

	if (!second) {
		return NULL;
	}
	buffer_init(&text, ANSWER_TOKEN_MAX);
	if (decode_url((struct bytes){ token.at, (size_t)(second - token.at) }, &text)) {
		claims = load(buffer_bytes(&text));
	}
	buffer_release(&text);
	return claims;
}

bool answer_is_issuer(const char *ours, struct bytes theirs)
{
	const char *star = strchr(ours, '*');
	struct bytes rest = theirs;
	const size_t before = star ? (size_t)(star - ours) : 0;

	if (!star) {
		return bytes_equal(bytes_of(ours), theirs);
	}
	if (theirs.len < before || memcmp(ours, theirs.at, before) != 0) {
		return false;
	}
	bytes_skip(&rest, before);
	const char *end = memchr(rest.at, '/', rest.len);

	if (!end || end == rest.at) {
		return false;
	}
	bytes_skip(&rest, (size_t)(end - rest.at));
	return bytes_equal(bytes_of(star + 1), rest);
}

static bool is_audience(const json_t *audience, const char *client_id)
{
	const char *one = json_string_value(audience);
	size_t index;
	const json_t *each;

	if (one) {
		return strcmp(one, client_id) == 0;
	}
	json_array_foreach(audience, index, each)
	{
		const char *text = json_string_value(each);

		if (text && strcmp(text, client_id) == 0) {
			return true;
		}
	}
	return false;
}

/* Some providers have people say whatever address they like. */
static const char *unverified(const json_t *claims, const char *claim)
{
	const json_t *verified = json_object_get(claims, "email_verified");
	const char *word = json_string_value(verified);

	return strcmp(claim, "email") == 0 && (json_is_false(verified) ||
					       (word && strcmp(word, "false") == 0))
		       ? "the provider has not verified the person's address"
		       : NULL;
}

static const char *unfit(const json_t *claims, const struct answer_expected *expected)
{
	const char *issuer = json_string_value(json_object_get(claims, "iss"));
	const char *nonce = json_string_value(json_object_get(claims, "nonce"));
	const json_int_t expires = json_integer_value(json_object_get(claims, "exp"));

	if (expected->issuer &&
	    (!issuer || !answer_is_issuer(expected->issuer, bytes_of(issuer)))) {
		return "the id_token is of another issuer";
	}
	if (!expected->client_id ||
	    !is_audience(json_object_get(claims, "aud"), expected->client_id)) {
		return "the id_token is for another client";
	}
	if (expires <= 0 || (uint64_t)expires + SKEW_S < expected->now_s) {
		return "the id_token has expired: is the clock right?";
	}
	if (expected->nonce && (!nonce || strcmp(nonce, expected->nonce) != 0)) {
		return "the id_token answers another request (nonce)";
	}
	return unverified(claims, expected->claim);
}

bool answer_person(struct bytes text, const char *claim, char *out, size_t size,
		   const char **why)
{
	json_t *claims = load(text);

	*why = claims ? unverified(claims, claim) : NULL;
	if (*why || !claims || !take_text(claims, claim, out, size)) {
		out[0] = '\0';
	}
	json_decref(claims);
	return !*why;
}

bool answer_identity(struct bytes id_token, const struct answer_expected *expected,
		     char *out, size_t size, const char **why)
{
	json_t *claims = load_claims(id_token);

	if (!claims) {
		*why = "the id_token cannot be read";
		return false;
	}
	*why = unfit(claims, expected);
	if (!take_text(claims, expected->claim, out, size)) {
		out[0] = '\0';
	}
	json_decref(claims);
	return !*why;
}
