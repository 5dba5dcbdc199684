/*
 * All goes well: the web role asks, a task of its own answers each question. What can go
 * wrong: the web role is another one meanwhile (its questions go unanswered, the new one
 * has not asked them), it does not keep to the protocol (its channel is closed, and it
 * ends), it asks too much at once (told to come later).
 */
#include "proxy/keeper/page.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/page_internal.h"
#include "proxy/keeper/password.h"

#include <stdlib.h>

#define SEND_MS 5000 // a web role that takes nothing is gone
#define VISITS_MAX 64
#define URL_MAX 512

struct page *page_new(struct keeper *keeper, const struct config *config)
{
	struct page *page = memory_new(sizeof(*page));

	page->keeper = keeper;
	page->config = config;
	page->flows = flows_new();
	store_key(keeper->store, "invitation key", page->key);
	return page;
}

void page_configure(struct page *page, const struct config *config)
{
	page->config = config;
}

void page_forget(struct page *page, struct bytes account)
{
	flows_end_account(page->flows, account);
}

void page_hash(const struct page *page, struct bytes invitation,
	       unsigned char out[STORE_KEY_BYTES])
{
	keyed_hash(page->key, bytes_of("invitation"), invitation, out);
}

bool page_invite(struct page *page, struct bytes account, struct buffer *url,
		 uint64_t *until_s, struct failure *failure)
{
	const struct config_consent *consent = &page->config->consent;
	unsigned char hash[STORE_KEY_BYTES];
	struct secret token = { 0 };

	if (!consent->wanted) {
		failure_set(failure, FAILURE_PERMANENT,
			    "there is no page to invite anybody to");
		return failure_advise(failure,
				      "configure one (consent), or run: popbridge "
				      "account consent");
	}
	password_make_token(&token);
	page_hash(page, secret_bytes(&token), hash);
	*until_s = keeper_wall_s() + consent->invitation_ms / 1000;
	if (!invitation_put(page->keeper->store, account, hash, *until_s)) {
		secret_release(&token);
		return failure_set(failure, FAILURE_TEMPORARY,
				   "the store cannot be written");
	}
	buffer_init(url, URL_MAX);
	buffer_printf(url, "%s/invitation?token=%s", consent->url, token.at);
	secret_release(&token);
	return true;
}

/* ---- the channel ---- */

SUSPENDS void page_say(const struct visit *visit, struct page_message *message)
{
	struct page *page = visit->page;
	struct buffer packet;
	struct failure ignored;

	message->id = visit->asked.id;
	buffer_init(&packet, PAGE_PACKET_MAX);
	buffer_reserve(&packet, PAGE_PACKET_MAX); // no copies where it grew
	if (page_message_encode(message, &packet) && page->channel &&
	    page->connection == visit->connection) {
		page->sending++;
		channel_send(page->channel, buffer_bytes(&packet), NULL,
			     loop_deadline_ms(SEND_MS), &ignored);
		page->sending--;
		gate_open(&page->sent);
	}
	memory_wipe(packet.data, packet.size);
	buffer_release(&packet);
}

static void free_visit(struct visit *visit)
{
	struct page *page = visit->page;
	struct visit **link = &page->visits;

	while (*link != visit) {
		link = &(*link)->next;
	}
	*link = visit->next;
	memory_wipe(visit->packet, visit->packet_len);
	free(visit->packet);
	free(visit);
	page->visit_count--;
	gate_open(&page->left);
}

SUSPENDS static void run_visit(void *argument)
{
	struct visit *visit = argument;

	visit->task = task_self();
	if (visit->connection == visit->page->connection) { // else nobody hears it
		page_answer(visit);
	}
	free_visit(visit);
}

/* False: the web role does not keep to the protocol. */
SUSPENDS static bool take(struct page *page, struct bytes packet)
{
	struct visit *visit = memory_new(sizeof(*visit));

	visit->page = page;
	visit->connection = page->connection;
	visit->packet = memory_copy_text(packet);
	visit->packet_len = packet.len;
	visit->next = page->visits;
	page->visits = visit;
	page->visit_count++;
	if (!page_message_decode((struct bytes){ visit->packet, packet.len }, true,
				 &visit->asked)) {
		free_visit(visit);
		return false;
	}
	if (page->visit_count > VISITS_MAX) {
		page_say(visit, &(struct page_message){ .type = PAGE_REFUSED,
							.number[PAGE_WHY] = PAGE_LATER });
		free_visit(visit);
		return true;
	}
	task_start(run_visit, visit);
	return true;
}

SUSPENDS static void read_questions(void *argument)
{
	struct page *page = argument;
	struct channel *channel = page->channel;
	char *packet = memory_new(CHANNEL_MESSAGE_MAX);
	struct failure ignored;
	size_t len;
	bool good = true;

	while (good &&
	       channel_receive(channel, packet, &len, NULL, DEADLINE_NEVER, &ignored)) {
		good = take(page, (struct bytes){ packet, len });
		memory_wipe(packet, len);
	}
	free(packet);
	if (!good) {
		log_say(LOG_ERROR, "web role cut off",
			"it breaks the protocol of the consent page");
		page->channel = NULL;
		while (page->sending > 0 &&
		       gate_wait(&page->sent, DEADLINE_NEVER, &ignored)) {
		}
		if (page->sending > 0) {
			page->channel = channel; // cancelled: who did that closes it
		} else {
			channel_close(channel);
		}
	}
}

SUSPENDS static void leave_role(struct page *page)
{
	struct channel *channel;
	struct failure ignored;

	if (!page->reader) {
		return;
	}
	task_cancel(page->reader);
	task_join(page->reader);
	page->reader = NULL;
	channel = page->channel; // NULL: it was cut off
	page->channel = NULL;
	page->connection++; // no question of its begins to be answered any more
	while (page->sending > 0) {
		gate_wait(&page->sent, DEADLINE_NEVER, &ignored);
	}
	channel_close(channel);
}

SUSPENDS void page_connect(struct page *page, int fd)
{
	leave_role(page);
	page->connection++;
	page->channel = channel_new(fd);
	page->reader = task_start_child(read_questions, page);
}

/* Before the tokens: a visit may be asking for one. */
SUSPENDS void page_free(struct page *page)
{
	struct failure ignored;

	if (!page) {
		return;
	}
	leave_role(page);
	for (struct visit *visit = page->visits; visit; visit = visit->next) {
		if (visit->task) {
			task_cancel(visit->task);
		}
	}
	while (page->visit_count > 0) {
		gate_wait(&page->left, DEADLINE_NEVER, &ignored);
	}
	flows_free(page->flows);
	memory_wipe(page->key, sizeof(page->key));
	free(page);
}
