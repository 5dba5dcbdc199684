/*
 * The web role: says READY, then serves HTTP until the master hangs up or says DRAIN. It
 * has no tasks besides this one, so it may block.
 */
#include "proxy/ops/role.h"
#include "proxy/web/web.h"

SUSPENDS int web_live(struct role *role)
{
	return role_ready(role) ? web_run(role->config, role->metrics, CONTROL_FD) : 1;
}
