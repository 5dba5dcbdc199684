/*
 * What a client said, and what goes upstream for it: the same, unless the account is
 * registered with the keeper.
 */
#ifndef PROXY_SESSION_CREDENTIAL_H
#define PROXY_SESSION_CREDENTIAL_H

#include "protocol/sasl.h"
#include "proxy/session/destination.h"

/* What the client said. All borrowed. */
struct credential_said {
	const struct keeper_sign_in *who;
	enum sasl_mechanism mechanism;
	struct bytes stamp; // APOP: the greeting's; else empty
};

struct credential {
	struct destination destination;
	enum sasl_mechanism mechanism;
	struct bytes secret; // borrowed: the client's, or keeper's
	bool registered;     // else the client's own goes upstream
	struct keeper_credential keeper;
};

/*
 * Where it leads, and with what. FAILURE_AUTH: wrong password, no such route.
 * FAILURE_TEMPORARY, FAILURE_PERMANENT: keeper_prove()'s. Release it either way.
 */
SUSPENDS bool credential_find(const struct service *service,
			      const struct credential_said *said, uint64_t deadline_ms,
			      struct credential *out, struct failure *failure);
void credential_release(struct credential *credential);

#endif
