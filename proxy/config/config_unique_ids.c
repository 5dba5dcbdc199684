#include "proxy/config/config_unique_ids.h"

#include <inttypes.h>
#include <string.h>

static bool is(struct bytes text, const char *other)
{
	return bytes_equal(text, bytes_of(other));
}

static void say(const struct config *config, const struct config_route *route,
		const struct config_known *known, struct failure *why)
{
	const size_t index = (size_t)(route - config->routes);

	if (!is(known->unique_id, route->unique_id.text)) {
		failure_set(why, FAILURE_PERMANENT,
			    "routes[%zu].unique-id is %s, and was %.*s", index,
			    route->unique_id.text, (int)known->unique_id.len,
			    known->unique_id.at);
	} else {
		failure_set(why, FAILURE_PERMANENT,
			    "routes[%zu].folder is %s, and was %.*s", index,
			    route->folder, (int)known->folder.len, known->folder.at);
	}
}

bool config_changes(const struct config *config, const struct config_known *known,
		    struct config_verdict *verdict)
{
	const struct config_route *route = config_route_for(config, known->routed_as);

	if (!route || (is(known->unique_id, route->unique_id.text) &&
		       (known->folder.len == 0 || is(known->folder, route->folder)))) {
		return false;
	}
	if (verdict->changed++ == 0) {
		say(config, route, known, &verdict->why);
	}
	return true;
}

static uint64_t add(uint64_t hash, const char *text)
{
	for (size_t i = 0; i <= strlen(text); i++) {
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	}
	return hash;
}

uint64_t config_unique_ids_digest(const struct config *config)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < config->route_count; i++) {
		hash = add(hash, config->routes[i].match);
		hash = add(hash, config->routes[i].unique_id.text);
		hash = add(hash, config->routes[i].folder);
	}
	return hash;
}

bool config_refuse_change(const struct config_verdict *verdict, struct failure *failure)
{
	failure_set(
		failure, FAILURE_PERMANENT,
		"%s: %" PRIu64 " known account%s would get other unique-ids, and their "
		"clients download everything again",
		verdict->why.text, verdict->changed, verdict->changed == 1 ? "" : "s");
	return failure_advise(failure, CONFIG_CHANGE_ADVICE);
}
