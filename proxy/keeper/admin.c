/*
 * All goes well: a command connects, asks, reads rows and an end, and hangs up. It asks
 * what nobody understands, stalls or never hangs up: its connection is closed. There are
 * too many: the next one waits in the kernel's queue.
 *
 * Only root and the user popbridge runs as get in (rt/local.h), so what they say is
 * obeyed; but it is decoded as if they were hostile.
 */
#include "proxy/keeper/admin.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/page.h"
#include "proxy/rt/local.h"

#include <stdlib.h>

#define CLIENTS_MAX 8
#define WAIT_MS 10000 // for the next question, for a row to be taken
#define KICK_MS 2000  // for the workers to say how many

/* Workers that are asked to end sessions. */
struct kick_round {
	struct kick_round *next; // admin::rounds
	uint32_t request;
	size_t unanswered; // workers
	uint64_t sessions;
	struct gate answered;
};

struct admin {
	struct keeper *keeper;
	const struct config *config; // borrowed
	struct local_listener *listener;
	struct task *task;            // accepts
	struct admin_client *clients; // admin_client::next
	size_t client_count;
	struct gate left; // a client did
	uint32_t last_request;
	struct kick_round *rounds; // kick_round::next
};

SUSPENDS bool admin_say(struct admin_client *client, const struct admin_message *message)
{
	struct failure ignored;
	bool said;

	buffer_clear(&client->out);
	said = admin_message_encode(message, &client->out) &&
	       channel_send(client->channel, buffer_bytes(&client->out), NULL,
			    loop_deadline_ms(WAIT_MS), &ignored);
	client->config = client->admin->config;
	return said;
}

SUSPENDS bool admin_end(struct admin_client *client, uint64_t count)
{
	return admin_say(client, &(struct admin_message){ .type = ADMIN_END,
							  .number[ADMIN_COUNT] = count });
}

SUSPENDS bool admin_fail(struct admin_client *client, const struct failure *failure)
{
	return admin_say(client,
			 &(struct admin_message){
				 .type = ADMIN_FAILED,
				 .number[ADMIN_KIND] = failure->kind,
				 .text[ADMIN_CAUSE] = bytes_of(failure->text),
				 .text[ADMIN_ADVICE] = bytes_of(
					 failure->advice ? failure->advice : "") });
}

SUSPENDS static void answer_all(struct admin_client *client)
{
	struct admin_message message;
	struct failure ignored;
	size_t len;
	bool goes_on = true;

	while (goes_on && channel_receive(client->channel, client->packet, &len, NULL,
					  loop_deadline_ms(WAIT_MS), &ignored)) {
		const struct bytes packet = { client->packet, len };

		client->config = client->admin->config;
		goes_on = admin_message_decode(packet, true, &message) &&
			  admin_answer(client, &message);
		memory_wipe(client->packet, len); // there may be a secret in it
	}
}

static void unlink_client(struct admin_client *client)
{
	struct admin_client **link = &client->admin->clients;

	while (*link != client) {
		link = &(*link)->next;
	}
	*link = client->next;
	client->admin->client_count--;
	gate_open(&client->admin->left);
}

SUSPENDS static void serve(void *argument)
{
	struct admin_client *client = argument;

	client->task = task_self();
	answer_all(client);
	admin_drop_collected(client);
	channel_close(client->channel);
	memory_wipe(client->out.data, client->out.size);
	buffer_release(&client->out);
	free(client->packet);
	unlink_client(client);
	free(client);
}

static void let_in(struct admin *admin, int fd)
{
	struct admin_client *client = memory_new(sizeof(*client));

	client->admin = admin;
	client->keeper = admin->keeper;
	client->channel = channel_new(fd);
	client->packet = memory_new(CHANNEL_MESSAGE_MAX);
	buffer_init(&client->out, ADMIN_PACKET_MAX);
	client->next = admin->clients;
	admin->clients = client;
	admin->client_count++;
	task_start(serve, client);
}

SUSPENDS static void accept_all(void *argument)
{
	struct admin *admin = argument;
	struct failure failure;
	int fd = 0;

	while (fd >= 0) {
		if (admin->client_count >= CLIENTS_MAX) {
			if (!gate_wait(&admin->left, DEADLINE_NEVER, &failure)) {
				return;
			}
			continue;
		}
		fd = local_accept(admin->listener, &failure);
		if (fd >= 0) {
			let_in(admin, fd);
		}
	}
}

void keeper_answer_operators(struct keeper *keeper, const struct config *config)
{
	struct local_listener *listener;
	struct failure failure;

	if (!config->control) {
		return;
	}
	listener = local_listen(config->control, &failure);
	if (!listener) {
		log_say(LOG_ERROR, "no control socket", "%s%s%s", failure.text,
			failure.advice ? "; " : "", failure.advice ? failure.advice : "");
		return;
	}
	keeper->admin = memory_new(sizeof(*keeper->admin));
	keeper->admin->keeper = keeper;
	keeper->admin->config = config;
	keeper->admin->listener = listener;
	keeper->admin->task = task_start_child(accept_all, keeper->admin);
}

void keeper_describe(struct keeper *keeper, const struct config *config)
{
	struct admin *admin = keeper->admin;

	tokens_configure(keeper->tokens, config);
	page_configure(keeper->page, config);
	if (!admin) {
		return;
	}
	admin->config = config;
	for (struct admin_client *client = admin->clients; client;
	     client = client->next) {
		client->config = config; // some wait, and the old one is gone now
	}
}

SUSPENDS void admin_close(struct admin *admin)
{
	struct failure ignored;

	if (!admin) {
		return;
	}
	task_cancel(admin->task);
	task_join(admin->task);
	local_close(admin->listener);
	for (struct admin_client *client = admin->clients; client;
	     client = client->next) {
		task_cancel(client->task);
	}
	while (admin->client_count > 0) {
		gate_wait(&admin->left, DEADLINE_NEVER, &ignored);
	}
	free(admin);
}

SUSPENDS uint64_t admin_kick(struct admin *admin, struct bytes user,
			     enum keeper_kick_what what)
{
	const uint64_t deadline_ms = loop_deadline_ms(KICK_MS);
	struct kick_round round = { .next = admin->rounds };
	struct kick_round **link = &admin->rounds;
	struct failure ignored;

	admin->last_request =
		admin->last_request == UINT32_MAX ? 1 : admin->last_request + 1;
	round.request = admin->last_request;
	admin->rounds = &round;
	round.unanswered = keeper_say_to_all(
		admin->keeper, &(struct keeper_message){ .type = KEEPER_KICK,
							 .request = round.request,
							 .number = what,
							 .account = user });
	while (round.unanswered > 0 &&
	       gate_wait(&round.answered, deadline_ms, &ignored)) {
	}
	while (*link != &round) {
		link = &(*link)->next;
	}
	*link = round.next;
	return round.sessions;
}

void admin_kicked(struct keeper *keeper, const struct keeper_message *message)
{
	struct kick_round *round = keeper->admin ? keeper->admin->rounds : NULL;

	while (round && round->request != message->request) {
		round = round->next;
	}
	if (round && round->unanswered > 0) { // else it is late
		round->unanswered--;
		round->sessions += message->number;
		gate_open(&round->answered);
	}
}
