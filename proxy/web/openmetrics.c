#include "proxy/web/openmetrics.h"

#include "proxy/web/escape.h"

#include <inttypes.h>

#define P "popbridge_"

struct family {
	const char *name;
	const char *help;
};

static const struct family counters[METRICS_COUNTERS] = {
	[METRICS_CONNECTIONS] = { "connections", "Client connections accepted." },
	[METRICS_SILENT] = { "silent_connections",
			     "Client connections closed without an octet." },
	[METRICS_SIGN_INS] = { "sign_ins", "Sign-ins that worked." },
	[METRICS_SIGN_INS_WITHOUT_TLS] = { "sign_ins_without_tls",
					   "Sign-ins that worked, without TLS." },
	[METRICS_SIGN_INS_LEGACY_TLS] = { "sign_ins_legacy_tls",
					  "Sign-ins that worked, over TLS 1.0 or 1.1." },
	[METRICS_THROTTLED] = { "sign_ins_throttled",
				"Sign-ins refused before any upstream contact." },
	[METRICS_MESSAGES_RETRIEVED] = { "messages_retrieved",
					 "Messages delivered whole." },
	[METRICS_OCTETS_RETRIEVED] = { "retrieved_octets",
				       "Octets of messages delivered." },
	[METRICS_MESSAGES_DELETED] = { "messages_deleted",
				       "Messages removed upstream, proven." },
	[METRICS_OCTETS_DELETED] = { "deleted_octets", "Octets of messages removed." },
	[METRICS_RECONNECTS] = { "upstream_reconnects",
				 "Upstream connections lost and opened again." },
	[METRICS_PARKED_USED] = { "parked_used",
				  "Sign-ins that found a parked connection." },
	[METRICS_LISTS_REUSED] = { "lists_reused",
				   "Sign-ins answered without the server (min-poll)." },
	[METRICS_WRONG_SIZES] = { "wrong_sizes",
				  "Messages whose RFC822.SIZE was not their size." },
	[METRICS_ACCEPT_PAUSES] = { "accept_pauses",
				    "Times that accepting waited for descriptors." },
	[METRICS_WORKER_RESTARTS] = { "worker_restarts",
				      "Workers started again after a death." },
	[METRICS_KEEPER_RESTARTS] = { "keeper_restarts",
				      "Keepers started again after a death." },
	[METRICS_WEB_RESTARTS] = { "web_restarts",
				   "Web roles started again after a death." },
	[METRICS_OAUTH_RESTARTS] = { "oauth_restarts",
				     "OAuth2 roles started again after a death." },
	[METRICS_RELOADS] = { "reloads", "Reloads that took effect." },
	[METRICS_RELOADS_REFUSED] = { "reloads_refused",
				      "Reloads refused because something was wrong." },
	[METRICS_UPGRADES] = { "upgrades", "Upgrades to another binary in place." },
	[METRICS_UPGRADES_REFUSED] = { "upgrades_refused",
				       "Upgrades that did not take effect." },
};

static const struct family gauges[METRICS_GAUGES] = {
	[METRICS_UPSTREAM_CONNECTIONS] = { "upstream_connections",
					   "Connections to IMAP servers now." },
	[METRICS_UPSTREAM_PARKED] = { "upstream_parked",
				      "Of these, kept between sessions." },
	[METRICS_STARTED_S] = { "start_time_seconds",
				"Unix time of the service's start." },
	[METRICS_WORKERS] = { "workers_ready", "Workers that serve now." },
	[METRICS_WORKERS_WANTED] = { "workers_wanted", "Workers that should serve." },
	[METRICS_KEEPERS] = { "keepers_ready", "Keepers that serve now: 0 or 1." },
	[METRICS_RELOAD_BROKEN] = { "reload_refused", "1: the last reload was refused." },
	[METRICS_CONSENTS_NEEDED] = { "consents_needed",
				      "Accounts that need consent anew." },
	[METRICS_DRAIN_UNTIL_S] = { "drain_until_seconds",
				    "Unix time by which the sessions of a service that "
				    "stops have ended; 0: it does not stop." },
	[METRICS_FILES_BROKEN] = { "certificate_files_refused",
				   "1: certificate files changed and are no good." },
};

static const char *const states[METRICS_STATES] = {
	[METRICS_STATE_AUTHORIZATION] = "authorization",
	[METRICS_STATE_SIGNING_IN] = "signing-in",
	[METRICS_STATE_TRANSACTION] = "transaction",
	[METRICS_STATE_UPDATE] = "update",
};

static void begin(struct buffer *out, const char *name, const char *type,
		  const char *help)
{
	buffer_printf(out, "# TYPE " P "%s %s\n# HELP " P "%s %s\n", name, type, name,
		      help);
}

static void write_counters(const struct metrics_values *now, struct buffer *out)
{
	for (size_t i = 0; i < METRICS_COUNTERS; i++) {
		begin(out, counters[i].name, "counter", counters[i].help);
		buffer_printf(out, P "%s_total %" PRIu64 "\n", counters[i].name,
			      now->counters[i]);
	}
}

static void write_gauge(struct buffer *out, const struct family *family, uint64_t value)
{
	begin(out, family->name, "gauge", family->help);
	buffer_printf(out, P "%s %" PRIu64 "\n", family->name, value);
}

static void write_kinds(const char *name, const char *help,
			const uint64_t counted[METRICS_FAILURES], struct buffer *out)
{
	begin(out, name, "counter", help);
	for (int kind = 0; kind < METRICS_FAILURES; kind++) {
		buffer_printf(out, P "%s_total{kind=\"%s\"} %" PRIu64 "\n", name,
			      failure_kind_name((enum failure_kind)kind), counted[kind]);
	}
}

static void write_sessions(const struct metrics_values *now, struct buffer *out)
{
	begin(out, "sessions", "gauge", "Sessions now, by state.");
	for (size_t i = METRICS_STATE_NONE + 1; i < METRICS_STATES; i++) {
		buffer_printf(out, P "sessions{state=\"%s\"} %" PRIu64 "\n", states[i],
			      now->sessions[i]);
	}
	begin(out, "sessions_ended", "counter", "Sessions ended, by reason.");
	for (int end = 0; end < SESSION_ENDS; end++) {
		buffer_printf(out, P "sessions_ended_total{reason=");
		escape_label(out, session_end_name((enum session_end)end));
		buffer_printf(out, "} %" PRIu64 "\n", now->ended[end]);
	}
}

static void write_route_labels(struct buffer *out, uint32_t route)
{
	buffer_printf(out, "{route=");
	escape_label(out, metrics_route_match(route));
	buffer_printf(out, ",server=");
	escape_label(out, metrics_route_server(route));
}

/* first: the number of the first route. */
static void write_route_count(struct buffer *out, const char *name, const char *help,
			      const uint64_t *first)
{
	const size_t words = sizeof(struct metrics_route) / sizeof(uint64_t);

	begin(out, name, "counter", help);
	for (uint32_t i = 0; metrics_route_match(i); i++) {
		buffer_printf(out, P "%s_total", name);
		write_route_labels(out, i);
		buffer_printf(out, "} %" PRIu64 "\n", first[i * words]);
	}
}

static void write_route_counts(const struct metrics_values *now, struct buffer *out)
{
	write_route_count(out, "upstream_opened",
			  "Upstream connections opened, signed in, folder selected.",
			  &now->routes[0].opened);
	write_route_count(out, "upstream_slowed_down",
			  "Times that the server asked for less.",
			  &now->routes[0].slowed_down);
	write_route_count(out, "upstream_held_back",
			  "Times that the server was left alone, for that or by limits.",
			  &now->routes[0].held_back);
	begin(out, "upstream_failed", "counter",
	      "Upstream connections that came to nothing, by kind.");
	for (uint32_t i = 0; metrics_route_match(i); i++) {
		for (int kind = 0; kind < METRICS_FAILURES; kind++) {
			buffer_printf(out, P "upstream_failed_total");
			write_route_labels(out, i);
			buffer_printf(out, ",kind=\"%s\"} %" PRIu64 "\n",
				      failure_kind_name((enum failure_kind)kind),
				      now->routes[i].failed[kind]);
		}
	}
}

static void write_route_health(const struct view *view, struct buffer *out)
{
	begin(out, "upstream_failing", "gauge",
	      "1: the server failed after it last worked, within 15 minutes.");
	for (uint32_t i = 0; metrics_route_match(i); i++) {
		buffer_printf(out, P "upstream_failing");
		write_route_labels(out, i);
		buffer_printf(
			out, "} %d\n",
			health_is_route_failing(&view->now->routes[i], view->now_s));
	}
}

static void write_series(struct buffer *out, const char *suffix, uint32_t route,
			 size_t step)
{
	buffer_printf(out, P "upstream_step_seconds_%s", suffix);
	write_route_labels(out, route);
	buffer_printf(out, ",step=\"%s\"", view_step_names[step]);
}

static void write_histogram(const struct metrics_histogram *histogram, uint32_t route,
			    size_t step, struct buffer *out)
{
	uint64_t count = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		count += histogram->buckets[i];
		write_series(out, "bucket", route, step);
		if (i < METRICS_BUCKETS - 1) {
			buffer_printf(out, ",le=\"%u.%03u\"", metrics_bounds_ms[i] / 1000,
				      metrics_bounds_ms[i] % 1000);
		} else {
			buffer_printf(out, ",le=\"+Inf\"");
		}
		buffer_printf(out, "} %" PRIu64 "\n", count);
	}
	write_series(out, "count", route, step);
	buffer_printf(out, "} %" PRIu64 "\n", count);
	write_series(out, "sum", route, step);
	buffer_printf(out, "} %" PRIu64 ".%03" PRIu64 "\n", histogram->sum_ms / 1000,
		      histogram->sum_ms % 1000);
}

static void write_steps(const struct metrics_values *now, struct buffer *out)
{
	begin(out, "upstream_step_seconds", "histogram",
	      "How long the steps of an upstream connection take.");
	buffer_printf(out, "# UNIT " P "upstream_step_seconds seconds\n");
	for (uint32_t i = 0; metrics_route_match(i); i++) {
		for (size_t step = 0; step < METRICS_STEPS; step++) {
			write_histogram(&now->routes[i].steps[step], i, step, out);
		}
	}
}

static void write_certificates(const struct view *view, struct buffer *out)
{
	begin(out, "certificate_expiry_timestamp_seconds", "gauge",
	      "Unix time at which a certificate expires, by its place in the "
	      "configuration.");
	for (size_t i = 0; i < METRICS_CERTIFICATES; i++) {
		if (view->now->certificates_s[i] > 0) {
			buffer_printf(out,
				      P "certificate_expiry_timestamp_seconds"
					"{certificate=\"%zu\"} %" PRIu64 "\n",
				      i, view->now->certificates_s[i]);
		}
	}
}

static void write_providers(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	begin(out, "provider_credential_expiry_timestamp_seconds", "gauge",
	      "Unix time at which our secret or certificate at a provider ends.");
	for (size_t i = 0; i < config->provider_count && i < METRICS_PROVIDERS; i++) {
		if (view->now->providers_s[i] > 0) {
			buffer_printf(out,
				      P "provider_credential_expiry_timestamp_seconds"
					"{provider=\"%s\"} %" PRIu64 "\n",
				      config->providers[i].name,
				      view->now->providers_s[i]);
		}
	}
	begin(out, "consent_expires_seconds", "gauge",
	      "Until the first consent ends, of those whose end is known.");
	if (view->now->consent_s > 0) {
		buffer_printf(out, P "consent_expires_seconds %" PRIi64 "\n",
			      (int64_t)view->now->consent_s - (int64_t)view->now_s);
	}
}

void openmetrics_write(const struct view *view, struct buffer *out)
{
	static const struct family ready = { "ready", "1: the service can serve." };
	static const struct family degraded = { "degraded",
						"1: something needs attention." };

	begin(out, "build", "info", "What runs.");
	buffer_printf(out, P "build_info{version=\"" POPBRIDGE_VERSION "\"} 1\n");
	write_gauge(out, &ready, view->health.state != HEALTH_DOWN);
	write_gauge(out, &degraded, view->health.state != HEALTH_OK);
	for (size_t i = 0; i < METRICS_GAUGES; i++) {
		write_gauge(out, &gauges[i], view->now->gauges[i]);
	}
	write_counters(view->now, out);
	write_kinds("sign_ins_failed", "Sign-ins that did not work, by kind.",
		    view->now->sign_ins_failed, out);
	write_kinds("refused", "Commands of signed-in clients refused, by kind.",
		    view->now->refused, out);
	write_sessions(view->now, out);
	write_certificates(view, out);
	write_providers(view, out);
	write_route_counts(view->now, out);
	write_route_health(view, out);
	write_steps(view->now, out);
	buffer_append(out, bytes_of("# EOF\n"));
}
