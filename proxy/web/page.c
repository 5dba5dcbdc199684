#include "proxy/web/page.h"

#include "proxy/web/chart.h"
#include "proxy/web/escape.h"
#include "proxy/web/page_style.h"

#include <inttypes.h>

#define REFRESH_S 15
#define JUST_NOW_S 10

static void say(struct buffer *out, const char *text)
{
	buffer_append(out, bytes_of(text));
}

/* A dot in the tab, in the colour of the state. */
static void write_icon(enum health_state state, struct buffer *out)
{
	static const char *const colours[] = {
		[HEALTH_OK] = "1f9d61",
		[HEALTH_DEGRADED] = "d98300",
		[HEALTH_DOWN] = "d23a30",
	};

	buffer_printf(out,
		      "<link rel=\"icon\" href=\"data:image/svg+xml,"
		      "%%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%%3E"
		      "%%3Ccircle cx='4' cy='4' r='3' fill='%%23%s'/%%3E%%3C/svg%%3E\">",
		      colours[state]);
}

static void write_head(const struct view *view, const char *nonce, struct buffer *out)
{
	buffer_printf(out,
		      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		      "<title>popbridge: %s</title>"
		      "<meta name=\"viewport\" content=\"width=device-width,"
		      "initial-scale=1\"><meta http-equiv=\"refresh\" content=\"%d\">",
		      health_name(view->health.state), REFRESH_S);
	write_icon(view->health.state, out);
	buffer_printf(out, "<style nonce=\"%s\">", nonce);
	say(out, page_style);
	say(out, "</style></head><body>\n");
}

static void write_header(const struct view *view, struct buffer *out)
{
	static const char *const words[] = {
		[HEALTH_OK] = "All is well",
		[HEALTH_DEGRADED] = "Serving, but something needs attention",
		[HEALTH_DOWN] = "Not serving",
	};
	const uint64_t *gauges = view->now->gauges;
	const bool drains = gauges[METRICS_DRAIN_UNTIL_S] > 0;

	buffer_printf(out,
		      "<header><h1>popbridge</h1><span class=\"badge %s\">%s</span>"
		      "<p>version " POPBRIDGE_VERSION,
		      health_name(view->health.state),
		      drains ? "Draining" : words[view->health.state]);
	if (gauges[METRICS_STARTED_S] > 0) {
		say(out, " · up ");
		view_write_duration(out, view->now_s - gauges[METRICS_STARTED_S]);
	}
	buffer_printf(out, " · %" PRIu64 " of %" PRIu64 " workers · ",
		      gauges[METRICS_WORKERS], gauges[METRICS_WORKERS_WANTED]);
	view_write_clock(out, view->now_s);
	say(out, "&nbsp;UTC</p></header>\n");
}

static void write_reasons(const struct health *health, struct buffer *out)
{
	if (health->count == 0) {
		return;
	}
	buffer_printf(out, "<ul class=\"reasons %s\">", health_name(health->state));
	for (size_t i = 0; i < health->count; i++) {
		say(out, "<li>");
		escape_html(out, health->reasons[i]);
		say(out, "</li>");
	}
	say(out, "</ul>\n");
}

static void write_tile(struct buffer *out, uint64_t value, const char *words)
{
	say(out, "<div class=\"card\"><b>");
	view_write_count(out, value);
	buffer_printf(out, "</b><span>%s</span></div>\n", words);
}

static void write_sessions(const struct view *view, struct buffer *out)
{
	say(out, "<h2>Sessions now</h2><div class=\"grid\">\n");
	write_tile(out, view_sessions(view), "in all");
	for (int state = METRICS_STATE_NONE + 1; state < METRICS_STATES; state++) {
		write_tile(out, view->now->sessions[state],
			   view_state_words((enum metrics_state)state));
	}
	write_tile(out, view->now->gauges[METRICS_UPSTREAM_CONNECTIONS],
		   "connections to IMAP servers");
	say(out, "</div>\n");
}

static void write_charts(const struct view *view, struct buffer *out)
{
	static const struct chart charts[] = {
		{ "Sessions", "at a time", HISTORY_SESSIONS, CHART_COUNT, "" },
		{ "Sign-ins", "a minute", HISTORY_SIGN_INS, CHART_COUNT, "" },
		{ "Failures", "a minute", HISTORY_FAILURES, CHART_COUNT, "failures" },
		{ "Messages delivered", "a minute", HISTORY_MESSAGES, CHART_COUNT, "" },
		{ "Mail delivered", "a minute", HISTORY_OCTETS, CHART_OCTETS, "" },
		{ "Messages removed", "a minute", HISTORY_REMOVED, CHART_COUNT, "" },
	};

	say(out, "<h2>The last hour</h2><div class=\"grid charts\">\n");
	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]); i++) {
		chart_write(view, &charts[i], out);
	}
	say(out, "</div>\n");
}

static void write_ms(struct buffer *out, uint64_t ms)
{
	if (ms < 1000) {
		buffer_printf(out, "%" PRIu64 " ms", ms);
	} else {
		buffer_printf(out, "%" PRIu64 ".%" PRIu64 " s", ms / 1000,
			      ms % 1000 / 100);
	}
}

static void write_steps(const struct view *view, const struct metrics_route *route,
			struct buffer *out)
{
	static const char *const words[METRICS_STEPS] = {
		[METRICS_STEP_CONNECT] = "Connect",
		[METRICS_STEP_TLS] = "TLS",
		[METRICS_STEP_GREETING] = "Greeting",
		[METRICS_STEP_ID] = "Capabilities",
		[METRICS_STEP_SIGN_IN] = "Sign in",
		[METRICS_STEP_FOLDER] = "Open folder",
		[METRICS_STEP_BODY] = "Message begins",
		[METRICS_STEP_COMMIT] = "Remove mail",
	};
	bool any = false;
	uint64_t ms;

	for (size_t step = 0; step < METRICS_STEPS; step++) {
		if (!view_percentile(view, &route->steps[step], 50, &ms)) {
			continue;
		}
		say(out, any ? "" : "<dl class=\"steps\">");
		any = true;
		buffer_printf(out, "<div><dt>%s</dt><dd>", words[step]);
		write_ms(out, ms);
		view_percentile(view, &route->steps[step], 95, &ms);
		say(out, "<span>95 % in ");
		write_ms(out, ms);
		say(out, "</span></dd></div>");
	}
	say(out, any ? "</dl>" : "");
}

static void write_ago(const struct view *view, const char *words, uint64_t when_s,
		      struct buffer *out)
{
	if (when_s > 0 && when_s <= view->now_s) {
		say(out, words);
		if (view->now_s - when_s < JUST_NOW_S) {
			say(out, "just now");
			return;
		}
		view_write_duration(out, view->now_s - when_s);
		say(out, " ago");
	}
}

static void write_route_state(const struct view *view, const struct metrics_route *route,
			      struct buffer *out)
{
	const bool failing = health_is_route_failing(route, view->now_s);

	if (failing) {
		say(out, "<span class=\"badge down\">failing</span>");
	} else if (route->last_good_s > 0) {
		say(out, "<span class=\"badge ok\">works</span>");
	} else {
		say(out, "<span class=\"badge soft\">not used yet</span>");
	}
	say(out, "</h3><p>");
	view_write_count(out, route->opened);
	say(out, " mailboxes opened");
	write_ago(view, " · last answer ", route->last_good_s, out);
	write_ago(view, " · last failure ", route->last_failed_s, out);
	write_ago(view, " · asked for less ", route->last_slowed_s, out);
	if (route->held_back > 0) {
		say(out, " · ");
		view_write_count(out, route->held_back);
		say(out, " times left alone");
	}
	say(out, "</p>");
	write_steps(view, route, out);
}

static void write_route(const struct view *view, const struct config_route *settings,
			struct buffer *out)
{
	const uint32_t place = metrics_find_route(settings->match, settings->server);

	say(out, "<div class=\"card route\"><h3>");
	escape_html(out, settings->server);
	say(out, " <span>for ");
	escape_html(out, settings->match);
	say(out, "</span>");
	if (place == METRICS_NO_ROUTE) {
		say(out, "</h3><p>not measured: too many routes</p>");
	} else {
		write_route_state(view, &view->now->routes[place], out);
	}
	say(out, "</div>\n");
}

static void write_routes(const struct view *view, struct buffer *out)
{
	say(out, "<h2>IMAP servers <span>times since ");
	view_write_clock(out, history_since_s(view->history));
	say(out, " UTC</span></h2>\n");
	for (size_t i = 0; i < view->config->route_count; i++) {
		write_route(view, &view->config->routes[i], out);
	}
}

static void write_row(struct buffer *out, const char *words, uint64_t count)
{
	buffer_printf(out, "<tr><td>%s</td><td class=\"n\">", words);
	view_write_count(out, count);
	say(out, "</td></tr>\n");
}

static void begin_list(const struct view *view, const char *title, struct buffer *out)
{
	buffer_printf(out, "<section><h2>%s <span>since ", title);
	view_write_clock(out, history_since_s(view->history));
	say(out, " UTC</span></h2><div class=\"card list\"><table>\n");
}

static void end_list(struct buffer *out, bool empty, const char *words)
{
	if (empty) {
		buffer_printf(out, "<tr><td class=\"soft\">%s</td></tr>\n", words);
	}
	say(out, "</table></div></section>\n");
}

static void write_failure(const struct view *view, enum failure_kind kind, uint64_t count,
			  struct buffer *out)
{
	buffer_printf(out, "<tr><td>%s<small>", view_failure_words(kind));
	write_ago(view, "last ", history_failed_s(view->history, kind), out);
	say(out, "</small></td><td class=\"n\">");
	view_write_count(out, count);
	say(out, "</td></tr>\n");
}

static void write_failures(const struct view *view, struct buffer *out)
{
	const uint64_t throttled =
		view_recent(view, &view->now->counters[METRICS_THROTTLED]);
	bool empty = true;

	begin_list(view, "What failed", out);
	for (int kind = 0; kind < METRICS_FAILURES; kind++) {
		const uint64_t count =
			view_recent(view, &view->now->sign_ins_failed[kind]) +
			view_recent(view, &view->now->refused[kind]);

		if (count > 0) {
			write_failure(view, (enum failure_kind)kind, count, out);
			empty = false;
		}
	}
	if (throttled > 0) {
		write_row(out, "of all these, held off after too many wrong passwords",
			  throttled);
	}
	if (!empty) {
		say(out, "<tr><td colspan=\"2\" class=\"soft\">The log has each with "
			 "its cause and what to do.</td></tr>\n");
	}
	end_list(out, empty, "Nothing failed.");
}

static void write_ends(const struct view *view, struct buffer *out)
{
	bool empty = true;

	begin_list(view, "How sessions ended", out);
	for (int end = 0; end < SESSION_ENDS; end++) {
		const uint64_t count = view_recent(view, &view->now->ended[end]);

		if (count > 0) {
			write_row(out, view_end_words((enum session_end)end), count);
			empty = false;
		}
	}
	end_list(out, empty, "No session has ended.");
}

static void write_days(const struct view *view, uint64_t until_s, struct buffer *out)
{
	const int64_t days = view_days_left(view, until_s);

	if (until_s == 0) {
		say(out, "<td class=\"n soft\">unknown</td>");
	} else if (days < 0) {
		say(out, "<td class=\"n bad\">expired</td>");
	} else {
		buffer_printf(out, "<td class=\"n %s\">%" PRIi64 " days left</td>",
			      days < HEALTH_WARN_DAYS       ? "bad"
			      : days < 2 * HEALTH_WARN_DAYS ? "warn"
							    : "good",
			      days);
	}
}

static void write_certificates(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	say(out, "<section><h2>Certificates</h2><div class=\"card list\"><table>\n");
	for (size_t i = 0; i < config->certificate_count && i < METRICS_CERTIFICATES;
	     i++) {
		say(out, "<tr><td class=\"file\">");
		escape_html(out, config->certificates[i].certificate);
		say(out, "</td>");
		write_days(view, view->now->certificates_s[i], out);
		say(out, "</tr>\n");
	}
	end_list(out, config->certificate_count == 0,
		 "None: clients connect without TLS.");
}

static void write_end_row(const struct view *view, const char *name, uint64_t until_s,
			  struct buffer *out)
{
	say(out, "<tr><td class=\"file\">");
	escape_html(out, name);
	say(out, "</td>");
	write_days(view, until_s, out);
	say(out, "</tr>\n");
}

/* Where there are providers. */
static void write_consents(const struct view *view, struct buffer *out)
{
	const struct config *config = view->config;

	if (config->provider_count == 0) {
		return;
	}
	say(out, "<section><h2>Providers</h2><div class=\"card list\"><table>\n");
	for (size_t i = 0; i < config->provider_count && i < METRICS_PROVIDERS; i++) {
		if (view->now->providers_s[i] > 0) {
			write_end_row(view, config->providers[i].name,
				      view->now->providers_s[i], out);
		}
	}
	if (view->now->consent_s > 0) {
		write_end_row(view, "The next consent to end", view->now->consent_s, out);
	}
	write_row(out, "Accounts that need consent anew",
		  view->now->gauges[METRICS_CONSENTS_NEEDED]);
	say(out, "</table></div></section>\n");
}

static void write_totals(const struct view *view, struct buffer *out)
{
	const uint64_t *counters = view->now->counters;

	say(out, "<section><h2>Since the start</h2><div class=\"card list\"><table>\n");
	write_row(out, "Sign-ins", counters[METRICS_SIGN_INS]);
	write_row(out, "Sign-ins without TLS", counters[METRICS_SIGN_INS_WITHOUT_TLS]);
	write_row(out, "Sign-ins with TLS 1.0 or 1.1",
		  counters[METRICS_SIGN_INS_LEGACY_TLS]);
	write_row(out, "Messages delivered", counters[METRICS_MESSAGES_RETRIEVED]);
	write_row(out, "Messages removed", counters[METRICS_MESSAGES_DELETED]);
	write_row(out, "IMAP connections lost and opened again",
		  counters[METRICS_RECONNECTS]);
	write_row(out, "Workers started again after a crash",
		  counters[METRICS_WORKER_RESTARTS]);
	say(out, "</table></div></section>\n");
}

void page_write(const struct view *view, const char *nonce, struct buffer *out)
{
	write_head(view, nonce, out);
	write_header(view, out);
	write_reasons(&view->health, out);
	write_sessions(view, out);
	write_charts(view, out);
	write_routes(view, out);
	say(out, "<div class=\"two\"><div>\n");
	write_failures(view, out);
	write_ends(view, out);
	say(out, "</div><div>\n");
	write_certificates(view, out);
	write_consents(view, out);
	write_totals(view, out);
	buffer_printf(out,
		      "</div></div><footer>Refreshes itself every %d seconds · "
		      "<a href=\"/metrics\">metrics</a> · "
		      "<a href=\"/status.json\">JSON</a> · "
		      "<a href=\"/ready\">readiness</a></footer></body></html>\n",
		      REFRESH_S);
}
