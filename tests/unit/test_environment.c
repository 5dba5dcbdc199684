#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/cli/environment.h"
#include "proxy/config/config_raw.h"
#include "proxy/config/config_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char file[] = "/tmp/popbridge-environment-XXXXXX";

static int clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0;
	     environ[i];) { // also POPBRIDGE_SLOW and the like, of the tests
		char name[128] = "";
		snprintf(name, sizeof name, "%.*s", (int)strcspn(environ[i], "="),
			 environ[i]);
		if (strncmp(name, "POPBRIDGE_", 10) != 0 || unsetenv(name) != 0) {
			i++;
		}
	}
	return 0;
}

static void give(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void give_file(const char *name, const char *content)
{
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fputs(content, out);
	fclose(out);
	give(name, file);
}

/* The configuration, or the test fails with the messages. */
static struct config *configured(void)
{
	struct buffer yaml = { .max = ENVIRONMENT_MAX };
	struct config_errors errors;
	struct failure failure;
	if (!environment_yaml(&yaml, &failure)) {
		fail_msg("%s", failure.text);
	}
	struct config *config =
		config_parse(buffer_bytes(&yaml), ENVIRONMENT_NAME, &errors);
	if (!config) {
		fail_msg("%.*s of %.*s", (int)errors.text.len, errors.text.data,
			 (int)yaml.len, yaml.data);
	}
	config_errors_release(&errors);
	buffer_release(&yaml);
	return config;
}

static void assert_refused(const char *words)
{
	struct buffer yaml = { .max = ENVIRONMENT_MAX };
	struct failure failure = { .text = "" };
	assert_false(environment_yaml(&yaml, &failure));
	if (!strstr(failure.text, words)) {
		fail_msg("<%s> is not in <%s>", words, failure.text);
	}
	buffer_release(&yaml);
}

static bool takes_plain_from(const struct config *config, const char *host)
{
	struct config_network network;
	const char *why;
	assert_true(config_network_parse(bytes_of(host), &network, &why));
	return config_networks_contain(&config->listeners[0].plain_from,
				       &network.address);
}

static void test_what_is_set_to_nothing_is_not_given(void **state)
{
	(void)state;
	assert_null(environment_given());
	give("POPBRIDGE_UPSTREAM", "");
	assert_null(environment_given());
	give("POPBRIDGE_UPSTREAM_FILE", "/nowhere");
	assert_string_equal(environment_given(), "POPBRIDGE_UPSTREAM_FILE");
}

static void test_a_setting_without_a_server_is_refused(void **state)
{
	(void)state;
	give("POPBRIDGE_PLAIN_FROM", "192.168.0.0/16");
	assert_string_equal(environment_given(), "POPBRIDGE_PLAIN_FROM");
	assert_refused("POPBRIDGE_UPSTREAM is not set");
}

static void test_a_misspelt_name_is_refused_with_the_right_ones(void **state)
{
	struct failure failure = { .text = "" };
	(void)state;
	give("POPBRIDGE_UPSTREM", "imaps://joe:secret@imap.example.com");
	assert_false(environment_has_only_known_names(&failure));
	assert_non_null(strstr(failure.text, "POPBRIDGE_UPSTREM is no variable"));
	assert_non_null(strstr(failure.text, "POPBRIDGE_UPSTREAM, POPBRIDGE_PLAIN_FROM"));
	assert_null(strstr(failure.text, "secret"));
	unsetenv("POPBRIDGE_UPSTREM");
	give("POPBRIDGE_PORT", "110");
	assert_false(environment_has_only_known_names(&failure));
}

/* Kubernetes sets these for a Service that is called popbridge. */
static void test_service_links_are_nobodys_mistake(void **state)
{
	static const char *const links[][2] = {
		{ "POPBRIDGE_SERVICE_HOST", "10.1.2.3" },
		{ "POPBRIDGE_SERVICE_PORT", "110" },
		{ "POPBRIDGE_SERVICE_PORT_POP3S", "995" },
		{ "POPBRIDGE_PORT", "tcp://10.1.2.3:110" },
		{ "POPBRIDGE_PORT_110_TCP", "tcp://10.1.2.3:110" },
		{ "POPBRIDGE_PORT_110_TCP_ADDR", "10.1.2.3" },
		{ "POPBRIDGE_WEB_PORT_9110_TCP_PROTO", "tcp" },
	};
	struct failure failure = { .text = "" };
	(void)state;
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		give(links[i][0], links[i][1]);
	}
	const bool good = environment_has_only_known_names(&failure);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		unsetenv(links[i][0]);
	}
	if (!good) {
		fail_msg("%s", failure.text);
	}
}

static void test_a_server_alone_is_a_configuration(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com");
	struct config *config = configured();
	assert_true(config->listener_count == 2 || config->listener_count == 4);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		const bool starttls = listener->tls == CONFIG_TLS_STARTTLS;
		assert_int_equal(address_port(&listener->address),
				 starttls ? 1110 : 1995);
		assert_false(address_is_loopback(&listener->address));
		assert_int_equal(listener->plain_from.count, 0);
	}
	assert_string_equal(config->state, "/var/lib/popbridge");
	assert_true(config->self_signed);
	assert_int_equal(address_port(&config->web.address), 9110);
	assert_false(address_is_loopback(&config->web.address));
	assert_string_equal(config->certificates[0].certificate,
			    "/var/lib/popbridge/self-signed.pem");
	assert_string_equal(config->routes[0].server, "imaps://imap.example.com");
	assert_ptr_equal(config_route_for(config, bytes_of("joe")), config->routes);
	config_free(config);
}

static void test_networks_stand_between_commas_or_spaces(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com");
	give("POPBRIDGE_PLAIN_FROM", " 192.168.0.0/16,10.1.2.3 fd00::/8, ");
	struct config *config = configured();
	assert_int_equal(config->listeners[0].plain_from.count, 3);
	assert_true(takes_plain_from(config, "192.168.77.1"));
	assert_true(takes_plain_from(config, "10.1.2.3"));
	assert_false(takes_plain_from(config, "10.1.2.4"));
	config_free(config);
}

static void test_each_variable_may_name_a_file(void **state)
{
	(void)state;
	give_file("POPBRIDGE_UPSTREAM_FILE", "imaps://imap.example.net\nmore\n");
	give("POPBRIDGE_STATE", "/srv/state");
	struct config *config = configured();
	assert_string_equal(config->routes[0].server, "imaps://imap.example.net");
	assert_string_equal(config->state, "/srv/state");
	config_free(config);
}

static void test_a_file_that_is_missing_or_empty_is_refused(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM_FILE", "/nowhere/at/all");
	assert_refused("POPBRIDGE_UPSTREAM_FILE: /nowhere/at/all: No such file");
	give_file("POPBRIDGE_UPSTREAM_FILE", "\nimaps://imap.example.net\n");
	assert_refused("its first line is empty");
}

static void test_both_forms_at_once_are_refused(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com");
	give_file("POPBRIDGE_UPSTREAM_FILE", "imaps://imap.example.net\n");
	assert_refused("both POPBRIDGE_UPSTREAM and POPBRIDGE_UPSTREAM_FILE");
}

/* A value is a value: no quote in it begins another setting. */
static void test_quotes_stay_within_the_value(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com");
	give("POPBRIDGE_STATE", "/srv/\"\\, tls: {minimum: 1.0} #");
	struct config *config = configured();
	assert_string_equal(config->state, "/srv/\"\\, tls: {minimum: 1.0} #");
	assert_int_equal(config->minimum_tls, TLS_1_2);
	config_free(config);
}

static void test_a_line_break_is_refused(void **state)
{
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com\nstate: x");
	assert_refused("POPBRIDGE_UPSTREAM: has a line break");
}

static void test_the_longest_values_fit_and_longer_ones_are_refused(void **state)
{
	static char longest[4096];
	(void)state;
	give("POPBRIDGE_UPSTREAM", "imaps://imap.example.com");
	memset(longest, '"', sizeof longest);
	longest[2046] = '\0';
	give("POPBRIDGE_STATE", longest);
	memset(longest, ' ', 2046);
	for (size_t i = 0; i < 256; i++) { // as many as a list takes
		memcpy(longest + 3 * i, "::,", 3);
	}
	give("POPBRIDGE_PLAIN_FROM", longest);
	struct config *config = configured();
	assert_int_equal(strlen(config->state), 2046);
	config_free(config);
	longest[2046] = '1';
	longest[2047] = '\0';
	give("POPBRIDGE_PLAIN_FROM", longest);
	assert_refused("POPBRIDGE_PLAIN_FROM: is longer than");
	unsetenv("POPBRIDGE_PLAIN_FROM");
	unsetenv("POPBRIDGE_UPSTREAM");
	memset(longest, 'x', 3000);
	longest[3000] = '\0';
	give_file("POPBRIDGE_UPSTREAM_FILE", longest);
	assert_refused("POPBRIDGE_UPSTREAM: is longer than");
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(file);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file);
}

#define CASE(test) cmocka_unit_test_setup(test, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_is_set_to_nothing_is_not_given),
		CASE(test_a_setting_without_a_server_is_refused),
		CASE(test_a_misspelt_name_is_refused_with_the_right_ones),
		CASE(test_service_links_are_nobodys_mistake),
		CASE(test_a_server_alone_is_a_configuration),
		CASE(test_networks_stand_between_commas_or_spaces),
		CASE(test_each_variable_may_name_a_file),
		CASE(test_a_file_that_is_missing_or_empty_is_refused),
		CASE(test_both_forms_at_once_are_refused),
		CASE(test_quotes_stay_within_the_value),
		CASE(test_a_line_break_is_refused),
		CASE(test_the_longest_values_fit_and_longer_ones_are_refused),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
