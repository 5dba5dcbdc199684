/*
 * The trial: another program, started by the master before it makes room for it. READY
 * means: this program can read the configuration in force, has what the listeners need,
 * and understands the hand-over. It ends when the master hangs up.
 */
#include "proxy/ops/handover.h"
#include "proxy/ops/master.h"
#include "proxy/ops/role.h"

static bool can_take_over(const struct role *role, struct failure *failure)
{
	struct handover handover = { 0 };
	bool good = role->descriptors.count > 0
			    ? handover_read(role->descriptors.list[0], &handover, failure)
			    : failure_set(failure, FAILURE_PROTOCOL, "no hand-over");

	if (good && handover.listener_count != role->config->listener_count) {
		good = failure_set(failure, FAILURE_PERMANENT,
				   "it reads another number of listeners");
	}
	handover_release(&handover);
	return good && master_can_use(role->config, failure);
}

SUSPENDS int trial_live(struct role *role)
{
	struct control_message message;
	struct failure failure;

	if (!can_take_over(role, &failure)) {
		log_say(LOG_ERROR, "not usable", "%s", failure.text);
		return 1;
	}
	role_ready(role);
	while (control_receive(role->channel, &message, NULL, DEADLINE_NEVER, &failure) &&
	       message.type != CONTROL_DRAIN) {
	}
	return 0;
}
