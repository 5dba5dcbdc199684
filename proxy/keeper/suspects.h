/*
 * Accounts that were signing in when workers died: one that was there at two deaths, and
 * did not get through in between, may be what kills them. Pure; the clock is passed in.
 */
#ifndef PROXY_KEEPER_SUSPECTS_H
#define PROXY_KEEPER_SUSPECTS_H

#include "protocol/bytes.h"

#define SUSPECT_DEATHS 2
#define SUSPECT_MS (10 * 60 * 1000)        // deaths further apart have nothing in common
#define SUSPECT_REFUSED_MS (2 * 60 * 1000) // from the last death
#define SUSPECTS_MAX 20000

struct suspects;

struct suspects *suspects_new(void);
void suspects_free(struct suspects *suspects);

/* A worker died while it signed in. True: it is refused from now on. */
bool suspects_blame(struct suspects *suspects, struct bytes account, uint64_t now_ms);

/* A sign-in ended, and the worker lived. */
void suspects_clear(struct suspects *suspects, struct bytes account);

bool suspects_are_refused(const struct suspects *suspects, struct bytes account,
			  uint64_t now_ms);

/* Forget those whose time is over. */
void suspects_expire(struct suspects *suspects, uint64_t now_ms);

#endif
