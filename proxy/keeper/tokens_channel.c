/*
 * Questions to the oauth role, refreshes under way, set-backs.
 */
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/keeper/tokens_internal.h"

#include <stdlib.h>
#include <string.h>

#define SET_BACK_FIRST_MS 2000
#define SET_BACK_LONGEST_MS (5 * 60 * 1000)
#define SET_BACKS_MAX 20000
#define RETRIED_MS 16000 // set back for longer: the next client asks
#define RENEWED_MS 5000  // a token got anew is not got anew again before
#define SEND_MS 5000
#define END_MS 46000 // a refresh ends by itself within that

/* ---- questions ---- */

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

/* ---- refreshes under way ---- */

const struct flight *tokens_flight_of(const struct tokens *tokens, struct bytes account)
{
	const struct flight *flight = tokens->flights;

	while (flight && !bytes_equal(bytes_of(flight->account), account)) {
		flight = flight->next;
	}
	return flight;
}

void tokens_land(struct flight *flight)
{
	struct tokens *tokens = flight->tokens;
	struct flight **link = &tokens->flights;

	while (*link != flight) {
		link = &(*link)->next;
	}
	*link = flight->next;
	free(flight->account);
	free(flight);
	gate_open(&tokens->landed);
}

SUSPENDS bool tokens_wait(struct tokens *tokens, struct bytes account,
			  uint64_t deadline_ms, struct failure *failure)
{
	if (!tokens_flight_of(tokens, account)) {
		tokens_fly(tokens, account);
	}
	while (tokens_flight_of(tokens, account)) {
		if (!gate_wait(&tokens->landed, deadline_ms, failure)) {
			if (failure->kind != FAILURE_CANCELLED) {
				failure_set(failure, FAILURE_TEMPORARY,
					    "the provider has not answered yet");
			}
			return false;
		}
	}
	return true;
}

/* ---- what was got anew ---- */

static void expire_renewals(struct tokens *tokens)
{
	struct renewal **link = &tokens->renewals;

	while (*link) {
		struct renewal *renewal = *link;

		if (loop_now_ms() < renewal->until_ms) {
			link = &renewal->next;
			continue;
		}
		*link = renewal->next;
		free(renewal->account);
		free(renewal);
	}
}

bool tokens_is_to_renew(struct tokens *tokens, struct bytes account)
{
	struct renewal *renewal;

	if (tokens_flight_of(tokens, account)) {
		return true; // it is under way
	}
	expire_renewals(tokens);
	for (renewal = tokens->renewals; renewal; renewal = renewal->next) {
		if (bytes_equal(bytes_of(renewal->account), account)) {
			return false;
		}
	}
	renewal = memory_new(sizeof(*renewal));
	renewal->account = memory_copy_text(account);
	renewal->until_ms = loop_deadline_ms(RENEWED_MS);
	renewal->next = tokens->renewals;
	tokens->renewals = renewal;
	return true;
}

/* ---- set-backs ---- */

static struct set_back **find_set_back(struct tokens *tokens, struct bytes account)
{
	struct set_back **link = &tokens->set_backs;

	while (*link && !bytes_equal(bytes_of((*link)->account), account)) {
		link = &(*link)->next;
	}
	return link;
}

bool tokens_may_fly(struct tokens *tokens, struct bytes account, struct failure *failure)
{
	const struct set_back *set_back = *find_set_back(tokens, account);

	if (tokens_flight_of(tokens, account)) {
		return false;
	}
	if (!set_back || loop_now_ms() >= set_back->until_ms) {
		return true;
	}
	if (failure) {
		*failure = set_back->failure;
	}
	return false;
}

void tokens_set_back(struct tokens *tokens, struct bytes account,
		     const struct failure *failure)
{
	struct set_back *set_back = *find_set_back(tokens, account);

	if (!set_back && tokens->set_back_count < SET_BACKS_MAX) {
		set_back = memory_new(sizeof(*set_back));
		set_back->account = memory_copy_text(account);
		set_back->next = tokens->set_backs;
		tokens->set_backs = set_back;
		tokens->set_back_count++;
	}
	if (set_back) {
		set_back->delay_ms = set_back->delay_ms == 0 ? SET_BACK_FIRST_MS
				     : set_back->delay_ms * 2 < SET_BACK_LONGEST_MS
					     ? set_back->delay_ms * 2
					     : SET_BACK_LONGEST_MS;
		set_back->until_ms = loop_deadline_ms(set_back->delay_ms);
		set_back->failure = *failure;
	}
}

void tokens_set_back_end(struct tokens *tokens, struct bytes account)
{
	struct set_back **link = find_set_back(tokens, account);
	struct set_back *set_back = *link;

	if (set_back) {
		*link = set_back->next;
		tokens->set_back_count--;
		free(set_back->account);
		free(set_back);
	}
}

bool tokens_is_set_back(struct tokens *tokens, struct bytes account)
{
	return *find_set_back(tokens, account) != NULL;
}

static bool is_to_retry(const struct tokens *tokens, const struct set_back *set_back)
{
	const struct bytes account = bytes_of(set_back->account);

	return set_back->failure.kind == FAILURE_TEMPORARY &&
	       set_back->delay_ms <= RETRIED_MS && loop_now_ms() >= set_back->until_ms &&
	       !tokens_is_app_key(account) && !tokens_flight_of(tokens, account);
}

/* A refresh begins at once, and may change the list. */
void tokens_retry(struct tokens *tokens)
{
	struct set_back *set_back = tokens->set_backs;

	while (set_back) {
		if (is_to_retry(tokens, set_back)) {
			tokens_fly(tokens, bytes_of(set_back->account));
			set_back = tokens->set_backs;
		} else {
			set_back = set_back->next;
		}
	}
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
	while (tokens->set_backs) {
		tokens_set_back_end(tokens, bytes_of(tokens->set_backs->account));
	}
	while (tokens->renewals) {
		tokens->renewals->until_ms = 0;
		expire_renewals(tokens);
	}
	free(tokens);
}
