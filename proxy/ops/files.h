/*
 * Have the files a configuration names changed? Looked at by name, links followed, so
 * that certbot's and Kubernetes' links are seen to point elsewhere.
 */
#ifndef PROXY_OPS_FILES_H
#define PROXY_OPS_FILES_H

#include "proxy/config/config.h"

/*
 * A number that is another one as soon as a certificate or key of the listeners is
 * another file, or has been written to. A file that is not there counts as well.
 */
uint64_t files_mark(const struct config *config);

#endif
