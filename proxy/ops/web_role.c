/*
 * The web role: listens, says READY, then serves HTTP until the master hangs up or says
 * DRAIN. It has no tasks besides this one, so it may block.
 */
#include "proxy/ops/role.h"
#include "proxy/web/web.h"

SUSPENDS int web_live(struct role *role)
{
	const int history = role->descriptors.count > 0 ? role->descriptors.list[0] : -1;
	struct web *web = web_open(role->config, role->metrics, history);
	const bool told = web && role_ready(role);

	if (told) {
		web_serve(web, CONTROL_FD);
	}
	web_close(web);
	return told ? 0 : 1;
}
