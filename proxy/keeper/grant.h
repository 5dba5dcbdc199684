/*
 * A provider's grant is somebody's consent: whose it is, and that it becomes an account's
 * only where it is the right person's. The same for the device flow and for the page.
 */
#ifndef PROXY_KEEPER_GRANT_H
#define PROXY_KEEPER_GRANT_H

#include "proxy/config/config.h"
#include "proxy/keeper/tokens.h"

enum grant_verdict {
	GRANT_TAKEN,
	GRANT_OF_ANOTHER, // taken back at the provider, where that is possible
	GRANT_OF_NO_USE,  // not written, or without what a consent needs
};

/*
 * What this reply granted becomes the account's, on the disk. Else *failure says why not,
 * and nothing is stored. by_operator: who pasted a token knows whose it is.
 */
SUSPENDS enum grant_verdict grant_take(struct tokens *tokens, const struct config *config,
				       const struct registered *registered,
				       bool by_operator, const struct oauth_reply *reply,
				       struct failure *failure);

/* It is nobody's: taken back at the provider, where that is possible, and forgotten. */
SUSPENDS void grant_drop(struct tokens *tokens, const struct registered *registered,
			 const struct oauth_reply *reply);

/* Does the account's provider say who consented? Else whoever has a link is believed. */
bool grant_tells_person(const struct config *config, const struct registered *registered);

/* Who has to consent: signs-in-as, or the mailbox where that is not said. */
const char *grant_person(const struct registered *registered);

#endif
