/*
 * Visits to the consent page: from an invitation that was used to the person's leaving,
 * half an hour at most. In memory only; the browser knows its visit by a secret of which
 * nothing is kept but a hash.
 *
 * For one sign-in at the provider a flow has a state, a nonce and a PKCE verifier
 * (RFC 9700 2.1.1); the answer that names the state ends them, whatever it brings.
 */
#ifndef PROXY_KEEPER_FLOW_H
#define PROXY_KEEPER_FLOW_H

#include "protocol/buffer.h"
#include "proxy/base/memory.h"
#include "proxy/rt/keyed_hash.h"

#define FLOWS_MAX 1000
#define FLOW_LIFE_MS ((uint64_t)30 * 60 * 1000)

struct flow {
	struct flow *next;
	unsigned char session[KEYED_HASH_BYTES];
	char *account; // owned, canonical
	struct secret form;
	struct secret state;           // empty: no answer is awaited
	struct secret nonce, verifier; // of the sign-in begun last
	struct secret device;          // a device password that was not shown yet
	bool signed_in;
	uint64_t until_ms;
};

struct flows;

struct flows *flows_new(void);
void flows_free(struct flows *flows); // NULL is fine

/*
 * Ends the account's last one: an account has one visitor. *session is the new one's
 * secret. NULL: there are too many.
 */
struct flow *flows_begin(struct flows *flows, struct bytes account, uint64_t now_ms,
			 struct secret *session);

/* NULL: no such session, or it is over. */
struct flow *flows_find(struct flows *flows, struct bytes session, uint64_t now_ms);

void flows_end(struct flows *flows, struct flow *flow);
void flows_end_account(struct flows *flows, struct bytes account);

/* A new sign-in: what the last one had is good no more. */
void flow_aim(struct flow *flow);

/* Is it the answer that is awaited? Then none is any more. */
bool flow_take_state(struct flow *flow, struct bytes state);

/* Does the form come from a page that was made in this flow? */
bool flow_is_form(const struct flow *flow, struct bytes form);

/* S256 of a verifier (RFC 7636 4.2), appended. */
void flow_challenge(struct bytes verifier, struct buffer *out);

#endif
