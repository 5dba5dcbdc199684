/*
 * The web role: listens, says READY, then serves HTTP until the master hangs up or says
 * DRAIN. It has no tasks besides this one, so it may block.
 */
#include "proxy/base/memory.h"
#include "proxy/ops/role.h"
#include "proxy/web/web.h"

#include <stdlib.h>

/* What the master says. False: to end. */
SUSPENDS static bool obey(struct role *role, struct web *web,
			  struct channel_descriptors *descriptors)
{
	struct control_message message;
	struct failure failure;

	if (!control_receive(role->channel, &message, descriptors, DEADLINE_NEVER,
			     &failure) ||
	    message.type == CONTROL_DRAIN) {
		return false;
	}
	if (message.type == CONTROL_PAGE && descriptors->count == 1) {
		web_connect(web, descriptors->list[0]);
	}
	return true;
}

SUSPENDS static bool serve(struct role *role, struct web *web)
{
	struct channel_descriptors *descriptors = memory_new(sizeof(*descriptors));
	bool good = true;

	do {
		good = web_serve(web, CONTROL_FD);
	} while (good && obey(role, web, descriptors));
	free(descriptors);
	return good;
}

SUSPENDS int web_live(struct role *role)
{
	const int history = role->descriptors.count > 0 ? role->descriptors.list[0] : -1;
	struct web *web = web_open(role->config, role->metrics, history);
	const bool good = web && role_ready(role) && serve(role, web);

	web_close(web);
	return good ? 0 : 1;
}
