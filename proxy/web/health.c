#include "proxy/web/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define FAILING_S (15 * 60) // older failures say nothing about now
#define DAY_S (24 * 60 * 60)

const char *health_name(enum health_state state)
{
	static const char *const names[] = {
		[HEALTH_OK] = "ok",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_DOWN] = "down",
	};

	return names[state];
}

static void note(struct health *health, enum health_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void note(struct health *health, enum health_state state, const char *format, ...)
{
	va_list arguments;

	if (state > health->state) {
		health->state = state;
	}
	if (health->count == HEALTH_REASONS) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(health->reasons[health->count], sizeof(health->reasons[0]), format,
		  arguments);
	va_end(arguments);
	health->count++;
}

/* Nothing is wrong, but nobody new should come. */
static void judge_drain(const struct metrics_values *values, uint64_t now_s,
			struct health *health)
{
	const uint64_t until_s = values->gauges[METRICS_DRAIN_UNTIL_S];

	note(health, HEALTH_DOWN,
	     "Draining: the service was told to stop. It takes no new connections; "
	     "sessions that run may end within the next %" PRIu64 " s (limits.drain), "
	     "then they are closed and delete nothing.",
	     until_s > now_s ? until_s - now_s : 0);
}

static void judge_processes(const struct metrics_values *values, struct health *health)
{
	const uint64_t workers = values->gauges[METRICS_WORKERS];
	const uint64_t wanted = values->gauges[METRICS_WORKERS_WANTED];

	if (workers == 0) {
		note(health, HEALTH_DOWN, "No worker is ready: nobody is served.");
	} else if (workers < wanted) {
		note(health, HEALTH_DEGRADED,
		     "%" PRIu64 " of %" PRIu64 " workers serve; the others are started "
		     "again. The log says why they ended.",
		     workers, wanted);
	}
	if (values->gauges[METRICS_KEEPERS] == 0) {
		note(health, HEALTH_DEGRADED,
		     "The keeper is away: sign-ins wait until it is back.");
	}
	if (values->gauges[METRICS_RELOAD_BROKEN] > 0) {
		note(health, HEALTH_DEGRADED,
		     "The last reload was refused, the settings before it are in force. "
		     "popbridge check names the mistakes.");
	}
	if (values->gauges[METRICS_FILES_BROKEN] > 0) {
		note(health, HEALTH_DEGRADED,
		     "Certificate files have changed and cannot be used; those before "
		     "them "
		     "are in use. The log says what is wrong.");
	}
}

static void judge_certificate(const char *file, uint64_t until_s, uint64_t now_s,
			      struct health *health)
{
	if (until_s == 0) {
		return;
	}
	if (until_s <= now_s) {
		note(health, HEALTH_DEGRADED,
		     "The certificate %.200s has expired: clients refuse it.", file);
	} else if (until_s - now_s < HEALTH_WARN_DAYS * DAY_S) {
		note(health, HEALTH_DEGRADED,
		     "The certificate %.200s expires in %" PRIu64 " days: renew it.",
		     file, (until_s - now_s) / DAY_S);
	}
}

static void judge_provider(const struct config_provider *provider, uint64_t until_s,
			   uint64_t now_s, struct health *health)
{
	const char *what = provider->certificate ? "certificate" : "client secret";

	if (until_s == 0) {
		return;
	}
	if (until_s <= now_s) {
		note(health, HEALTH_DEGRADED,
		     "Our %s at the provider %.100s has expired: it gives no tokens.",
		     what, provider->name);
	} else if (until_s - now_s < CONFIG_CREDENTIAL_WARN_S) {
		note(health, HEALTH_DEGRADED,
		     "Our %s at the provider %.100s expires in %" PRIu64
		     " days: renew it there.",
		     what, provider->name, (until_s - now_s) / DAY_S);
	}
}

bool health_is_route_failing(const struct metrics_route *route, uint64_t now_s)
{
	return route->last_failed_s > route->last_good_s &&
	       route->last_failed_s + FAILING_S > now_s;
}

static void judge_routes(const struct config *config, const struct metrics_values *values,
			 uint64_t now_s, struct health *health)
{
	for (size_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];
		const uint32_t place = metrics_find_route(route->match, route->server);

		if (place != METRICS_NO_ROUTE &&
		    health_is_route_failing(&values->routes[place], now_s)) {
			note(health, HEALTH_DEGRADED,
			     "The IMAP server %.120s fails: the last sign-in for %.80s "
			     "did "
			     "not get through.",
			     route->server, route->match);
		}
	}
}

void health_judge(const struct config *config, const struct metrics_values *values,
		  uint64_t now_s, struct health *out)
{
	*out = (struct health){ .state = HEALTH_OK };
	if (values->gauges[METRICS_DRAIN_UNTIL_S] > 0) {
		judge_drain(values, now_s, out);
	} else {
		judge_processes(values, out);
	}
	for (size_t i = 0; i < config->certificate_count && i < METRICS_CERTIFICATES;
	     i++) {
		judge_certificate(config->certificates[i].certificate,
				  values->certificates_s[i], now_s, out);
	}
	for (size_t i = 0; i < config->provider_count && i < METRICS_PROVIDERS; i++) {
		judge_provider(&config->providers[i], values->providers_s[i], now_s, out);
	}
	judge_routes(config, values, now_s, out);
}
