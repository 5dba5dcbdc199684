/*
 * Which user this process is, and what it may do beyond that. Started as root, the master
 * binds its ports and becomes an ordinary user who keeps two capabilities: to bind low
 * ports, and to read any file, for certificates' keys that only root may read. A role
 * gets the second one for its start, reads what it needs, and forgets it before it
 * serves.
 */
#ifndef PROXY_BASE_PRIVILEGE_H
#define PROXY_BASE_PRIVILEGE_H

#include "proxy/base/failure.h"

#include <sys/types.h>

struct privilege_user {
	char name[64];
	uid_t uid;
	gid_t gid;
};

/*
 * The user of this name or number. NULL: "popbridge", and "nobody" where there is none.
 * FAILURE_PERMANENT: no such user.
 */
bool privilege_find(const char *name, struct privilege_user *out,
		    struct failure *failure);

/* Root becomes that user. FAILURE_PERMANENT: root without the right to. */
bool privilege_become(const struct privilege_user *user, struct failure *failure);

/* No program that this process runs is more than it is itself; call at start. */
void privilege_never_gain(void);

/* In a child, before its exec: until privilege_forget() a role may read files and bind
 * low ports. System calls only. */
void privilege_lend(void);

/* This process itself becomes another program: what it may do is kept, or no more. */
void privilege_keep_over_exec(bool kept);

/* Nothing beyond the user, for good; root stays root. */
void privilege_forget(void);

#endif
