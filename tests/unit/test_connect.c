#include "proxy/rt/connect.h"
#include "proxy/rt/listener.h"
#include "proxy/rt/resolve_cache.h"
#include "proxy/rt/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	loop_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_close();
	return task_count() == 0 ? 0 : -1;
}

static struct bytes text_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

static struct listener *listen_on(const char *address_words, uint16_t port)
{
	struct address address;
	struct failure failure;
	assert_true(address_parse(text_of(address_words), port, &address));
	return listener_open(&address, &failure);
}

/* A port of this machine that nobody listens on any more. */
static SUSPENDS uint16_t dead_port(void)
{
	struct listener *listener = listen_on("127.0.0.1", 0);
	assert_non_null(listener);
	uint16_t port = address_port(listener_address(listener));
	listener_close(listener);
	return port;
}

static SUSPENDS void accept_one(void *argument)
{
	struct stream *stream = listener_accept(argument, NULL);
	assert_non_null(stream);
	assert_true(address_is_loopback(stream_peer(stream)));
	assert_true(stream_write(stream, text_of("hello"), loop_deadline_ms(1000), NULL));
	assert_true(stream_flush(stream, loop_deadline_ms(1000), NULL));
	stream_close(stream);
}

/* Connects to host where a listener is on the address; says which address it took. */
static SUSPENDS void connect_and_read(const char *host, const char *address,
				      char reached[ADDRESS_TEXT_MAX])
{
	struct failure failure;
	struct listener *listener = listen_on(address, 0);
	assert_non_null(listener);
	struct task *peer = task_start_child(accept_one, listener);
	struct stream *stream =
		connect_host(host, address_port(listener_address(listener)), true,
			     loop_deadline_ms(5000), &failure);
	assert_non_null(stream);
	assert_true(stream_fill(stream, loop_deadline_ms(1000), &failure));
	assert_int_equal(stream_input(stream).len, 5);
	address_text(stream_peer(stream), reached);
	stream_close(stream);
	task_join(peer);
	listener_close(listener);
}

static bool body_ran;

static SUSPENDS void run_numeric(void *argument)
{
	char reached[ADDRESS_TEXT_MAX];
	(void)argument;
	connect_and_read("127.0.0.1", "127.0.0.1", reached);
	assert_string_equal(reached, "127.0.0.1");
	connect_and_read("::1", "::1", reached);
	assert_string_equal(reached, "::1");
	body_ran = true;
}

static SUSPENDS void run_localhost(void *argument)
{
	char reached[ADDRESS_TEXT_MAX];
	(void)argument;
	connect_and_read("localhost", "127.0.0.1", reached);
	assert_string_equal(reached, "127.0.0.1");
	body_ran = true;
}

/* localhost as IPv6 first, where nobody listens: IPv4 follows at once, not in 250 ms. */
static SUSPENDS void run_fallback(void *argument)
{
	char reached[ADDRESS_TEXT_MAX];
	struct address addresses[RESOLVE_MAX];
	size_t count;
	(void)argument;
	assert_true(resolve_host("localhost", 1, loop_deadline_ms(5000), addresses,
				 &count, NULL));
	assert_in_range(count, 1, RESOLVE_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_true(address_is_loopback(&addresses[i]));
		assert_int_equal(address_port(&addresses[i]), 1);
	}
	if (count > 1) {
		assert_int_equal(addresses[0].socket.ss_family, AF_INET6);
		assert_int_equal(addresses[1].socket.ss_family, AF_INET);
	}
	uint64_t before = loop_now_ms();
	connect_and_read("localhost", "127.0.0.1", reached);
	assert_in_range(loop_now_ms() - before, 0, 200);
	body_ran = true;
}

static SUSPENDS void run_refused(void *argument)
{
	struct failure failure;
	(void)argument;
	uint16_t port = dead_port();
	assert_null(
		connect_host("localhost", port, true, loop_deadline_ms(5000), &failure));
	assert_int_equal(failure.kind, FAILURE_TEMPORARY);
	assert_non_null(strstr(failure.text, "cannot connect to localhost port"));
	assert_non_null(strstr(failure.text, "127.0.0.1: Connection refused"));
	assert_non_null(failure.advice);
	body_ran = true;
}

static SUSPENDS void run_loopback_only(void *argument)
{
	struct failure failure;
	(void)argument;
	assert_null(
		connect_host("192.0.2.1", 143, true, loop_deadline_ms(100), &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, "192.0.2.1"));
	body_ran = true;
}

static SUSPENDS void run_bad_name(void *argument)
{
	struct failure failure;
	struct address addresses[RESOLVE_MAX];
	size_t count = 7;
	(void)argument;
	assert_false(resolve_host("no..name", 143, loop_deadline_ms(5000), addresses,
				  &count, &failure));
	assert_int_equal(count, 0);
	assert_non_null(strstr(failure.text, "no..name"));
	body_ran = true;
}

/* A name server on loopback that never answers; its socket. */
static int silent_name_server(char servers[32])
{
	struct address address;
	assert_true(address_parse(text_of("127.0.0.1"), 0, &address));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, address.len), 0);
	assert_int_equal(
		getsockname(fd, (struct sockaddr *)&address.socket, &address.len), 0);
	snprintf(servers, 32, "127.0.0.1:%u", address_port(&address));
	return fd;
}

static struct resolve_answer answer_of(const char *words)
{
	struct resolve_answer answer = { .count = 1 };
	assert_true(address_parse(text_of(words), 143, &answer.addresses[0]));
	return answer;
}

/* The name server is silent: what it said within the hour is as good as it gets. */
static SUSPENDS void run_stale(void *argument)
{
	struct address addresses[RESOLVE_MAX];
	char servers[32], text[ADDRESS_TEXT_MAX];
	size_t count;
	(void)argument;
	int fd = silent_name_server(servers);
	resolve_from(servers);
	const struct resolve_answer old = answer_of("192.0.2.7");
	resolve_cache_keep("name.example", 143, &old, 0);
	assert_true(resolve_host("name.example", 143, loop_deadline_ms(30), addresses,
				 &count, NULL));
	assert_int_equal(count, 1);
	address_text(&addresses[0], text);
	assert_string_equal(text, "192.0.2.7");
	resolve_from(NULL);
	close(fd);
	body_ran = true;
}

static SUSPENDS void resolve_in_vain(void *argument)
{
	struct address addresses[RESOLVE_MAX];
	size_t count;
	assert_false(resolve_host("name.example", 143, loop_deadline_ms(30), addresses,
				  &count, argument));
}

static SUSPENDS void run_given_up(void *argument)
{
	struct failure cancelled, late;
	char servers[32];
	(void)argument;
	int fd = silent_name_server(servers);
	resolve_from(servers);
	struct task *first = task_start_child(resolve_in_vain, &cancelled);
	struct task *second = task_start_child(resolve_in_vain, &late);
	task_cancel(first);
	task_join(first);
	task_join(second);
	assert_int_equal(cancelled.kind, FAILURE_CANCELLED);
	assert_int_equal(late.kind, FAILURE_TIMEOUT);
	assert_non_null(strstr(late.text, "name.example: no answer"));
	resolve_from(NULL);
	close(fd);
	body_ran = true;
}

static SUSPENDS void accept_none(void *argument)
{
	struct failure failure = { .kind = FAILURE_AUTH };
	assert_null(listener_accept(argument, &failure));
	assert_int_equal(failure.kind, FAILURE_CANCELLED);
}

static SUSPENDS void run_cancelled_accept(void *argument)
{
	(void)argument;
	struct listener *listener = listen_on("127.0.0.1", 0);
	struct task *task = task_start_child(accept_none, listener);
	task_cancel(task);
	task_join(task);
	listener_close(listener);
	body_ran = true;
}

static SUSPENDS void run_taken_port(void *argument)
{
	struct failure failure;
	(void)argument;
	struct listener *listener = listen_on("127.0.0.1", 0);
	assert_null(listener_open(listener_address(listener), &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, "cannot listen on 127.0.0.1 port"));
	assert_non_null(failure.advice);
	listener_close(listener);
	body_ran = true;
}

static void run(task_fn fn)
{
	body_ran = false;
	task_start(fn, NULL);
	loop_run();
	assert_true(body_ran);
}

static void test_numeric_addresses_need_no_name_server(void **state)
{
	(void)state;
	run(run_numeric);
}

static void test_localhost_is_in_the_hosts_file(void **state)
{
	(void)state;
	run(run_localhost);
}

static void test_a_dead_ipv6_falls_back_to_ipv4_at_once(void **state)
{
	(void)state;
	run(run_fallback);
}

static void test_a_refused_connection_names_each_address(void **state)
{
	(void)state;
	run(run_refused);
}

static void test_loopback_only_refuses_the_rest_of_the_world(void **state)
{
	(void)state;
	run(run_loopback_only);
}

static void test_what_is_no_name_is_refused(void **state)
{
	(void)state;
	run(run_bad_name);
}

static void test_a_query_that_is_given_up_is_left_behind(void **state)
{
	(void)state;
	run(run_given_up);
}

static void test_an_old_answer_stands_in_for_a_silent_name_server(void **state)
{
	(void)state;
	run(run_stale);
}

static void test_answers_are_kept_as_long_as_they_say(void **state)
{
	(void)state;
	const struct resolve_answer answer = answer_of("192.0.2.7");
	struct resolve_answer out;
	resolve_cache_keep("a.example", 143, &answer, 60);
	resolve_cache_keep("b.example", 143, &answer, 0);
	assert_true(resolve_cache_find("a.example", 143, false, &out));
	assert_false(resolve_cache_find("a.example", 993, false, &out));
	assert_false(resolve_cache_find("b.example", 143, false, &out));
	assert_true(resolve_cache_find("b.example", 143, true, &out));
	assert_int_equal(out.count, 1);
	resolve_cache_clear();
	assert_false(resolve_cache_find("a.example", 143, true, &out));
}

static void test_accepting_can_be_cancelled(void **state)
{
	(void)state;
	run(run_cancelled_accept);
}

static void test_a_taken_port_is_named(void **state)
{
	(void)state;
	run(run_taken_port);
}

static bool in_network(const char *address_words, const char *network_words,
		       unsigned bits)
{
	struct address address, network;
	assert_true(address_parse(text_of(address_words), 1, &address));
	assert_true(address_parse(text_of(network_words), 0, &network));
	return address_in_network(&address, &network, bits);
}

static void test_networks_are_compared_by_prefix(void **state)
{
	(void)state;
	assert_true(in_network("192.0.2.77", "192.0.2.0", 24));
	assert_false(in_network("192.0.3.77", "192.0.2.0", 24));
	assert_true(in_network("192.0.3.77", "192.0.2.0", 23));
	assert_true(in_network("10.1.2.3", "10.1.2.3", 32));
	assert_false(in_network("10.1.2.2", "10.1.2.3", 32));
	assert_true(in_network("8.8.8.8", "0.0.0.0", 0));
	assert_true(in_network("2001:db8::5", "2001:db8::", 32));
	assert_false(in_network("2001:db9::5", "2001:db8::", 32));
	assert_true(in_network("::ffff:192.0.2.1", "192.0.2.0", 24));
	assert_false(in_network("::1", "0.0.0.0", 0));
	assert_false(in_network("10.0.0.1", "10.0.0.0", 33));
}

static void test_addresses_are_parsed_strictly(void **state)
{
	(void)state;
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	assert_true(address_parse(text_of("2001:DB8::1"), 995, &address));
	address_text(&address, text);
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(address_port(&address), 995);
	assert_false(address_is_loopback(&address));
	assert_true(address_parse(text_of("::ffff:127.0.0.1"), 1, &address));
	assert_true(address_is_loopback(&address));
	assert_false(address_parse(text_of(""), 1, &address));
	assert_false(address_parse(text_of("127.1"), 1, &address));
	assert_false(address_parse(text_of("localhost"), 1, &address));
	assert_false(address_parse((struct bytes){ "1.2.3.4\0", 8 }, 1, &address));
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_numeric_addresses_need_no_name_server),
		LOOP_TEST(test_localhost_is_in_the_hosts_file),
		LOOP_TEST(test_a_dead_ipv6_falls_back_to_ipv4_at_once),
		LOOP_TEST(test_a_refused_connection_names_each_address),
		LOOP_TEST(test_loopback_only_refuses_the_rest_of_the_world),
		LOOP_TEST(test_what_is_no_name_is_refused),
		LOOP_TEST(test_a_query_that_is_given_up_is_left_behind),
		LOOP_TEST(test_an_old_answer_stands_in_for_a_silent_name_server),
		LOOP_TEST(test_answers_are_kept_as_long_as_they_say),
		LOOP_TEST(test_accepting_can_be_cancelled),
		LOOP_TEST(test_a_taken_port_is_named),
		cmocka_unit_test(test_networks_are_compared_by_prefix),
		cmocka_unit_test(test_addresses_are_parsed_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
