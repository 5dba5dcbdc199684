/*
 * The configuration of a container: what the environment says, as the YAML it stands for.
 *
 *	POPBRIDGE_UPSTREAM    imaps://imap.example.com: every user to that server; needed
 *	POPBRIDGE_PLAIN_FROM  192.168.0.0/16,10.1.2.3: may sign in without TLS
 *	POPBRIDGE_STATE       where the certificate is kept; default /var/lib/popbridge
 *
 * Each also as NAME_FILE: the first line of that file is the value. Listens on 1110
 * (STARTTLS) and 1995 (TLS), IPv4 and IPv6; health and metrics on 9110.
 *
 * What Kubernetes and Docker set for a service of the name popbridge (POPBRIDGE_PORT,
 * POPBRIDGE_SERVICE_HOST and so on) is none of these and nobody's mistake.
 */
#ifndef PROXY_CLI_ENVIRONMENT_H
#define PROXY_CLI_ENVIRONMENT_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"

#define ENVIRONMENT_MAX 65536 // octets of YAML, with every variable at its longest
#define ENVIRONMENT_NAME "environment" // in place of a file's name in messages

/* A variable of these that is set, with _FILE where it is that; NULL: none is. */
const char *environment_given(void);

/* FAILURE_PERMANENT: something named POPBRIDGE_... is set that is no such variable. */
bool environment_has_only_known_names(struct failure *failure);

/*
 * The whole configuration, to be judged by config_parse(); out->max is ENVIRONMENT_MAX.
 * FAILURE_PERMANENT: the server is missing, a variable is given twice or too long, its
 * file cannot be read, or it has control characters.
 */
bool environment_yaml(struct buffer *out, struct failure *failure);

#endif
