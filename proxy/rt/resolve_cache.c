#include "proxy/rt/resolve_cache.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct kept_answer {
	struct kept_answer *next;
	char *host; // owned
	uint16_t port;
	uint64_t since_ms;
	uint64_t fresh_ms; // for so long
	struct resolve_answer answer;
};

static struct kept_answer *answers; // kept_answer::next

static struct kept_answer *find(const char *host, uint16_t port)
{
	struct kept_answer *kept = answers;

	while (kept && (kept->port != port || strcmp(kept->host, host) != 0)) {
		kept = kept->next;
	}
	return kept;
}

static struct kept_answer *add(const char *host, uint16_t port)
{
	struct kept_answer *kept = memory_new(sizeof(*kept));

	kept->host = memory_copy_text(bytes_of(host));
	kept->port = port;
	kept->next = answers;
	answers = kept;
	return kept;
}

void resolve_cache_keep(const char *host, uint16_t port,
			const struct resolve_answer *answer, uint64_t ttl_s)
{
	struct kept_answer *kept = find(host, port);

	kept = kept ? kept : add(host, port);
	kept->since_ms = loop_now_ms();
	kept->fresh_ms =
		ttl_s < RESOLVE_FRESH_MAX_MS / 1000 ? ttl_s * 1000 : RESOLVE_FRESH_MAX_MS;
	kept->answer = *answer;
}

bool resolve_cache_find(const char *host, uint16_t port, bool stale,
			struct resolve_answer *out)
{
	const struct kept_answer *kept = find(host, port);

	if (!kept || loop_now_ms() - kept->since_ms >=
			     (stale ? RESOLVE_STALE_MAX_MS : kept->fresh_ms)) {
		return false;
	}
	*out = kept->answer;
	return true;
}

void resolve_cache_clear(void)
{
	while (answers) {
		struct kept_answer *kept = answers;

		answers = kept->next;
		free(kept->host);
		free(kept);
	}
}
