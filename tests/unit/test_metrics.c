#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct metrics_values now;

static int attach_new_table(void **state)
{
	int fd;

	(void)state;
	if (!metrics_create(&fd) || !metrics_attach(fd)) {
		return -1;
	}
	close(fd);
	metrics_use_row(1);
	return 0;
}

static int detach(void **state)
{
	(void)state;
	metrics_detach();
	return 0;
}

static void test_counting_without_a_table_does_nothing(void **state)
{
	enum metrics_state session = METRICS_STATE_NONE;

	(void)state;
	metrics_count(METRICS_SIGN_INS);
	metrics_move(&session, METRICS_STATE_TRANSACTION);
	metrics_upstream_opened(0);
	metrics_add_route("*", "imaps://a");
	assert_int_equal(session, METRICS_STATE_TRANSACTION);
	assert_int_equal(metrics_find_route("*", "imaps://a"), METRICS_NO_ROUTE);
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_SIGN_INS], 0);
}

static void test_counting_without_a_row_does_nothing(void **state)
{
	int fd;

	(void)state;
	assert_true(metrics_create(&fd));
	assert_true(metrics_attach(fd));
	metrics_count(METRICS_SIGN_INS);
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_SIGN_INS], 0);
	metrics_detach();
	close(fd);
}

static void test_what_is_counted_is_read(void **state)
{
	(void)state;
	metrics_count(METRICS_SIGN_INS);
	metrics_add(METRICS_OCTETS_RETRIEVED, 5000000000);
	metrics_ended(SESSION_TRUNCATED);
	metrics_sign_in_failed(FAILURE_AUTH);
	metrics_refused(FAILURE_PROTOCOL);
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_SIGN_INS], 1);
	assert_int_equal(now.counters[METRICS_OCTETS_RETRIEVED], 5000000000);
	assert_int_equal(now.ended[SESSION_TRUNCATED], 1);
	assert_int_equal(now.sign_ins_failed[FAILURE_AUTH], 1);
	assert_int_equal(now.refused[FAILURE_PROTOCOL], 1);
}

static void test_a_session_is_in_one_state_at_a_time(void **state)
{
	enum metrics_state session = METRICS_STATE_NONE;

	(void)state;
	metrics_move(&session, METRICS_STATE_AUTHORIZATION);
	metrics_move(&session, METRICS_STATE_SIGNING_IN);
	metrics_read(&now);
	assert_int_equal(now.sessions[METRICS_STATE_AUTHORIZATION], 0);
	assert_int_equal(now.sessions[METRICS_STATE_SIGNING_IN], 1);
	metrics_move(&session, METRICS_STATE_NONE);
	metrics_read(&now);
	assert_int_equal(now.sessions[METRICS_STATE_SIGNING_IN], 0);
	assert_int_equal(now.sessions[METRICS_STATE_NONE], 0);
}

static void test_rows_add_up(void **state)
{
	(void)state;
	metrics_add(METRICS_SIGN_INS, 3);
	metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	metrics_use_row(METRICS_ROWS - 1);
	metrics_add(METRICS_SIGN_INS, 4);
	metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_SIGN_INS], 7);
	assert_int_equal(now.gauges[METRICS_UPSTREAM_CONNECTIONS], 2);
}

static void test_a_successor_keeps_counters_and_clears_gauges(void **state)
{
	enum metrics_state session = METRICS_STATE_NONE;

	(void)state;
	metrics_count(METRICS_SIGN_INS);
	metrics_certificate(0, 1000);
	metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	metrics_move(&session, METRICS_STATE_TRANSACTION);
	metrics_use_row(1);
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_SIGN_INS], 1);
	assert_int_equal(now.gauges[METRICS_UPSTREAM_CONNECTIONS], 0);
	assert_int_equal(now.sessions[METRICS_STATE_TRANSACTION], 0);
	assert_int_equal(now.certificates_s[0], 0);
}

static void test_the_master_clears_the_gauges_of_the_dead(void **state)
{
	(void)state;
	metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	metrics_use_row(METRICS_MASTER_ROW);
	metrics_set(METRICS_WORKERS, 2);
	metrics_clear_gauges(1);
	metrics_read(&now);
	assert_int_equal(now.gauges[METRICS_UPSTREAM_CONNECTIONS], 0);
	assert_int_equal(now.gauges[METRICS_WORKERS], 2);
}

static void test_the_earliest_end_of_a_certificate_counts(void **state)
{
	(void)state;
	metrics_certificate(2, 2000);
	metrics_use_row(2);
	metrics_certificate(2, 1000);
	metrics_use_row(3);
	metrics_certificate(METRICS_CERTIFICATES, 1); // beyond: not kept
	metrics_read(&now);
	assert_int_equal(now.certificates_s[2], 1000);
	assert_int_equal(now.certificates_s[0], 0);
	assert_int_equal(now.routes[0].opened, 0);
}

static void test_a_route_keeps_its_place(void **state)
{
	(void)state;
	metrics_add_route("*@a.example", "imaps://a");
	metrics_add_route("*", "imaps://b");
	metrics_add_route("*@a.example", "imaps://a");
	assert_int_equal(metrics_find_route("*@a.example", "imaps://a"), 0);
	assert_int_equal(metrics_find_route("*", "imaps://b"), 1);
	assert_int_equal(metrics_find_route("*", "imaps://a"), METRICS_NO_ROUTE);
	assert_string_equal(metrics_route_match(1), "*");
	assert_string_equal(metrics_route_server(1), "imaps://b");
	assert_null(metrics_route_match(2));
}

static void test_routes_beyond_the_last_are_not_measured(void **state)
{
	char name[8] = "route ?";

	(void)state;
	for (int i = 0; i < METRICS_ROUTES; i++) {
		name[6] = (char)('0' + i);
		metrics_add_route(name, "imaps://a");
		assert_int_equal(metrics_find_route(name, "imaps://a"), i);
	}
	metrics_add_route("one more", "imaps://a");
	assert_int_equal(metrics_find_route("one more", "imaps://a"), METRICS_NO_ROUTE);
	metrics_upstream_opened(METRICS_NO_ROUTE);
	metrics_upstream_failed(METRICS_NO_ROUTE, METRICS_STEP_TLS, FAILURE_TIMEOUT);
	metrics_step(METRICS_NO_ROUTE, METRICS_STEP_TLS, 1);
	metrics_read(&now);
	for (int i = 0; i < METRICS_ROUTES; i++) {
		assert_int_equal(now.routes[i].opened, 0);
	}
}

static void test_long_names_of_routes_are_cut_and_still_found(void **state)
{
	char name[600];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	metrics_add_route(name, name);
	assert_int_equal(metrics_find_route(name, name), 0);
	assert_int_equal(strlen(metrics_route_match(0)), 255);
}

static void test_a_step_falls_into_the_bucket_of_its_bound(void **state)
{
	const struct metrics_histogram *histogram =
		&now.routes[0].steps[METRICS_STEP_SIGN_IN];

	(void)state;
	metrics_add_route("*", "imaps://a");
	metrics_step(0, METRICS_STEP_SIGN_IN, 0);
	metrics_step(0, METRICS_STEP_SIGN_IN, metrics_bounds_ms[0]);
	metrics_step(0, METRICS_STEP_SIGN_IN, metrics_bounds_ms[0] + 1);
	metrics_step(0, METRICS_STEP_SIGN_IN, 3600 * 1000);
	metrics_read(&now);
	assert_int_equal(histogram->buckets[0], 2);
	assert_int_equal(histogram->buckets[1], 1);
	assert_int_equal(histogram->buckets[METRICS_BUCKETS - 1], 1);
	assert_int_equal(histogram->sum_ms, 2 * metrics_bounds_ms[0] + 1 + 3600 * 1000);
}

static void test_a_wrong_password_is_no_failure_of_the_server(void **state)
{
	(void)state;
	metrics_add_route("*", "imaps://a");
	metrics_upstream_failed(0, METRICS_STEP_SIGN_IN, FAILURE_AUTH);
	metrics_upstream_failed(0, METRICS_STEP_FOLDER, FAILURE_PERMANENT);
	metrics_read(&now);
	assert_int_equal(now.routes[0].failed[FAILURE_AUTH], 1);
	assert_int_equal(now.routes[0].failed[FAILURE_PERMANENT], 1);
	assert_int_equal(now.routes[0].last_failed_s, 0);
	assert_true(now.routes[0].last_good_s > 0);
}

static void test_a_bad_certificate_is_the_servers_failure(void **state)
{
	(void)state;
	metrics_add_route("*", "imaps://a");
	metrics_upstream_failed(0, METRICS_STEP_TLS, FAILURE_PERMANENT);
	metrics_upstream_failed(0, METRICS_STEP_SIGN_IN, FAILURE_IN_USE); // ours
	metrics_read(&now);
	assert_true(now.routes[0].last_failed_s > 0);
	assert_int_equal(now.routes[0].last_good_s, 0);
	assert_int_equal(now.routes[0].failed[FAILURE_IN_USE], 0);
}

static void test_another_process_reads_what_one_counted(void **state)
{
	int fd;
	pid_t child;
	int status;

	(void)state;
	assert_true(metrics_create(&fd));
	child = fork();
	if (child == 0) {
		if (metrics_attach(fd)) {
			metrics_use_row(7);
			metrics_add(METRICS_MESSAGES_DELETED, 12);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(metrics_attach_reader(fd));
	metrics_read(&now);
	assert_int_equal(now.counters[METRICS_MESSAGES_DELETED], 12);
	metrics_detach();
	close(fd);
}

static void test_another_versions_table_is_refused(void **state)
{
	const int null = open("/dev/null", O_RDONLY);
	const uint64_t wrong = 1;
	int fd;

	(void)state;
	assert_false(metrics_attach(null));
	assert_int_equal(errno, EPROTO);
	assert_true(metrics_create(&fd));
	assert_int_equal(pwrite(fd, &wrong, sizeof(wrong), 0), sizeof(wrong));
	assert_false(metrics_attach(fd));
	assert_int_equal(errno, EPROTO);
	close(fd);
	close(null);
}

static void test_nobody_can_shrink_the_table_under_the_others(void **state)
{
	int fd;

	(void)state;
	assert_true(metrics_create(&fd));
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, attach_new_table, detach)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting_without_a_table_does_nothing),
		cmocka_unit_test(test_counting_without_a_row_does_nothing),
		WITH_TABLE(test_what_is_counted_is_read),
		WITH_TABLE(test_a_session_is_in_one_state_at_a_time),
		WITH_TABLE(test_rows_add_up),
		WITH_TABLE(test_a_successor_keeps_counters_and_clears_gauges),
		WITH_TABLE(test_the_master_clears_the_gauges_of_the_dead),
		WITH_TABLE(test_the_earliest_end_of_a_certificate_counts),
		WITH_TABLE(test_a_route_keeps_its_place),
		WITH_TABLE(test_routes_beyond_the_last_are_not_measured),
		WITH_TABLE(test_long_names_of_routes_are_cut_and_still_found),
		WITH_TABLE(test_a_step_falls_into_the_bucket_of_its_bound),
		WITH_TABLE(test_a_wrong_password_is_no_failure_of_the_server),
		WITH_TABLE(test_a_bad_certificate_is_the_servers_failure),
		cmocka_unit_test(test_another_process_reads_what_one_counted),
		cmocka_unit_test(test_another_versions_table_is_refused),
		cmocka_unit_test(test_nobody_can_shrink_the_table_under_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
