#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/config/config_raw.h"
#include "proxy/web/escape.h"
#include "proxy/web/host.h"
#include "proxy/web/openmetrics.h"
#include "proxy/web/page.h"
#include "proxy/web/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOW_S 1000000020 // the first second of a minute
#define DAY_S (24 * 60 * 60)

static const char yaml[] = "web: {address: \"127.0.0.1:9110\", host-names: [a.example]}\n"
			   "routes:\n"
			   "  - match: \"\\\"<b>&joe\\\"\"\n"
			   "    server: imaps://imap.example.com\n";

static struct config *config;
static struct metrics_values values;
static struct buffer text = { .max = 1 << 20 };

static int set_up(void **state)
{
	struct config_errors errors;
	int fd;

	(void)state;
	config = config_parse(bytes_of(yaml), "f.yaml", &errors);
	config_errors_release(&errors);
	if (!config || !metrics_create(&fd) || !metrics_attach(fd)) {
		return -1;
	}
	close(fd);
	metrics_add_route(config->routes[0].match, config->routes[0].server);
	metrics_use_row(METRICS_MASTER_ROW);
	metrics_set(METRICS_WORKERS, 1);
	metrics_set(METRICS_WORKERS_WANTED, 1);
	metrics_set(METRICS_KEEPERS, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	config_free(config);
	metrics_detach();
	buffer_release(&text);
	return 0;
}

/* What was written, as a C string. */
static const char *written(void)
{
	assert_true(buffer_append(&text, (struct bytes){ "", 1 }));
	return text.data;
}

/* ---- text ---- */

static const char *duration(uint64_t seconds)
{
	buffer_clear(&text);
	view_write_duration(&text, seconds);
	return written();
}

static void test_durations_are_said_in_two_units_at_most(void **state)
{
	(void)state;
	assert_string_equal(duration(0), "0 s");
	assert_string_equal(duration(59), "59 s");
	assert_string_equal(duration(60), "1 min");
	assert_string_equal(duration(3660), "1 h 1 min");
	assert_string_equal(duration(3 * DAY_S + 7200), "3 d 2 h");
}

static const char *octets(uint64_t count)
{
	buffer_clear(&text);
	view_write_octets(&text, count);
	return written();
}

static void test_octets_are_said_in_the_largest_unit(void **state)
{
	(void)state;
	assert_string_equal(octets(0), "0 B");
	assert_string_equal(octets(1023), "1023 B");
	assert_string_equal(octets(1024), "1.0 KiB");
	assert_string_equal(octets(1536 * 1024), "1.5 MiB");
	assert_string_equal(octets(500ull << 30), "500 GiB");
	assert_string_equal(octets(UINT64_MAX), "16383 PiB");
}

static const char *count(uint64_t number)
{
	buffer_clear(&text);
	view_write_count(&text, number);
	return written();
}

static void test_large_counts_are_grouped(void **state)
{
	(void)state;
	assert_string_equal(count(0), "0");
	assert_string_equal(count(999), "999");
	assert_string_equal(count(1000), "1\u202f000");
	assert_string_equal(count(1234567), "1\u202f234\u202f567");
}

static const char *html(const char *in)
{
	buffer_clear(&text);
	escape_html(&text, in);
	return written();
}

static void test_html_is_escaped(void **state)
{
	(void)state;
	assert_string_equal(html("<a href=\"x\">&'"),
			    "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
	assert_string_equal(html("é\xff\x01\xc3"), "é???");
	assert_string_equal(html("\xed\xa0\x80"), "???");
}

static void test_labels_are_quoted(void **state)
{
	(void)state;
	buffer_clear(&text);
	escape_label(&text, "a\"b\\c\nd");
	assert_string_equal(written(), "\"a\\\"b\\\\c?d\"");
}

/* ---- the Host header ---- */

static bool ours(const char *host)
{
	return host_is_ours(&config->web, host);
}

static void test_numeric_hosts_localhost_and_configured_names_are_ours(void **state)
{
	(void)state;
	assert_true(ours("127.0.0.1"));
	assert_true(ours("192.0.2.7:9110"));
	assert_true(ours("[::1]"));
	assert_true(ours("[2001:db8::1]:9110"));
	assert_true(ours("localhost"));
	assert_true(ours("LocalHost:80"));
	assert_true(ours("A.example:9110"));
}

static void test_other_hosts_are_not_ours(void **state)
{
	char long_host[400];

	(void)state;
	memset(long_host, 'a', sizeof(long_host) - 1);
	long_host[sizeof(long_host) - 1] = '\0';
	assert_false(ours(NULL));
	assert_false(ours(""));
	assert_false(ours("evil.example"));
	assert_false(ours("localhost.evil.example"));
	assert_false(ours("127.0.0.1.evil.example"));
	assert_false(ours("127.0.0.1:"));
	assert_false(ours("127.0.0.1:80x"));
	assert_false(ours("127.1"));
	assert_false(ours("[::1"));
	assert_false(ours("[::1]x"));
	assert_false(ours("[127.0.0.1]"));
	assert_false(ours("a.example@evil.example"));
	assert_false(ours(long_host));
	long_host[0] = '[';
	assert_false(ours(long_host));
}

/* ---- health ---- */

static enum health_state judge(struct health *health)
{
	metrics_read(&values);
	health_judge(config, &values, NOW_S, health);
	return health->state;
}

static void test_all_is_well_when_all_runs(void **state)
{
	struct health health;

	(void)state;
	assert_int_equal(judge(&health), HEALTH_OK);
	assert_int_equal(health.count, 0);
}

static void test_a_missing_worker_degrades_and_none_is_down(void **state)
{
	struct health health;

	(void)state;
	metrics_set(METRICS_WORKERS_WANTED, 2);
	assert_int_equal(judge(&health), HEALTH_DEGRADED);
	assert_non_null(strstr(health.reasons[0], "1 of 2 workers"));
	metrics_set(METRICS_WORKERS, 0);
	assert_int_equal(judge(&health), HEALTH_DOWN);
}

static void test_who_drains_says_so_and_for_how_long(void **state)
{
	struct health health;

	(void)state;
	metrics_set(METRICS_WORKERS, 0);
	metrics_set(METRICS_DRAIN_UNTIL_S, NOW_S + 90);
	assert_int_equal(judge(&health), HEALTH_DOWN);
	metrics_set(METRICS_DRAIN_UNTIL_S, 0);
	assert_int_equal(health.count, 1);
	assert_non_null(strstr(health.reasons[0], "Draining: "));
	assert_non_null(strstr(health.reasons[0], "within the next 90 s"));
}

static void test_a_refused_reload_and_a_missing_keeper_degrade(void **state)
{
	struct health health;

	(void)state;
	metrics_set(METRICS_KEEPERS, 0);
	metrics_set(METRICS_RELOAD_BROKEN, 1);
	assert_int_equal(judge(&health), HEALTH_DEGRADED);
	assert_int_equal(health.count, 2);
}

static void test_a_failing_server_degrades_until_it_works_again(void **state)
{
	struct health health;
	struct metrics_route *route = &values.routes[0];

	(void)state;
	metrics_read(&values);
	route->last_good_s = NOW_S - 100;
	route->last_failed_s = NOW_S - 50;
	health_judge(config, &values, NOW_S, &health);
	assert_int_equal(health.state, HEALTH_DEGRADED);
	route->last_good_s = NOW_S - 50;
	health_judge(config, &values, NOW_S, &health);
	assert_int_equal(health.state, HEALTH_OK);
	route->last_good_s = 0;
	health_judge(config, &values, NOW_S + DAY_S, &health);
	assert_int_equal(health.state, HEALTH_OK); // an old story
}

/* ---- history ---- */

static void test_a_minutes_growth_is_a_point(void **state)
{
	uint64_t points[HISTORY_POINTS];
	struct history *history;

	(void)state;
	metrics_add(METRICS_SIGN_INS, 100); // before anybody looked
	metrics_read(&values);
	history = history_new(&values, NOW_S);
	assert_int_equal(history_points(history, HISTORY_SIGN_INS, points), 0);
	metrics_add(METRICS_SIGN_INS, 7);
	metrics_read(&values);
	history_sample(history, &values, NOW_S + 30);
	assert_int_equal(history_points(history, HISTORY_SIGN_INS, points), 0);
	history_sample(history, &values, NOW_S + 61);
	assert_int_equal(history_points(history, HISTORY_SIGN_INS, points), 1);
	assert_int_equal(points[0], 7);
	history_free(history);
}

static void test_an_hour_is_kept_the_newest_last(void **state)
{
	uint64_t points[HISTORY_POINTS];
	struct history *history;

	(void)state;
	metrics_read(&values);
	history = history_new(&values, NOW_S);
	for (uint64_t minute = 0; minute < 100; minute++) {
		metrics_add(METRICS_SIGN_INS, minute);
		metrics_read(&values);
		history_sample(history, &values, NOW_S + (minute + 1) * 60);
	}
	assert_int_equal(history_points(history, HISTORY_SIGN_INS, points),
			 HISTORY_POINTS);
	assert_int_equal(points[0], 40);
	assert_int_equal(points[HISTORY_POINTS - 1], 99);
	assert_in_range(history_since_s(history), NOW_S + 40 * 60, NOW_S + 70 * 60);
	history_free(history);
}

static void test_the_last_failure_of_a_kind_is_remembered(void **state)
{
	struct history *history;

	(void)state;
	metrics_refused(FAILURE_TIMEOUT); // before anybody looked
	metrics_read(&values);
	history = history_new(&values, NOW_S);
	metrics_sign_in_failed(FAILURE_AUTH);
	metrics_read(&values);
	history_sample(history, &values, NOW_S + 10);
	history_sample(history, &values, NOW_S + 20);
	assert_int_equal(history_failed_s(history, FAILURE_AUTH), NOW_S + 10);
	assert_int_equal(history_failed_s(history, FAILURE_TIMEOUT), 0);
	metrics_refused(FAILURE_TIMEOUT);
	metrics_read(&values);
	history_sample(history, &values, NOW_S + 30);
	assert_int_equal(history_failed_s(history, FAILURE_TIMEOUT), NOW_S + 30);
	assert_int_equal(history_failed_s(history, FAILURE_AUTH), NOW_S + 10);
	history_free(history);
}

static void test_a_clock_that_is_set_back_begins_anew(void **state)
{
	uint64_t points[HISTORY_POINTS];
	struct history *history;

	(void)state;
	metrics_read(&values);
	history = history_new(&values, NOW_S);
	history_sample(history, &values, NOW_S + 120);
	assert_int_equal(history_points(history, HISTORY_OCTETS, points), 2);
	history_sample(history, &values, NOW_S - DAY_S);
	assert_int_equal(history_points(history, HISTORY_OCTETS, points), 0);
	history_free(history);
}

/* ---- pages ---- */

/* The text a writer makes of the metrics of now. */
static const char *page(void (*write)(const struct view *view, struct buffer *out))
{
	static struct metrics_values none;
	struct history *history = history_new(&none, NOW_S - 60);
	struct view view = {
		.config = config, .now = &values, .history = history, .now_s = NOW_S
	};

	metrics_read(&values);
	health_judge(config, &values, NOW_S, &view.health);
	buffer_clear(&text);
	write(&view, &text);
	history_free(history);
	return written();
}

static void write_page(const struct view *view, struct buffer *out)
{
	page_write(view, "n0nce", out);
}

static void test_charts_go_on_in_the_next_web_role(void **state)
{
	static struct metrics_values none;
	uint64_t points[HISTORY_POINTS];
	const int fd = history_create();
	struct history *first;
	struct history *second;

	(void)state;
	assert_true(history_fits(fd));
	first = history_share(fd, &none, NOW_S);
	none.counters[METRICS_SIGN_INS] = 7;
	history_sample(first, &none, NOW_S + 60);
	history_free(first);
	none.counters[METRICS_SIGN_INS] = 12;
	second = history_share(fd, &none, NOW_S + 110);
	history_sample(second, &none, NOW_S + 120);
	assert_int_equal(history_points(second, HISTORY_SIGN_INS, points), 2);
	assert_int_equal(points[0], 7);
	assert_int_equal(points[1], 5);
	assert_true(history_since_s(second) == NOW_S);
	history_free(second);
	close(fd);
}

static void test_a_history_of_another_size_begins_anew(void **state)
{
	static struct metrics_values none;
	uint64_t points[HISTORY_POINTS];
	struct history *history = history_share(-1, &none, NOW_S);

	(void)state;
	assert_false(history_fits(-1));
	assert_int_equal(history_points(history, HISTORY_SIGN_INS, points), 0);
	history_free(history);
}

static void test_percentiles_are_read_off_the_buckets(void **state)
{
	static struct metrics_values none;
	struct history *history = history_new(&none, NOW_S);
	struct view view = { .now = &values, .history = history };
	uint64_t ms = 1;

	(void)state;
	metrics_read(&values);
	assert_false(view_percentile(&view, &values.routes[0].steps[0], 50, &ms));
	for (int i = 0; i < 90; i++) {
		metrics_step(0, METRICS_STEP_CONNECT, 7);
	}
	for (int i = 0; i < 10; i++) {
		metrics_step(0, METRICS_STEP_CONNECT, 90000);
	}
	metrics_read(&values);
	assert_true(view_percentile(&view, &values.routes[0].steps[0], 50, &ms));
	assert_in_range(ms, 6, 10);
	assert_true(view_percentile(&view, &values.routes[0].steps[0], 95, &ms));
	assert_int_equal(ms, 30000); // or more
	history_free(history);
}

static void test_a_name_of_the_configuration_cannot_leave_its_place(void **state)
{
	(void)state;
	assert_null(strstr(page(write_page), "<b>&joe"));
	assert_non_null(strstr(page(write_page), "&quot;&lt;b&gt;&amp;joe&quot;"));
	assert_non_null(strstr(page(openmetrics_write), "route=\"\\\"<b>&joe\\\"\""));
	assert_non_null(strstr(page(status_write_json), "\"match\":\"\\\"<b>&joe\\\"\""));
}

static void test_the_page_loads_nothing(void **state)
{
	const char *html_page = page(write_page);

	(void)state;
	assert_null(strstr(html_page, "<script"));
	assert_null(strstr(html_page, "src="));
	assert_null(strstr(html_page, "url("));
	assert_null(strstr(html_page, "style=\"")); // the policy would not let it pass
	assert_null(strstr(html_page, " on"
				      "load="));
	assert_non_null(strstr(html_page, "<style nonce=\"n0nce\">"));
}

static void test_histograms_add_up_and_openmetrics_has_an_end(void **state)
{
	const char *metrics;

	(void)state;
	metrics_step(0, METRICS_STEP_TLS, 3);
	metrics_step(0, METRICS_STEP_TLS, 60);
	metrics = page(openmetrics_write);
	assert_non_null(strstr(metrics, "step=\"tls\",le=\"0.005\"} 1\n"));
	assert_non_null(strstr(metrics, "step=\"tls\",le=\"0.100\"} 2\n"));
	assert_non_null(strstr(metrics, "step=\"tls\",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(metrics, "step=\"tls\"} 0.063\n"));
	assert_string_equal(metrics + strlen(metrics) - 6, "# EOF\n");
}

static void test_the_text_says_what_is_wrong(void **state)
{
	const char *status;

	(void)state;
	metrics_set(METRICS_KEEPERS, 0);
	metrics_sign_in_failed(FAILURE_TIMEOUT);
	status = page(status_write_text);
	assert_non_null(strstr(status, "degraded"));
	assert_non_null(strstr(status, "! The keeper is away"));
	assert_non_null(strstr(status, "1  The IMAP server took too long"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_durations_are_said_in_two_units_at_most),
		TEST(test_octets_are_said_in_the_largest_unit),
		TEST(test_large_counts_are_grouped),
		TEST(test_html_is_escaped),
		TEST(test_labels_are_quoted),
		TEST(test_numeric_hosts_localhost_and_configured_names_are_ours),
		TEST(test_other_hosts_are_not_ours),
		TEST(test_all_is_well_when_all_runs),
		TEST(test_a_missing_worker_degrades_and_none_is_down),
		TEST(test_who_drains_says_so_and_for_how_long),
		TEST(test_a_refused_reload_and_a_missing_keeper_degrade),
		TEST(test_a_failing_server_degrades_until_it_works_again),
		TEST(test_a_minutes_growth_is_a_point),
		TEST(test_an_hour_is_kept_the_newest_last),
		TEST(test_the_last_failure_of_a_kind_is_remembered),
		TEST(test_a_clock_that_is_set_back_begins_anew),
		TEST(test_charts_go_on_in_the_next_web_role),
		TEST(test_a_history_of_another_size_begins_anew),
		TEST(test_percentiles_are_read_off_the_buckets),
		TEST(test_a_name_of_the_configuration_cannot_leave_its_place),
		TEST(test_the_page_loads_nothing),
		TEST(test_histograms_add_up_and_openmetrics_has_an_end),
		TEST(test_the_text_says_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
