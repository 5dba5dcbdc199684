/*
 * One POP3 client (RFC 1939), from accept to close: AUTHORIZATION, TRANSACTION, UPDATE.
 */
#ifndef PROXY_SESSION_SESSION_H
#define PROXY_SESSION_SESSION_H

#include "proxy/session/service.h"

/*
 * The whole life of a connection, in a task of its own. Takes the stream over. Nothing
 * is deleted unless the client said QUIT.
 */
SUSPENDS void session_run(struct service *service, const struct config_listener *listener,
			  struct stream *client);

/*
 * End them now, without UPDATE; one whose QUIT is being committed finishes that first.
 * Sessions in AUTHORIZATION too.
 */
void session_cancel_all(struct service *service);

/* The same for those of one POP3 user, signing in or signed in. How many there are. */
uint32_t session_kick(struct service *service, struct bytes user);

/*
 * admission.c, a task of each worker, until it is cancelled: makes room where other
 * workers ask for it, and says in the log who was turned away. argument: the service.
 */
SUSPENDS void admission_tend(void *argument);

#endif
