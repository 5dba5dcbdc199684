/*
 * Questions to the oauth role, and its answers.
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <stdlib.h>

#define SEND_MS 5000
#define END_MS 46000 // a refresh ends by itself within that

SUSPENDS static void send_packet(struct tokens *tokens, struct bytes packet)
{
	struct failure ignored;

	if (!tokens->channel) {
		return;
	}
	tokens->sending++;
	channel_send(tokens->channel, packet, NULL, loop_deadline_ms(SEND_MS), &ignored);
	tokens->sending--;
	gate_open(&tokens->sent);
}

static struct wish *wish_by_id(struct tokens *tokens, uint32_t id)
{
	struct wish *wish = tokens->wishes;

	while (wish && wish->id != id) {
		wish = wish->next;
	}
	return wish;
}

/* The answer to a question that the last keeper asked, too. */
static struct wish *wish_by_tag(struct tokens *tokens, struct bytes tag)
{
	struct wish *wish = tag.len > 0 ? tokens->wishes : NULL;

	while (wish && !bytes_equal(wish->tag, tag)) {
		wish = wish->next;
	}
	return wish;
}

static void unlink_wish(struct tokens *tokens, const struct wish *wish)
{
	struct wish **link = &tokens->wishes;

	while (*link != wish) {
		link = &(*link)->next;
	}
	*link = wish->next;
}

void tokens_answer_free(struct tokens_answer *answer)
{
	if (answer) {
		memory_wipe(answer->packet, answer->packet_len);
		free(answer->packet);
		free(answer);
	}
}

/* False: the oauth role does not keep to the protocol. */
SUSPENDS static bool take(struct tokens *tokens, struct bytes packet)
{
	struct tokens_answer *answer = memory_new(sizeof(*answer));
	struct wish *wish;

	answer->packet = memory_copy_text(packet);
	answer->packet_len = packet.len;
	if (!oauth_reply_decode((struct bytes){ answer->packet, packet.len },
				&answer->reply)) {
		tokens_answer_free(answer);
		return false;
	}
	wish = wish_by_id(tokens, answer->reply.id);
	if (!wish) {
		wish = wish_by_tag(tokens, answer->reply.tag);
	}
	if (wish && !wish->answer) {
		wish->answer = answer;
		gate_open(&wish->answered);
		return true;
	}
	tokens_take_orphan(tokens, &answer->reply);
	tokens_answer_free(answer);
	return true;
}

SUSPENDS static void read_answers(void *argument)
{
	struct tokens *tokens = argument;
	char *packet = memory_new(CHANNEL_MESSAGE_MAX);
	struct failure ignored;
	size_t len;
	bool good = true;

	while (good && channel_receive(tokens->channel, packet, &len, NULL,
				       DEADLINE_NEVER, &ignored)) {
		good = take(tokens, (struct bytes){ packet, len });
		memory_wipe(packet, len);
		if (!good) {
			log_say(LOG_ERROR, "oauth role lost", "it breaks the protocol");
		}
	}
	free(packet);
}

SUSPENDS static void leave_role(struct tokens *tokens)
{
	struct channel *channel = tokens->channel;
	struct failure ignored;

	if (!channel) {
		return;
	}
	task_cancel(tokens->reader);
	task_join(tokens->reader);
	tokens->channel = NULL;
	while (tokens->sending > 0) {
		gate_wait(&tokens->sent, DEADLINE_NEVER, &ignored);
	}
	channel_close(channel);
}

/* The list may be another after each that was sent. */
static struct wish *unsent_wish(struct tokens *tokens)
{
	struct wish *wish = tokens->wishes;

	while (wish && (wish->answer || wish->connection == tokens->connection)) {
		wish = wish->next;
	}
	return wish;
}

/* A copy: who wished may be gone before it is sent. */
SUSPENDS static void send_wish(struct tokens *tokens, struct wish *wish)
{
	const size_t len = wish->packet.len;
	char *packet = memory_copy_text(buffer_bytes(&wish->packet));

	wish->connection = tokens->connection;
	wish->sent += tokens->channel ? 1 : 0;
	send_packet(tokens, (struct bytes){ packet, len });
	memory_wipe(packet, len);
	free(packet);
}

/* What the last role did not answer is asked again. */
SUSPENDS void tokens_connect(struct tokens *tokens, int fd)
{
	struct wish *wish;

	leave_role(tokens);
	tokens->channel = channel_new(fd);
	tokens->reader = task_start_child(read_answers, tokens);
	tokens->connection++;
	while ((wish = unsent_wish(tokens))) {
		send_wish(tokens, wish);
	}
}

SUSPENDS struct tokens_answer *tokens_ask(struct tokens *tokens,
					  struct oauth_request *request,
					  uint64_t deadline_ms, struct failure *failure)
{
	struct wish wish = { .id = ++tokens->last_id, .tag = request->tag };

	request->id = wish.id;
	buffer_init(&wish.packet, CHANNEL_MESSAGE_MAX);
	if (!oauth_request_encode(request, &wish.packet)) {
		memory_wipe(wish.packet.data, wish.packet.size);
		buffer_release(&wish.packet);
		failure_set(failure, FAILURE_PERMANENT, "the request is too long");
		return NULL;
	}
	wish.next = tokens->wishes;
	tokens->wishes = &wish;
	send_wish(tokens, &wish);
	while (!wish.answer && gate_wait(&wish.answered, deadline_ms, failure)) {
	}
	unlink_wish(tokens, &wish);
	memory_wipe(wish.packet.data, wish.packet.size);
	buffer_release(&wish.packet);
	if (!wish.answer && failure->kind != FAILURE_CANCELLED) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "no answer from the role that asks for tokens");
	}
	if (wish.answer) {
		wish.answer->asked_again = wish.sent > 1;
	}
	return wish.answer;
}

SUSPENDS void tokens_kept(struct tokens *tokens, const struct oauth_reply *reply)
{
	const struct oauth_request kept = { .what = OAUTH_KEPT,
					    .id = reply->id,
					    .tag = reply->tag };
	struct buffer packet;

	if (reply->refresh_token.len == 0) {
		return;
	}
	buffer_init(&packet, CHANNEL_MESSAGE_MAX);
	if (oauth_request_encode(&kept, &packet)) {
		send_packet(tokens, buffer_bytes(&packet));
	}
	buffer_release(&packet);
}

SUSPENDS void tokens_free(struct tokens *tokens)
{
	struct failure ignored;

	if (!tokens) {
		return;
	}
	while (tokens->flights &&
	       gate_wait(&tokens->landed, loop_deadline_ms(END_MS), &ignored)) {
	}
	leave_role(tokens);
	tokens_free_app(tokens);
	tokens_free_flights(tokens);
	free(tokens);
}
