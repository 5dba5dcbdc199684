/*
 * A bucket for each network, in a table of fixed size: who finds all its places taken
 * gets the one that has been quiet for longest, whose bucket is the fullest.
 */
#include "proxy/web/turnstile.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 4096
#define WAYS 8 // places that a network may have

struct place {
	uint64_t network; // 0: nobody's
	uint64_t full_ms; // when its bucket is full again
};

struct turnstile {
	struct place places[PLACES];
};

struct turnstile *turnstile_new(void)
{
	return memory_new(sizeof(struct turnstile));
}

void turnstile_free(struct turnstile *turnstile)
{
	free(turnstile);
}

/* Never 0. IPv4, mapped or not, by its address; IPv6 by its first half. */
static uint64_t network_of(const struct sockaddr *from)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	uint64_t half;
	uint32_t address;

	if (from && from->sa_family == AF_INET) {
		memcpy(&four, from, sizeof(four));
		return (uint64_t)1 << 32 | four.sin_addr.s_addr;
	}
	if (!from || from->sa_family != AF_INET6) {
		return 1;
	}
	memcpy(&six, from, sizeof(six));
	if (memcmp(&six.sin6_addr, mapped, sizeof(mapped)) == 0) {
		memcpy(&address, (const char *)&six.sin6_addr + sizeof(mapped),
		       sizeof(address));
		return (uint64_t)1 << 32 | address;
	}
	memcpy(&half, &six.sin6_addr, sizeof(half));
	return half ? half : 2;
}

static struct place *find(struct turnstile *turnstile, uint64_t network)
{
	const size_t first = (size_t)((network * 0x9E3779B97F4A7C15U) >> 40) % PLACES;
	struct place *oldest = &turnstile->places[first];

	for (size_t i = 0; i < WAYS; i++) {
		struct place *place = &turnstile->places[(first + i) % PLACES];

		if (place->network == network) {
			return place;
		}
		if (place->full_ms < oldest->full_ms) {
			oldest = place;
		}
	}
	*oldest = (struct place){ .network = network };
	return oldest;
}

bool turnstile_pass(struct turnstile *turnstile, const struct sockaddr *from,
		    uint64_t now_ms)
{
	struct place *place = find(turnstile, network_of(from));
	const uint64_t full_ms = place->full_ms > now_ms ? place->full_ms : now_ms;

	if (full_ms + TURNSTILE_MS > now_ms + TURNSTILE_BURST * TURNSTILE_MS) {
		return false;
	}
	place->full_ms = full_ms + TURNSTILE_MS;
	return true;
}
