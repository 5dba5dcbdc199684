/*
 * The Host header: a page of somebody else's whose name points at us must not read ours
 * (DNS rebinding), so the name must be one that nobody can point.
 */
#ifndef PROXY_WEB_HOST_H
#define PROXY_WEB_HOST_H

#include "proxy/config/config.h"

/*
 * A numeric address, localhost or one of web.host-names, with or without a port. host:
 * untrusted; NULL: none was sent, which is no.
 */
bool host_is_ours(const struct config_web *web, const char *host);

#endif
