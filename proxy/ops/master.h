/*
 * The master: reads the configuration, binds the ports, starts the roles and starts them
 * again, reloads, drains. It never reads an octet from the network.
 */
#ifndef PROXY_OPS_MASTER_H
#define PROXY_OPS_MASTER_H

#include "proxy/ops/source.h"

/* Runs until SIGTERM or SIGINT has drained everything. The exit code. */
int master_run(const struct source *source, struct config *config, int text_fd);

#endif
