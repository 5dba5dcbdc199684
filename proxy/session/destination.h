/*
 * Where a POP3 user name leads: the route, the upstream user, the folder.
 */
#ifndef PROXY_SESSION_DESTINATION_H
#define PROXY_SESSION_DESTINATION_H

#include "proxy/session/service.h"

struct destination {
	struct upstream *upstream; // borrowed
	struct buffer name;        // that chose the route
	struct buffer user;        // the upstream user
	struct buffer folder;      // NUL-terminated; empty: the route's own
};

/*
 * With a route's folder-separator "+", "bob+Archive", "bob+Archive@example.com" and
 * "bob@example.com+Archive" are bob's folder Archive. FAILURE_AUTH: no route, or none
 * that makes an upstream user of this name. Release it either way.
 */
bool destination_find(const struct service *service, struct bytes name,
		      struct destination *out, struct failure *failure);
void destination_release(struct destination *destination);

const char *destination_folder(const struct destination *destination);

#endif
