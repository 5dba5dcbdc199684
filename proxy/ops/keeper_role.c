/*
 * The keeper as a role: opens the store, serves the workers that START brings and those
 * that come later, until the master lets go of the channel.
 */
#include "proxy/base/memory.h"
#include "proxy/keeper/keeper.h"
#include "proxy/ops/role.h"

#include <stdlib.h>

SUSPENDS int keeper_live(struct role *role)
{
	struct channel_descriptors *descriptors = memory_new(sizeof(*descriptors));
	struct control_message message;
	struct failure failure;
	struct keeper *keeper;

	keeper = keeper_open(role->config->state, &role->config->limits, &failure);
	if (!keeper) {
		log_say(LOG_ERROR, "not started", "keeper: %s%s%s", failure.text,
			failure.advice ? "; " : "", failure.advice ? failure.advice : "");
		free(descriptors);
		return 1;
	}
	for (size_t i = 0; i < role->descriptors.count; i++) {
		keeper_serve(keeper, role->descriptors.list[i]);
	}
	role_ready(role);
	while (control_receive(role->channel, &message, descriptors, DEADLINE_NEVER,
			       &failure) &&
	       message.type != CONTROL_DRAIN) {
		if (message.type == CONTROL_KEEPER && descriptors->count == 1) {
			keeper_serve(keeper, descriptors->list[0]);
		}
	}
	keeper_close(keeper);
	free(descriptors);
	return 0;
}
