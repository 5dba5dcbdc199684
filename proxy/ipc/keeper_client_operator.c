#include "proxy/base/memory.h"
#include "proxy/ipc/keeper_client_internal.h"

#include <stdlib.h>
#include <string.h>

#define KICKS_MAX 64         // waiting to be carried out
#define FAILURES_A_SECOND 50 // told to the keeper; all are in the log

/* A flood of refusals must not keep the keeper from its work. */
static bool is_one_of_too_many(struct keeper_client *client)
{
	const uint64_t now_ms = loop_now_ms();

	if (now_ms - client->failures_since_ms >= 1000) {
		client->failures_since_ms = now_ms;
		client->failures = 0;
	}
	return ++client->failures > FAILURES_A_SECOND;
}

static struct bytes words(const char *text)
{
	struct bytes all = bytes_of(text ? text : "");

	all.len = all.len < KEEPER_WORDS_MAX ? all.len : KEEPER_WORDS_MAX;
	return all;
}

void keeper_tell_failed(struct keeper_client *client, const struct keeper_failure *what)
{
	struct keeper_message message = { .type = KEEPER_FAILED,
					  .number = what->reference,
					  .account = what->account,
					  .kind = what->failure->kind,
					  .answer = words(what->answer),
					  .cause = words(what->failure->text),
					  .advice = words(what->failure->advice) };

	if (client && !is_one_of_too_many(client)) {
		keeper_address_octets(what->address, message.address);
		keeper_client_say(client, &message);
	}
}

static void kick_free(struct kick *kick)
{
	free(kick->account);
	free(kick);
}

void keeper_kicks_free(struct keeper_client *client)
{
	while (client->kicks) {
		struct kick *kick = client->kicks;

		client->kicks = kick->next;
		kick_free(kick);
	}
}

void keeper_kick_add(struct keeper_client *client, const struct keeper_message *message)
{
	struct kick *kick;

	if (client->kick_count >= KICKS_MAX) {
		return;
	}
	kick = memory_new(sizeof(*kick));
	kick->request = message->request;
	kick->what = (enum keeper_kick_what)message->number;
	kick->account = memory_copy_text(message->account);
	kick->account_len = message->account.len;
	kick->next = client->kicks;
	client->kicks = kick;
	client->kick_count++;
	gate_open(&client->kicked);
}

SUSPENDS bool keeper_next_kick(struct keeper_client *client, struct keeper_kick *out)
{
	struct failure ignored;
	struct kick *kick;

	while (!client->kicks) {
		if (!gate_wait(&client->kicked, DEADLINE_NEVER, &ignored)) {
			return false;
		}
	}
	kick = client->kicks;
	client->kicks = kick->next;
	client->kick_count--;
	out->request = kick->request;
	out->what = kick->what;
	buffer_init(&out->account, KEEPER_TEXT_MAX);
	buffer_append(&out->account, (struct bytes){ kick->account, kick->account_len });
	kick_free(kick);
	return true;
}

void keeper_kicked(struct keeper_client *client, const struct keeper_kick *kick,
		   uint32_t sessions)
{
	keeper_client_say(client, &(struct keeper_message){ .type = KEEPER_KICKED,
							    .request = kick->request,
							    .number = sessions });
}
