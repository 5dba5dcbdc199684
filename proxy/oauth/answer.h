/*
 * What a provider answers (RFC 6749 5.1 and 5.2, RFC 8628 3.2 and 3.5, RFC 8414), as a
 * value. Pure. The text is untrusted: jansson reads it, with limits of ours.
 */
#ifndef PROXY_OAUTH_ANSWER_H
#define PROXY_OAUTH_ANSWER_H

#include "proxy/base/memory.h"
#include "proxy/ipc/oauth_message.h"

#include <stdint.h>

#define ANSWER_MAX ((size_t)128 * 1024) // octets of an answer
#define ANSWER_TOKEN_MAX (16 * 1024)    // octets of a token
#define ANSWER_TEXT_MAX 200             // of what is shown to people
#define ANSWER_URL_MAX 2048

/* Zeroed is valid and empty. */
struct answer {
	enum oauth_verdict verdict;
	struct secret access_token;
	struct secret refresh_token; // empty: the old one stays good
	struct secret id_token;
	uint32_t expires_s;         // of the access token; 0: not said
	uint32_t refresh_expires_s; // of the consent; 0: not said
	/* the device flow's beginning */
	struct secret device_code;
	char user_code[64];
	char verification_uri[ANSWER_URL_MAX];
	char verification_uri_complete[ANSWER_URL_MAX]; // "": none
	uint32_t interval_s;
	char text[2 *
		  ANSWER_TEXT_MAX]; // why not, in the provider's words, made printable
};

/*
 * A token endpoint's or device endpoint's answer with this HTTP status. Always writes
 * *answer whole; answer_release() afterwards.
 */
void answer_read(struct bytes json, unsigned status, struct answer *answer);

void answer_release(struct answer *answer);

/* The endpoints that a discovery document names; "" where it does not. */
struct answer_endpoints {
	char issuer[ANSWER_URL_MAX];
	char authorization[ANSWER_URL_MAX];
	char token[ANSWER_URL_MAX];
	char device[ANSWER_URL_MAX];
	char revocation[ANSWER_URL_MAX];
	char userinfo[ANSWER_URL_MAX];
	bool says_issuer; // in every answer to the browser (RFC 9207 3)
};

/* False: not JSON, or it names no issuer and token endpoint. */
bool answer_read_discovery(struct bytes json, struct answer_endpoints *out);

/* One member of a JSON object that is a text; false where it is not there or too long. */
bool answer_text_member(struct bytes json, const char *name, char *out, size_t size);

/*
 * Who consented, by an id_token (OpenID Connect Core 2) that came straight from the
 * token endpoint over TLS, so that its signature need not be looked at (3.1.3.7). Its
 * issuer ("*" in ours stands for one path segment), audience, expiry and nonce have to
 * fit. False: *why says what does not. *out is "" where the token does not name anybody.
 */
struct answer_expected {
	const char *issuer; // NULL: any
	const char *client_id;
	const char *nonce; // NULL: none was sent
	const char *claim; // which names the person
	uint64_t now_s;    // wall clock
};

/*
 * Who somebody is by the userinfo endpoint (5.3), for which its TLS vouches; as
 * answer_identity().
 */
bool answer_person(struct bytes json, const char *claim, char *out, size_t size,
		   const char **why);

/* Is theirs the issuer that ours means? */
bool answer_is_issuer(const char *ours, struct bytes theirs);

bool answer_identity(struct bytes id_token, const struct answer_expected *expected,
		     char *out, size_t size, const char **why);

#endif
