/*
 * The roles' side of the master's channel: what `popbridge --role NAME` runs.
 */
#ifndef PROXY_OPS_ROLE_H
#define PROXY_OPS_ROLE_H

#include "proxy/config/config.h"
#include "proxy/ops/control.h"

/* What a role got to start with. */
struct role {
	struct channel *channel; // owned; to the master
	struct config *config;   // owned
	struct control_message start;
	struct channel_descriptors descriptors; // those behind text, metrics and pulse
	int metrics;
};

/* Exit code. name: "worker", "keeper". */
int role_run(const char *name);

/* worker.c, keeper_role.c: the role's life, in its first task; the exit code. */
SUSPENDS int worker_live(struct role *role);
SUSPENDS int keeper_live(struct role *role);
SUSPENDS int web_live(struct role *role);   // web_role.c
SUSPENDS int oauth_live(struct role *role); // oauth_role.c
SUSPENDS int trial_live(struct role *role); // trial_role.c

/* Tell the master that we serve, and may read no files of others any more. */
SUSPENDS bool role_ready(struct role *role);

#endif
