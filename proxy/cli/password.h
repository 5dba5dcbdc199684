/*
 * A password for a command: from a file, standard input or the terminal, never from the
 * command line, where others would see it.
 */
#ifndef PROXY_CLI_PASSWORD_H
#define PROXY_CLI_PASSWORD_H

#include "proxy/base/memory.h"

/*
 * The first line of path ("-": standard input); NULL asks at the terminal without showing
 * it. False: there was none, and why was printed.
 */
bool password_get(const char *path, struct secret *out);

#endif
