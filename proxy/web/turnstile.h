/*
 * How often somebody may come in: each network (an IPv4 address, an IPv6 /64) 40 times at
 * once, and once a second after that.
 */
#ifndef PROXY_WEB_TURNSTILE_H
#define PROXY_WEB_TURNSTILE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define TURNSTILE_BURST 40
#define TURNSTILE_MS 1000

struct turnstile;

struct turnstile *turnstile_new(void);
void turnstile_free(struct turnstile *turnstile); // NULL is fine

/* False: not now. */
bool turnstile_pass(struct turnstile *turnstile, const struct sockaddr *from,
		    uint64_t now_ms);

#endif
