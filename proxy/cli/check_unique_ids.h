/*
 * Would a configuration give known accounts other unique-ids? The service that runs says
 * what they have; where none does, its state directory.
 */
#ifndef PROXY_CLI_CHECK_UNIQUE_IDS_H
#define PROXY_CLI_CHECK_UNIQUE_IDS_H

#include "proxy/config/config.h"

/* accept: the service that runs is told that it may. False: it would, and that is said.
 */
bool check_unique_ids(const struct config *config, bool accept);

#endif
