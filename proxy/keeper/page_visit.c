/*
 * What a person does at the consent page, from the invitation to the device passwords.
 *
 * All goes well: the invitation is shown, then used up for a flow; the browser goes to
 * the provider and comes back with a code; what the code is worth becomes the account's
 * consent, where it is the right person's, and a device password is made, shown once.
 * What goes wrong is told to the person, who may try again in the same flow.
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/admin.h"
#include "proxy/keeper/grant.h"
#include "proxy/keeper/page_internal.h"
#include "proxy/keeper/password.h"
#include "proxy/keeper/proof.h"

#include <stdlib.h>

#define ASK_MS 45000 // of the provider
#define REDIRECT_MAX 512
#define CHALLENGE_MAX 64
#define LABEL "first device"

SUSPENDS static void refuse(const struct visit *visit, enum page_why why,
			    struct bytes text)
{
	page_say(visit, &(struct page_message){ .type = PAGE_REFUSED,
						.number[PAGE_WHY] = why,
						.text[PAGE_TEXT] = text });
}

SUSPENDS static void refuse_plain(const struct visit *visit, enum page_why why)
{
	refuse(visit, why, (struct bytes){ 0 });
}

SUSPENDS static void done(const struct visit *visit)
{
	page_say(visit, &(struct page_message){ .type = PAGE_DONE });
}

/* The flow of the browser that asks; NULL: refused. form: it changes something. */
SUSPENDS static struct flow *find_flow(const struct visit *visit, bool form)
{
	struct flow *flow = flows_find(visit->page->flows,
				       visit->asked.text[PAGE_SESSION], loop_now_ms());

	if (!flow) {
		refuse_plain(visit, PAGE_NO_SESSION);
	} else if (form && !flow_is_form(flow, visit->asked.text[PAGE_FORM])) {
		refuse_plain(visit, PAGE_OTHER_FORM);
		flow = NULL;
	}
	return flow;
}

/*
 * An account that its owner can consent for. Only where the provider tells who signed in:
 * else whoever got hold of a link could leave a device password of his in the account.
 */
static bool find_account(const struct page *page, struct bytes account,
			 struct registered *out)
{
	if (!registry_find(page->keeper->store, account, out)) {
		return false;
	}
	if (out->kind == REGISTERED_OAUTH && grant_tells_person(page->config, out)) {
		return true;
	}
	registered_release(out);
	return false;
}

/* ---- the invitation ---- */

static bool find_invited(const struct visit *visit, struct registered *out)
{
	const struct page *page = visit->page;
	unsigned char hash[STORE_KEY_BYTES];
	struct buffer account;
	bool found;

	page_hash(page, visit->asked.text[PAGE_INVITATION], hash);
	buffer_init(&account, REGISTRY_TEXT_MAX);
	found = invitation_find(page->keeper->store, hash, keeper_wall_s(), &account) &&
		find_account(page, buffer_bytes(&account), out);
	buffer_release(&account);
	return found;
}

SUSPENDS static void say_account(const struct visit *visit,
				 const struct registered *registered,
				 struct page_message *row)
{
	row->type = PAGE_ACCOUNT;
	row->text[PAGE_USER] = bytes_of(registered->account);
	row->text[PAGE_PERSON] = bytes_of(grant_person(registered));
	row->text[PAGE_PROVIDER] = bytes_of(registered->provider);
	page_say(visit, row);
}

SUSPENDS static void see(const struct visit *visit)
{
	struct registered registered;

	if (!find_invited(visit, &registered)) {
		refuse_plain(visit, PAGE_NO_INVITATION);
		return;
	}
	say_account(visit, &registered, &(struct page_message){ 0 });
	registered_release(&registered);
	done(visit);
}

static struct bytes redirect_uri(const struct page *page, struct buffer *out)
{
	buffer_init(out, REDIRECT_MAX);
	buffer_printf(out, "%s/callback", page->config->consent.url);
	return buffer_bytes(out);
}

/* Where the browser goes for a new sign-in of this flow. NULL: refused. */
SUSPENDS static struct tokens_answer *
ask_url(const struct visit *visit, struct flow *flow, const struct registered *registered)
{
	struct oauth_request request = { .what = OAUTH_AUTHORIZE_URL,
					 .provider = bytes_of(registered->provider),
					 .hint = bytes_of(grant_person(registered)) };
	struct buffer redirect, challenge;
	struct tokens_answer *answer;
	struct failure failure;

	flow_aim(flow);
	buffer_init(&challenge, CHALLENGE_MAX);
	flow_challenge(secret_bytes(&flow->verifier), &challenge);
	request.redirect = redirect_uri(visit->page, &redirect);
	request.verifier = buffer_bytes(&challenge);
	request.state = secret_bytes(&flow->state);
	request.nonce = secret_bytes(&flow->nonce);
	answer = tokens_ask(visit->page->keeper->tokens, &request,
			    loop_deadline_ms(ASK_MS), &failure);
	buffer_release(&redirect);
	buffer_release(&challenge);
	if (!answer) {
		refuse_plain(visit, PAGE_LATER);
	} else if (answer->reply.verdict != OAUTH_GRANTED) {
		refuse(visit,
		       answer->reply.verdict == OAUTH_TEMPORARY ? PAGE_LATER
								: PAGE_NO_CONSENT,
		       answer->reply.text);
		tokens_answer_free(answer);
		answer = NULL;
	}
	return answer;
}

SUSPENDS static void go(const struct visit *visit, struct bytes session,
			const struct oauth_reply *reply)
{
	page_say(visit, &(struct page_message){ .type = PAGE_GO,
						.text[PAGE_SESSION] = session,
						.text[PAGE_URL] = reply->url });
}

/*
 * The invitation is used up last: what fails before leaves it good. Of two who use it at
 * once only one is left then.
 */
SUSPENDS static void start_flow(const struct visit *visit,
				const struct registered *registered)
{
	struct page *page = visit->page;
	unsigned char hash[STORE_KEY_BYTES];
	struct secret session = { 0 };
	struct tokens_answer *answer = NULL;
	struct flow *flow = flows_begin(page->flows, bytes_of(registered->account),
					loop_now_ms(), &session);

	if (!flow) {
		refuse_plain(visit, PAGE_LATER);
		return;
	}
	answer = ask_url(visit, flow, registered);
	flow = flows_find(page->flows, secret_bytes(&session), loop_now_ms());
	page_hash(page, visit->asked.text[PAGE_INVITATION], hash);
	if (answer && flow && invitation_take(page->keeper->store, hash)) {
		log_say(LOG_INFO, "invitation used", "for account %s",
			registered->account);
		go(visit, secret_bytes(&session), &answer->reply);
	} else {
		if (flow) {
			flows_end(page->flows, flow);
		}
		if (answer) {
			refuse_plain(visit, PAGE_NO_INVITATION);
		}
	}
	tokens_answer_free(answer);
	secret_release(&session);
}

SUSPENDS static void start(const struct visit *visit)
{
	struct registered registered;
	struct failure failure;

	if (!find_invited(visit, &registered)) {
		refuse_plain(visit, PAGE_NO_INVITATION);
		return;
	}
	if (vault_can_seal(visit->page->keeper->vault, &failure)) {
		start_flow(visit, &registered);
	} else {
		refuse(visit, PAGE_NO_CONSENT, bytes_of(failure.text));
	}
	registered_release(&registered);
}

SUSPENDS static void again(const struct visit *visit)
{
	struct flow *flow = find_flow(visit, true);
	struct registered registered;
	struct tokens_answer *answer;

	if (!flow) {
		return;
	}
	if (!find_account(visit->page, bytes_of(flow->account), &registered)) {
		refuse_plain(visit, PAGE_NO_SESSION);
		return;
	}
	answer = ask_url(visit, flow, &registered);
	if (answer) {
		go(visit, (struct bytes){ 0 }, &answer->reply);
	}
	tokens_answer_free(answer);
	registered_release(&registered);
}

/* ---- device passwords ---- */

static bool is_fit_label(struct bytes label)
{
	for (size_t i = 0; i < label.len; i++) {
		if ((unsigned char)label.at[i] < ' ' || label.at[i] == 0x7F) {
			return false;
		}
	}
	return label.len > 0 && label.len <= PAGE_LABEL_MAX;
}

/* It waits in the flow for the next look. False: there are too many, or not written. */
static bool make_device(const struct page *page, struct flow *flow, struct bytes label)
{
	const struct bytes account = bytes_of(flow->account);
	unsigned char keyed[KEYED_HASH_BYTES];
	struct device device = {
		.label = memory_copy_text(is_fit_label(label) ? label : bytes_of(LABEL)),
		.kind = DEVICE_GENERATED,
		.created_s = keeper_wall_s(),
	};
	bool added;

	secret_release(&flow->device);
	password_generate(false, &flow->device);
	prover_hash(page->keeper->prover, account, secret_bytes(&flow->device), keyed);
	buffer_init(&device.proof, sizeof(keyed));
	buffer_append(&device.proof, (struct bytes){ (char *)keyed, sizeof(keyed) });
	added = device_add(page->keeper->store, account, &device);
	device_release(&device);
	if (!added) {
		secret_release(&flow->device);
	}
	return added;
}

static bool has_device(const struct page *page, const struct flow *flow)
{
	struct device device;
	const bool any =
		device_next(page->keeper->store, bytes_of(flow->account), 0, &device);

	if (any) {
		device_release(&device);
	}
	return any;
}

/* A flow whose person has signed in; NULL: refused. */
SUSPENDS static struct flow *find_signed_in(const struct visit *visit)
{
	struct flow *flow = find_flow(visit, true);

	if (flow && !flow->signed_in) {
		refuse_plain(visit, PAGE_NOT_NOW);
		return NULL;
	}
	return flow;
}

SUSPENDS static void add(const struct visit *visit)
{
	struct flow *flow = find_signed_in(visit);

	if (!flow) {
		return;
	}
	if (make_device(visit->page, flow, visit->asked.text[PAGE_LABEL])) {
		done(visit);
	} else {
		refuse_plain(visit, PAGE_TOO_MANY);
	}
}

SUSPENDS static void remove_device(const struct visit *visit)
{
	struct keeper *keeper = visit->page->keeper;
	struct flow *flow = find_signed_in(visit);
	char *account;

	if (!flow) {
		return;
	}
	account = memory_copy_text(bytes_of(flow->account));
	if (device_remove(keeper->store, bytes_of(account),
			  (uint32_t)visit->asked.number[PAGE_ID])) {
		prover_forget(keeper->prover);
		keeper_tell_apop(keeper);
		if (keeper->admin) {
			admin_kick(keeper->admin, bytes_of(account),
				   KEEPER_KICK_SESSIONS);
		}
	}
	free(account);
	done(visit); // gone is gone, whoever was first
}

/* ---- the provider's answer ---- */

/* What comes of it is true whether or not the browser still waits. */
SUSPENDS static void settle(const struct visit *visit, const char *account,
			    const char *provider, const struct oauth_reply *reply)
{
	struct page *page = visit->page;
	struct registered registered;
	struct failure failure;
	enum grant_verdict verdict;
	struct flow *flow;

	if (!find_account(page, bytes_of(account), &registered)) {
		tokens_kept(page->keeper->tokens, reply);
		refuse_plain(visit, PAGE_NO_SESSION);
		return;
	}
	if (!bytes_equal(bytes_of(registered.provider), bytes_of(provider))) {
		tokens_kept(page->keeper->tokens, reply);
		registered_release(&registered);
		refuse_plain(visit, PAGE_NO_SESSION);
		return;
	}
	verdict = grant_take(page->keeper->tokens, page->config, &registered, false,
			     reply, &failure);
	registered_release(&registered);
	if (verdict != GRANT_TAKEN) {
		log_say(LOG_WARNING, "consent refused", "for account %s: %s", account,
			failure.text);
		refuse(visit,
		       verdict == GRANT_OF_ANOTHER ? PAGE_OTHER_PERSON : PAGE_NO_CONSENT,
		       verdict == GRANT_OF_ANOTHER ? reply->identity
						   : bytes_of(failure.text));
		return;
	}
	flow = find_flow(visit, false);
	if (flow) {
		flow->signed_in = true;
		if (!has_device(page, flow)) { // who comes back may have no use for one
			make_device(page, flow, (struct bytes){ 0 });
		}
		done(visit);
	}
}

SUSPENDS static void exchange(const struct visit *visit, struct flow *flow,
			      const struct registered *registered)
{
	const struct page_message *asked = &visit->asked;
	struct oauth_request request = { .what = OAUTH_CODE,
					 .provider = bytes_of(registered->provider),
					 .secret = asked->text[PAGE_CODE],
					 .verifier = secret_bytes(&flow->verifier),
					 .nonce = secret_bytes(&flow->nonce),
					 .issuer = asked->text[PAGE_ISSUER] };
	struct buffer redirect;
	struct tokens_answer *answer;
	struct failure failure;

	request.redirect = redirect_uri(visit->page, &redirect);
	answer = tokens_ask(visit->page->keeper->tokens, &request,
			    loop_deadline_ms(ASK_MS), &failure);
	buffer_release(&redirect);
	if (!answer || answer->reply.verdict == OAUTH_TEMPORARY) {
		refuse_plain(visit, PAGE_LATER);
	} else if (answer->reply.verdict != OAUTH_GRANTED) {
		log_say(LOG_WARNING, "consent refused", "for account %s: %.*s",
			registered->account, (int)answer->reply.text.len,
			answer->reply.text.at);
		refuse(visit, PAGE_NO_CONSENT, answer->reply.text);
	} else {
		settle(visit, registered->account, registered->provider, &answer->reply);
	}
	tokens_answer_free(answer);
}

SUSPENDS static void call_back(const struct visit *visit)
{
	const struct bytes *text = visit->asked.text;
	struct flow *flow = find_flow(visit, false);
	struct registered registered;

	if (!flow) {
		return;
	}
	if (!flow_take_state(flow, text[PAGE_STATE])) {
		refuse_plain(visit, PAGE_NOT_NOW);
	} else if (text[PAGE_ERROR].len > 0 || text[PAGE_CODE].len == 0) {
		refuse(visit, PAGE_DENIED,
		       text[PAGE_TEXT].len > 0 ? text[PAGE_TEXT] : text[PAGE_ERROR]);
	} else if (!find_account(visit->page, bytes_of(flow->account), &registered)) {
		refuse_plain(visit, PAGE_NO_SESSION);
	} else {
		exchange(visit, flow, &registered);
		registered_release(&registered);
	}
}

/* ---- what there is ---- */

SUSPENDS static void say_devices(const struct visit *visit, const char *account)
{
	struct device device;
	uint32_t after = 0;

	while (device_next(visit->page->keeper->store, bytes_of(account), after,
			   &device)) {
		struct bytes label = bytes_of(device.label);

		after = device.id;
		label.len = label.len < PAGE_TEXT_MAX ? label.len : PAGE_TEXT_MAX;
		page_say(visit,
			 &(struct page_message){ .type = PAGE_DEVICE,
						 .number[PAGE_ID] = device.id,
						 .number[PAGE_SINCE_S] = device.created_s,
						 .number[PAGE_LAST_S] = device.last_s,
						 .text[PAGE_LABEL] = label });
		device_release(&device);
	}
}

SUSPENDS static void look(const struct visit *visit)
{
	struct flow *flow = find_flow(visit, false);
	struct page_message row = { 0 };
	struct secret device = { 0 };
	struct registered registered;

	if (!flow) {
		return;
	}
	if (!find_account(visit->page, bytes_of(flow->account), &registered)) {
		refuse_plain(visit, PAGE_NO_SESSION);
		return;
	}
	const bool signed_in = flow->signed_in;

	secret_set(&device, secret_bytes(&flow->device));
	secret_release(&flow->device); // shown this once
	row.number[PAGE_SIGNED_IN] = signed_in;
	row.text[PAGE_FORM] = secret_bytes(&flow->form);
	row.text[PAGE_SECRET] = secret_bytes(&device);
	say_account(visit, &registered, &row);
	secret_release(&device);
	if (signed_in) {
		say_devices(visit, registered.account);
	}
	registered_release(&registered);
	done(visit);
}

SUSPENDS static void leave(const struct visit *visit)
{
	struct flow *flow = find_flow(visit, true);

	if (flow) {
		flows_end(visit->page->flows, flow);
		done(visit);
	}
}

SUSPENDS void page_answer(struct visit *visit)
{
	switch (visit->asked.type) {
	case PAGE_SEE:
		see(visit);
		return;
	case PAGE_START:
		start(visit);
		return;
	case PAGE_CALLBACK:
		call_back(visit);
		return;
	case PAGE_LOOK:
		look(visit);
		return;
	case PAGE_AGAIN:
		again(visit);
		return;
	case PAGE_ADD:
		add(visit);
		return;
	case PAGE_REMOVE:
		remove_device(visit);
		return;
	case PAGE_LEAVE:
		leave(visit);
		return;
	case PAGE_ACCOUNT:
	case PAGE_DEVICE:
	case PAGE_DONE:
	case PAGE_GO:
	case PAGE_REFUSED:
		return; // the decoder takes no answers for questions
	}
}
