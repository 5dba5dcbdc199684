/*
 * The master: reads the configuration, binds the ports, starts the roles and starts them
 * again, reloads, upgrades, drains. It never reads an octet from the network.
 */
#ifndef PROXY_OPS_MASTER_H
#define PROXY_OPS_MASTER_H

#include "proxy/ops/handover.h"
#include "proxy/ops/source.h"

/*
 * Runs until SIGTERM or SIGINT has drained everything. The exit code.
 * accept_new_unique_ids: the configuration may give known accounts others.
 */
int master_run(const struct source *source, struct config *config, int text_fd,
	       bool accept_new_unique_ids);

/*
 * The same after an upgrade: this program took the process over. config is that of the
 * hand-over's text.
 */
int master_resume(const struct source *source, const struct handover *handover,
		  struct config *config);

/*
 * Could workers serve with it? The same eyes as theirs: certificates and CA files are
 * opened too. FAILURE_PERMANENT names the file.
 */
bool master_can_use(const struct config *config, struct failure *failure);

#endif
