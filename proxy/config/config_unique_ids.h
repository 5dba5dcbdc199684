/*
 * Would a configuration give accounts other unique-ids than their clients know? Those
 * would download everything again. What the clients know is what the keeper has noted.
 */
#ifndef PROXY_CONFIG_CONFIG_UNIQUE_IDS_H
#define PROXY_CONFIG_CONFIG_UNIQUE_IDS_H

#include "proxy/config/config.h"

/* What the unique-ids of an account are made by. All borrowed. */
struct config_known {
	struct bytes account;
	struct bytes routed_as; // the name that chose the route
	struct bytes folder;    // the route's; empty: the user or the device chose it
	struct bytes unique_id; // the route's template
};

/* What became of looking at all that is known. Zeroed: nothing is known. */
struct config_verdict {
	uint64_t changed;   // so many would get others
	struct failure why; // about the first
};

/* Does it get others? Then that is counted, too. */
bool config_changes(const struct config *config, const struct config_known *known,
		    struct config_verdict *verdict);

/* What stands in the configuration about unique-ids, as a number: to agree to it. */
uint64_t config_unique_ids_digest(const struct config *config);

#define CONFIG_CHANGE_ADVICE                                                             \
	"put it back; or, where that is meant, start once with serve "                   \
	"--accept-new-unique-ids, or run check --accept-new-unique-ids and reload"

/* For who has found changes: FAILURE_PERMANENT with that advice. */
bool config_refuse_change(const struct config_verdict *verdict, struct failure *failure);

#endif
