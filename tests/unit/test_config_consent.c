#include "tests/unit/config_fixture.h"

#define KEPT "state: /var/lib/popbridge\nmaster-key: /dev/null\n"
#define PROVIDER KEPT "providers: [{kind: google, client-id: abc}]\n"
#define PAIR "certificate: /dev/null, key: /dev/null"

static struct config *load(const char *consent)
{
	return accepted(
		printed("%s" PROVIDER "consent: {%s, " PAIR "}\n", ROUTE, consent));
}

static void consent_refused(const char *consent, const char *message)
{
	refused(printed("%s" PROVIDER "consent: {%s}\n", ROUTE, consent), message);
}

static void test_a_url_and_a_certificate_are_enough(void **state)
{
	struct config *config = load("url: \"https://Pop.example.com:8443/\"");

	(void)state;
	assert_true(config->consent.wanted);
	assert_string_equal(config->consent.url, "https://pop.example.com:8443");
	assert_int_equal(address_port(&config->consent.address), 8443);
	assert_string_equal(config->consent.pop3_host, "Pop.example.com");
	assert_int_equal(config->consent.invitation_ms, (uint64_t)72 * 3600 * 1000);
	config_free(config);
}

static void test_the_usual_port_does_not_stand_in_the_url(void **state)
{
	struct config *config = load("url: \"https://pop.example.com:443\"");

	(void)state;
	assert_string_equal(config->consent.url, "https://pop.example.com");
	config_free(config);
}

static void test_devices_are_told_of_the_listener_with_tls(void **state)
{
	struct config *config =
		accepted(printed("%s" PROVIDER "tls: {" PAIR "}\n"
				 "listen: [{address: \"0.0.0.0:1110\", tls: starttls}, "
				 "{address: \"0.0.0.0:1995\", tls: implicit}]\n"
				 "consent: {url: \"https://pop.example.com:8443\"}\n",
				 ROUTE));

	(void)state;
	assert_int_equal(config->consent.pop3_port, 1995);
	assert_int_equal(config->consent.pop3_tls, CONFIG_TLS_IMPLICIT);
	assert_string_equal(config->consent.certificate, "/dev/null");
	config_free(config);
}

static void test_devices_are_told_what_the_file_says(void **state)
{
	struct config *config = load("url: \"https://a.example\", pop3-server: "
				     "\"pop3+starttls://mail.example:2110\"");

	(void)state;
	assert_string_equal(config->consent.pop3_host, "mail.example");
	assert_int_equal(config->consent.pop3_port, 2110);
	assert_int_equal(config->consent.pop3_tls, CONFIG_TLS_STARTTLS);
	config_free(config);
	config = load("url: \"https://a.example\", pop3-server: \"pop3s://[::1]\"");
	assert_string_equal(config->consent.pop3_host, "[::1]");
	assert_int_equal(config->consent.pop3_port, 995);
	config_free(config);
}

static void test_a_key_that_all_may_read_is_told_once(void **state)
{
	struct config *own = load("url: \"https://a.example\"");
	struct config *shared =
		accepted(printed("%s" PROVIDER "tls: {" PAIR "}\n"
				 "consent: {url: \"https://a.example\"}\n",
				 ROUTE));
	struct buffer told;

	(void)state;
	buffer_init(&told, 4096);
	config_describe_exposed(own, "", &told);
	assert_non_null(memmem(told.data, told.len, "consent.key", 11));
	buffer_clear(&told);
	config_describe_exposed(shared, "", &told);
	assert_null(memmem(told.data, told.len, "consent.key", 11));
	buffer_release(&told);
	config_free(own);
	config_free(shared);
}

static void test_mistakes_are_told_by_their_place(void **state)
{
	(void)state;
	consent_refused(PAIR, "consent.url: is missing");
	consent_refused(PAIR ", url: \"http://a.example\"",
			"consent.url: is https://HOST");
	consent_refused(PAIR ", url: \"https://a.example/path\"",
			"consent.url: is https");
	consent_refused(PAIR ", url: \"https://a.example:0\"", "consent.url: is https");
	consent_refused(PAIR ", url: \"https://\"", "consent.url: is https");
	consent_refused("url: \"https://a.example\"", "consent.certificate: is missing");
	consent_refused("url: \"https://a.example\", certificate: /dev/null",
			"consent.key: is missing");
	consent_refused(PAIR ", url: \"https://a.example\", pop3-server: a.example",
			"consent.pop3-server: is pop3s://HOST");
	consent_refused(PAIR ", url: \"https://a.example\", invitation-life: 5s",
			"consent.invitation-life: is 1m to 720h");
	refused(printed("%smaster-key: /dev/null\nproviders: [{kind: google, client-id: "
			"abc}]\n"
			"consent: {url: \"https://a.example\", " PAIR "}\n",
			ROUTE),
		"consent: needs state (or control)");
	refused(printed("%sstate: /var/lib/popbridge\nproviders: [{kind: google, "
			"client-id: abc}]\n"
			"consent: {url: \"https://a.example\", " PAIR "}\n",
			ROUTE),
		"consent: needs master-key");
	refused(printed("%s" KEPT "consent: {url: \"https://a.example\", " PAIR "}\n",
			ROUTE),
		"consent: is for providers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_url_and_a_certificate_are_enough),
		cmocka_unit_test(test_the_usual_port_does_not_stand_in_the_url),
		cmocka_unit_test(test_devices_are_told_of_the_listener_with_tls),
		cmocka_unit_test(test_devices_are_told_what_the_file_says),
		cmocka_unit_test(test_a_key_that_all_may_read_is_told_once),
		cmocka_unit_test(test_mistakes_are_told_by_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
