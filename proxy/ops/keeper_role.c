/*
 * The keeper as a role: opens the store, serves the workers that START brings and those
 * that come later, until the master lets go of the channel.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/keeper.h"
#include "proxy/ops/role.h"
#include "proxy/ops/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 1000

/* The state directory and the control socket are others only after a restart. */
static void take_setting(struct role *role, struct keeper *keeper, int text_fd)
{
	struct config_errors errors = { 0 };
	struct config *config = source_from_descriptor(text_fd, &errors);

	if (config) { // the master has checked it
		log_setup(config->log_level, config->log_format);
		keeper_limit(keeper, &config->limits);
		keeper_describe(keeper, config);
		config_free(role->config);
		role->config = config;
	}
	config_errors_release(&errors);
}

/* The answer to a master that waits for it. */
SUSPENDS static void answer(int fd, bool agrees, const struct failure *failure)
{
	struct channel *channel = channel_new(fd);
	struct buffer text;
	struct failure ignored;

	buffer_init(&text, CHANNEL_MESSAGE_MAX);
	buffer_printf(&text, "%c%s", agrees ? CONTROL_YES : CONTROL_NO,
		      agrees ? "" : failure->text);
	channel_send(channel, buffer_bytes(&text), NULL, loop_deadline_ms(ANSWER_MS),
		     &ignored);
	buffer_release(&text);
	channel_close(channel);
}

SUSPENDS static void judge(struct keeper *keeper, int text_fd, int answer_fd)
{
	struct config_errors errors = { 0 };
	struct config *config = source_from_descriptor(text_fd, &errors);
	struct failure failure;
	bool agrees = true; // what is wrong with it, the master has said

	if (config) {
		agrees = keeper_agrees(keeper, config, false, &failure);
		config_free(config);
	}
	config_errors_release(&errors);
	answer(answer_fd, agrees, &failure);
}

/* Until the master says DRAIN or is gone. */
SUSPENDS static void obey(struct role *role, struct keeper *keeper)
{
	struct channel_descriptors *descriptors = memory_new(sizeof(*descriptors));
	struct control_message message;
	struct failure failure;

	while (control_receive(role->channel, &message, descriptors, DEADLINE_NEVER,
			       &failure) &&
	       message.type != CONTROL_DRAIN) {
		if (message.type == CONTROL_KEEPER && descriptors->count == 1) {
			keeper_serve(keeper, descriptors->list[0]);
		} else if (message.type == CONTROL_TOKENS && descriptors->count == 1) {
			keeper_ask_for_tokens(keeper, descriptors->list[0]);
		} else if (message.type == CONTROL_PAGE && descriptors->count == 1) {
			keeper_serve_page(keeper, descriptors->list[0]);
		} else if (message.type == CONTROL_SETTING && descriptors->count == 1) {
			take_setting(role, keeper, descriptors->list[0]);
		} else if (message.type == CONTROL_JUDGE && descriptors->count == 2) {
			judge(keeper, descriptors->list[0], descriptors->list[1]);
		}
	}
	free(descriptors);
}

/* The store of a predecessor that kept it in memory; -1: there is none. */
static int take_store(struct role *role)
{
	struct channel_descriptors *all = &role->descriptors;
	const int store = role->start.has_store && all->count > 0 ? all->list[0] : -1;

	if (store >= 0) {
		all->count--;
		memmove(all->list, all->list + 1, all->count * sizeof(all->list[0]));
	}
	return store;
}

/* What is only in memory goes to the next keeper, by way of the master. */
SUSPENDS static void leave(struct role *role, struct keeper *keeper)
{
	const struct control_message message = { .type = CONTROL_STORE };
	struct channel_descriptors *one = memory_new(sizeof(*one));
	struct failure ignored;

	one->list[0] = keeper_close_to_memory(keeper);
	one->count = 1;
	if (one->list[0] >= 0) {
		control_send(role->channel, &message, one, &ignored);
		close(one->list[0]);
	}
	free(one);
}

/* Only the first keeper of a service is asked: what runs was agreed to. */
static bool may_begin(const struct role *role, struct keeper *keeper,
		      struct failure *failure)
{
	return role->start.change == CONTROL_NOT_ASKED ||
	       keeper_agrees(keeper, role->config, role->start.change == CONTROL_ACCEPT,
			     failure);
}

SUSPENDS int keeper_live(struct role *role)
{
	const int store = take_store(role);
	struct failure failure;
	struct keeper *keeper;

	keeper = keeper_open_from(role->config->state, store, &role->config->limits,
				  &failure);
	if (store >= 0) {
		close(store);
	}
	if (keeper && (!may_begin(role, keeper, &failure) ||
		       !keeper_use_accounts(keeper, role->config, &failure))) {
		keeper_close(keeper);
		keeper = NULL;
	}
	if (!keeper) {
		log_say(LOG_ERROR, "not started", "keeper: %s%s%s", failure.text,
			failure.advice ? "; " : "", failure.advice ? failure.advice : "");
		return 1;
	}
	for (size_t i = 0; i < role->descriptors.count; i++) {
		keeper_serve(keeper, role->descriptors.list[i]);
	}
	keeper_answer_operators(keeper, role->config);
	role_ready(role);
	obey(role, keeper);
	leave(role, keeper);
	return 0;
}
