#include "proxy/web/status.h"

#include "proxy/web/escape.h"

#include <inttypes.h>

/* JSON: "name":value pairs with commas between ------------------------------------ */

static void comma(struct buffer *out, size_t index)
{
	if (index > 0) {
		buffer_append(out, bytes_of(","));
	}
}

static void write_reasons(const struct health *health, struct buffer *out)
{
	buffer_printf(out, "\"status\":\"%s\",\"reasons\":[", health_name(health->state));
	for (size_t i = 0; i < health->count; i++) {
		comma(out, i);
		escape_json(out, health->reasons[i]);
	}
	buffer_append(out, bytes_of("]"));
}

void status_write_health(const struct health *health, struct buffer *out)
{
	buffer_append(out, bytes_of("{"));
	write_reasons(health, out);
	buffer_append(out, bytes_of("}\n"));
}

static void write_kinds(const char *name, const uint64_t counted[METRICS_FAILURES],
			struct buffer *out)
{
	buffer_printf(out, ",\"%s\":{", name);
	for (int kind = 0; kind < METRICS_FAILURES; kind++) {
		comma(out, (size_t)kind);
		escape_json(out, failure_kind_name((enum failure_kind)kind));
		buffer_printf(out, ":%" PRIu64, counted[kind]);
	}
	buffer_append(out, bytes_of("}"));
}

static void write_sessions(const struct metrics_values *now, struct buffer *out)
{
	buffer_printf(out,
		      ",\"sessions\":{\"authorization\":%" PRIu64
		      ",\"signing-in\":%" PRIu64 ",\"transaction\":%" PRIu64
		      ",\"update\":%" PRIu64 "},\"ended\":{",
		      now->sessions[METRICS_STATE_AUTHORIZATION],
		      now->sessions[METRICS_STATE_SIGNING_IN],
		      now->sessions[METRICS_STATE_TRANSACTION],
		      now->sessions[METRICS_STATE_UPDATE]);
	for (int end = 0; end < SESSION_ENDS; end++) {
		comma(out, (size_t)end);
		escape_json(out, session_end_name((enum session_end)end));
		buffer_printf(out, ":%" PRIu64, now->ended[end]);
	}
	buffer_append(out, bytes_of("}"));
}

static void write_totals(const struct metrics_values *now, struct buffer *out)
{
	static const struct {
		const char *name;
		enum metrics_counter counter;
	} totals[] = {
		{ "connections", METRICS_CONNECTIONS },
		{ "silent-connections", METRICS_SILENT },
		{ "sign-ins", METRICS_SIGN_INS },
		{ "sign-ins-without-tls", METRICS_SIGN_INS_WITHOUT_TLS },
		{ "sign-ins-legacy-tls", METRICS_SIGN_INS_LEGACY_TLS },
		{ "throttled", METRICS_THROTTLED },
		{ "messages-retrieved", METRICS_MESSAGES_RETRIEVED },
		{ "octets-retrieved", METRICS_OCTETS_RETRIEVED },
		{ "messages-deleted", METRICS_MESSAGES_DELETED },
		{ "octets-deleted", METRICS_OCTETS_DELETED },
		{ "reconnects", METRICS_RECONNECTS },
		{ "wrong-sizes", METRICS_WRONG_SIZES },
		{ "worker-restarts", METRICS_WORKER_RESTARTS },
		{ "keeper-restarts", METRICS_KEEPER_RESTARTS },
		{ "reloads", METRICS_RELOADS },
		{ "reloads-refused", METRICS_RELOADS_REFUSED },
		{ "upgrades", METRICS_UPGRADES },
		{ "upgrades-refused", METRICS_UPGRADES_REFUSED },
	};

	buffer_append(out, bytes_of(",\"totals\":{"));
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		comma(out, i);
		buffer_printf(out, "\"%s\":%" PRIu64, totals[i].name,
			      now->counters[totals[i].counter]);
	}
	buffer_append(out, bytes_of("}"));
}

static void write_step(const struct view *view, const struct metrics_route *route,
		       size_t step, struct buffer *out)
{
	uint64_t median;
	uint64_t slow;

	if (view_percentile(view, &route->steps[step], 50, &median) &&
	    view_percentile(view, &route->steps[step], 95, &slow)) {
		buffer_printf(out,
			      "\"%s\":{\"median-ms\":%" PRIu64 ",\"p95-ms\":%" PRIu64 "}",
			      view_step_names[step], median, slow);
	} else {
		buffer_printf(out, "\"%s\":null", view_step_names[step]);
	}
}

static void write_route(const struct view *view, const struct config_route *settings,
			struct buffer *out)
{
	const uint32_t place = metrics_find_route(settings->match, settings->server);

	buffer_append(out, bytes_of("{\"match\":"));
	escape_json(out, settings->match);
	buffer_append(out, bytes_of(",\"server\":"));
	escape_json(out, settings->server);
	if (place != METRICS_NO_ROUTE) {
		const struct metrics_route *route = &view->now->routes[place];

		buffer_printf(
			out,
			",\"failing\":%s,\"opened\":%" PRIu64 ",\"last-good\":%" PRIu64
			",\"last-failed\":%" PRIu64 ",\"slowed-down\":%" PRIu64
			",\"last-slowed-down\":%" PRIu64 ",\"held-back\":%" PRIu64,
			health_is_route_failing(route, view->now_s) ? "true" : "false",
			route->opened, route->last_good_s, route->last_failed_s,
			route->slowed_down, route->last_slowed_s, route->held_back);
		write_kinds("failed", route->failed, out);
		buffer_append(out, bytes_of(",\"steps\":{"));
		for (size_t step = 0; step < METRICS_STEPS; step++) {
			comma(out, step);
			write_step(view, route, step, out);
		}
		buffer_append(out, bytes_of("}"));
	}
	buffer_append(out, bytes_of("}"));
}

static void write_certificates(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	buffer_append(out, bytes_of(",\"certificates\":["));
	for (size_t i = 0; i < config->certificate_count && i < METRICS_CERTIFICATES;
	     i++) {
		comma(out, i);
		buffer_append(out, bytes_of("{\"file\":"));
		escape_json(out, config->certificates[i].certificate);
		if (view->now->certificates_s[i] > 0) {
			buffer_printf(out, ",\"days-left\":%" PRIi64,
				      view_days_left(view, view->now->certificates_s[i]));
		}
		buffer_append(out, bytes_of("}"));
	}
	buffer_append(out, bytes_of("]"));
}

static void write_consents(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	buffer_append(out, bytes_of(",\"providers\":["));
	for (size_t i = 0; i < config->provider_count && i < METRICS_PROVIDERS; i++) {
		comma(out, i);
		buffer_append(out, bytes_of("{\"name\":"));
		escape_json(out, config->providers[i].name);
		if (view->now->providers_s[i] > 0) {
			buffer_printf(out, ",\"days-left\":%" PRIi64,
				      view_days_left(view, view->now->providers_s[i]));
		}
		buffer_append(out, bytes_of("}"));
	}
	buffer_printf(out, "],\"consents\":{\"needed\":%" PRIu64,
		      view->now->gauges[METRICS_CONSENTS_NEEDED]);
	if (view->now->consent_s > 0) {
		buffer_printf(out, ",\"first-ends\":%" PRIu64, view->now->consent_s);
	}
	buffer_append(out, bytes_of("}"));
}

void status_write_json(const struct view *view, struct buffer *out)
{
	const struct metrics_values *now = view->now;

	buffer_append(out, bytes_of("{"));
	write_reasons(&view->health, out);
	buffer_printf(out,
		      ",\"version\":\"" POPBRIDGE_VERSION "\",\"now\":%" PRIu64
		      ",\"started\":%" PRIu64 ",\"since\":%" PRIu64
		      ",\"workers\":{\"ready\":%" PRIu64 ",\"wanted\":%" PRIu64 "}",
		      view->now_s, now->gauges[METRICS_STARTED_S],
		      history_since_s(view->history), now->gauges[METRICS_WORKERS],
		      now->gauges[METRICS_WORKERS_WANTED]);
	buffer_printf(out, ",\"upstream-connections\":%" PRIu64,
		      now->gauges[METRICS_UPSTREAM_CONNECTIONS]);
	write_sessions(now, out);
	write_totals(now, out);
	write_kinds("sign-ins-failed", now->sign_ins_failed, out);
	write_kinds("refused", now->refused, out);
	buffer_append(out, bytes_of(",\"routes\":["));
	for (size_t i = 0; i < view->config->route_count; i++) {
		comma(out, i);
		write_route(view, &view->config->routes[i], out);
	}
	buffer_append(out, bytes_of("]"));
	write_certificates(view, out);
	write_consents(view, out);
	buffer_append(out, bytes_of("}\n"));
}

/* Text: a name in the left column, numbers to its right ------------------------------ */

static void text_sessions(const struct view *view, struct buffer *out)
{
	buffer_printf(out, "sessions      %" PRIu64, view_sessions(view));
	for (int state = METRICS_STATE_NONE + 1; state < METRICS_STATES; state++) {
		buffer_printf(out, "%s%" PRIu64 " %s",
			      state == METRICS_STATE_NONE + 1 ? ": " : ", ",
			      view->now->sessions[state],
			      view_state_words((enum metrics_state)state));
	}
	buffer_printf(out, "\nupstream      %" PRIu64 " connections\n",
		      view->now->gauges[METRICS_UPSTREAM_CONNECTIONS]);
}

static void text_mail(const struct view *view, struct buffer *out)
{
	const uint64_t *counters = view->now->counters;

	buffer_printf(out, "sign-ins      %" PRIu64, counters[METRICS_SIGN_INS]);
	buffer_printf(out,
		      " (%" PRIu64 " without TLS, %" PRIu64 " with TLS before 1.2)\n",
		      counters[METRICS_SIGN_INS_WITHOUT_TLS],
		      counters[METRICS_SIGN_INS_LEGACY_TLS]);
	buffer_printf(out, "delivered     %" PRIu64 " messages, ",
		      counters[METRICS_MESSAGES_RETRIEVED]);
	view_write_octets(out, counters[METRICS_OCTETS_RETRIEVED]);
	buffer_printf(out, "\ndeleted       %" PRIu64 " messages\n",
		      counters[METRICS_MESSAGES_DELETED]);
}

static void text_route(const struct view *view, const struct config_route *settings,
		       struct buffer *out)
{
	const uint32_t place = metrics_find_route(settings->match, settings->server);
	const struct metrics_route *route;
	uint64_t ms;

	buffer_printf(out, "route         %s to %s", settings->match, settings->server);
	if (place == METRICS_NO_ROUTE) {
		buffer_printf(out, ": not measured\n");
		return;
	}
	route = &view->now->routes[place];
	buffer_printf(out, ": %s\n",
		      health_is_route_failing(route, view->now_s) ? "FAILING"
		      : route->last_good_s > 0                    ? "works"
								  : "not used yet");
	if (route->slowed_down > 0 || route->held_back > 0) {
		buffer_printf(out, "  asked for less by the server: %" PRIu64,
			      route->slowed_down);
		if (route->last_slowed_s > 0) {
			buffer_printf(out, ", last at ");
			view_write_clock(out, route->last_slowed_s);
			buffer_printf(out, " UTC");
		}
		buffer_printf(out,
			      "; not asked for that or by server-... limits: %" PRIu64
			      "\n",
			      route->held_back);
	}
	for (size_t step = 0; step < METRICS_STEPS; step++) {
		if (view_percentile(view, &route->steps[step], 50, &ms)) {
			buffer_printf(out, "  %-12s%6" PRIu64 " ms median",
				      view_step_names[step], ms);
			view_percentile(view, &route->steps[step], 95, &ms);
			buffer_printf(out, ", 95 %% within %" PRIu64 " ms\n", ms);
		}
	}
}

static void text_failures(const struct view *view, struct buffer *out)
{
	buffer_printf(out, "failures since ");
	view_write_clock(out, history_since_s(view->history));
	buffer_printf(out, " UTC\n");
	for (int kind = 0; kind < METRICS_FAILURES; kind++) {
		const uint64_t count =
			view_recent(view, &view->now->sign_ins_failed[kind]) +
			view_recent(view, &view->now->refused[kind]);

		if (count > 0) {
			buffer_printf(out, "  %6" PRIu64 "  %s\n", count,
				      view_failure_words((enum failure_kind)kind));
		}
	}
}

static void text_certificates(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	for (size_t i = 0; i < config->certificate_count && i < METRICS_CERTIFICATES;
	     i++) {
		if (view->now->certificates_s[i] > 0) {
			buffer_printf(out, "certificate   %s: %" PRIi64 " days left\n",
				      config->certificates[i].certificate,
				      view_days_left(view, view->now->certificates_s[i]));
		}
	}
}

static void text_consents(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;
	const uint64_t needed = view->now->gauges[METRICS_CONSENTS_NEEDED];

	for (size_t i = 0; i < config->provider_count && i < METRICS_PROVIDERS; i++) {
		if (view->now->providers_s[i] > 0) {
			buffer_printf(out,
				      "provider      %s: our %s, %" PRIi64 " days left\n",
				      config->providers[i].name,
				      config->providers[i].certificate ? "certificate"
								       : "secret",
				      view_days_left(view, view->now->providers_s[i]));
		}
	}
	if (needed > 0) {
		buffer_printf(out, "consent       %" PRIu64 " accounts need it anew\n",
			      needed);
	}
	if (view->now->consent_s > 0) {
		buffer_printf(out,
			      "consent       the next one ends in %" PRIi64 " days\n",
			      view_days_left(view, view->now->consent_s));
	}
}

void status_write_text(const struct view *view, struct buffer *out)
{
	const uint64_t *gauges = view->now->gauges;

	buffer_printf(out, "popbridge     " POPBRIDGE_VERSION ", %s",
		      health_name(view->health.state));
	if (gauges[METRICS_STARTED_S] > 0) {
		buffer_printf(out, ", up ");
		view_write_duration(out, view->now_s - gauges[METRICS_STARTED_S]);
	}
	buffer_printf(out, ", %" PRIu64 " of %" PRIu64 " workers\n",
		      gauges[METRICS_WORKERS], gauges[METRICS_WORKERS_WANTED]);
	for (size_t i = 0; i < view->health.count; i++) {
		buffer_printf(out, "  ! %s\n", view->health.reasons[i]);
	}
	text_sessions(view, out);
	text_mail(view, out);
	for (size_t i = 0; i < view->config->route_count; i++) {
		text_route(view, &view->config->routes[i], out);
	}
	text_failures(view, out);
	text_certificates(view, out);
	text_consents(view, out);
}
