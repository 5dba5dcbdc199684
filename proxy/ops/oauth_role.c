/*
 * The oauth role: asks providers for tokens, for whichever keeper it is introduced to,
 * until the master says DRAIN.
 */
#include "proxy/base/memory.h"
#include "proxy/oauth/oauth.h"
#include "proxy/ops/role.h"

#include <stdlib.h>

SUSPENDS int oauth_live(struct role *role)
{
	struct channel_descriptors *descriptors = memory_new(sizeof(*descriptors));
	struct oauth *oauth = oauth_new(role->config);
	struct control_message message;
	struct failure failure;

	role_ready(role);
	oauth_watch(oauth);
	while (control_receive(role->channel, &message, descriptors, DEADLINE_NEVER,
			       &failure) &&
	       message.type != CONTROL_DRAIN) {
		if (message.type == CONTROL_TOKENS && descriptors->count == 1) {
			oauth_serve(oauth, descriptors->list[0]);
		}
	}
	free(descriptors);
	oauth_free(oauth);
	return 0;
}
