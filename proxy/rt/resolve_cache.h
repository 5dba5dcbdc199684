/*
 * The last good answers of the name servers: fresh ones spare a question, old ones stand
 * in while no name server answers. The names are those of the configuration, so they are
 * few.
 */
#ifndef PROXY_RT_RESOLVE_CACHE_H
#define PROXY_RT_RESOLVE_CACHE_H

#include "proxy/rt/connect.h"

#define RESOLVE_FRESH_MAX_MS (5 * 60 * 1000)  // however long the answer says it is good
#define RESOLVE_STALE_MAX_MS (60 * 60 * 1000) // while nobody answers

struct resolve_answer {
	size_t count;
	struct address addresses[RESOLVE_MAX];
};

/* ttl_s: as the answer says. 0: only good while nobody answers. */
void resolve_cache_keep(const char *host, uint16_t port,
			const struct resolve_answer *answer, uint64_t ttl_s);

/* stale: one that would have to be asked for again is fine, too. */
bool resolve_cache_find(const char *host, uint16_t port, bool stale,
			struct resolve_answer *out);

void resolve_cache_clear(void);

#endif
