#include "proxy/keeper/flow.h"

#include "protocol/base64.h"
#include "proxy/keeper/password.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct flows {
	struct flow *first; // flow::next, the newest first
	size_t count;
	unsigned char key[KEYED_HASH_BYTES]; // of the sessions' hashes
};

struct flows *flows_new(void)
{
	struct flows *flows = memory_new(sizeof(*flows));

	keyed_hash_new_key(flows->key);
	return flows;
}

static void hash_session(const struct flows *flows, struct bytes session,
			 unsigned char out[KEYED_HASH_BYTES])
{
	keyed_hash(flows->key, bytes_of("session"), session, out);
}

void flows_end(struct flows *flows, struct flow *flow)
{
	struct flow **link = &flows->first;

	while (*link != flow) {
		link = &(*link)->next;
	}
	*link = flow->next;
	flows->count--;
	free(flow->account);
	secret_release(&flow->form);
	secret_release(&flow->state);
	secret_release(&flow->nonce);
	secret_release(&flow->verifier);
	secret_release(&flow->device);
	free(flow);
}

void flows_free(struct flows *flows)
{
	while (flows && flows->first) {
		flows_end(flows, flows->first);
	}
	free(flows);
}

void flows_end_account(struct flows *flows, struct bytes account)
{
	struct flow *next;

	for (struct flow *flow = flows->first; flow; flow = next) {
		next = flow->next;
		if (bytes_equal(bytes_of(flow->account), account)) {
			flows_end(flows, flow);
		}
	}
}

static void expire(struct flows *flows, uint64_t now_ms)
{
	struct flow *next;

	for (struct flow *flow = flows->first; flow; flow = next) {
		next = flow->next;
		if (flow->until_ms <= now_ms) {
			flows_end(flows, flow);
		}
	}
}

struct flow *flows_begin(struct flows *flows, struct bytes account, uint64_t now_ms,
			 struct secret *session)
{
	struct flow *flow;

	expire(flows, now_ms);
	flows_end_account(flows, account);
	if (flows->count >= FLOWS_MAX) {
		return NULL;
	}
	flow = memory_new(sizeof(*flow));
	password_make_token(session);
	hash_session(flows, secret_bytes(session), flow->session);
	password_make_token(&flow->form);
	flow->account = memory_copy_text(account);
	flow->until_ms = now_ms + FLOW_LIFE_MS;
	flow->next = flows->first;
	flows->first = flow;
	flows->count++;
	return flow;
}

struct flow *flows_find(struct flows *flows, struct bytes session, uint64_t now_ms)
{
	unsigned char hash[KEYED_HASH_BYTES];
	struct flow *flow;

	expire(flows, now_ms);
	hash_session(flows, session, hash);
	flow = flows->first;
	while (flow && !keyed_hash_equal(flow->session, hash)) {
		flow = flow->next;
	}
	return flow;
}

void flow_aim(struct flow *flow)
{
	password_make_token(&flow->state);
	password_make_token(&flow->nonce);
	password_make_token(&flow->verifier);
}

bool flow_take_state(struct flow *flow, struct bytes state)
{
	if (flow->state.len == 0 || !password_equal(secret_bytes(&flow->state), state)) {
		return false;
	}
	secret_release(&flow->state);
	return true;
}

bool flow_is_form(const struct flow *flow, struct bytes form)
{
	return password_equal(secret_bytes(&flow->form), form);
}

void flow_challenge(struct bytes verifier, struct buffer *out)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_Digest(verifier.at, verifier.len, digest, &len, EVP_sha256(), NULL);
	base64_encode_url((struct bytes){ (const char *)digest, len }, out);
}
