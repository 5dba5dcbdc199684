/*
 * `popbridge health --sign-in`: a real sign-in, as a client's, through a listener of the
 * service that runs.
 */
#ifndef PROXY_CLI_HEALTH_SIGN_IN_H
#define PROXY_CLI_HEALTH_SIGN_IN_H

#include "proxy/base/memory.h"
#include "proxy/cli/enquiry.h"

/*
 * Where the service listens it says itself, over the control socket: so it is known who
 * gets the password, whatever certificate is shown. Prints what came of it. The exit
 * code.
 */
int health_sign_in(const struct enquiry_place *place, const char *user,
		   const struct secret *password, uint64_t limit_ms);

#endif
