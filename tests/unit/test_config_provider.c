#include "tests/unit/config_fixture.h"

static struct config *load(const char *provider)
{
	return accepted(printed("%sproviders:\n  - %s\n", ROUTE, provider));
}

static void provider_refused(const char *provider, const char *message)
{
	refused(printed("%sproviders:\n  - %s\n", ROUTE, provider), message);
}

static void test_a_well_known_provider_needs_only_its_client_id(void **state)
{
	struct config *config = load("{kind: google, client-id: abc}");
	const struct config_provider *google =
		config_provider_named(config, bytes_of("google"));

	(void)state;
	assert_non_null(google);
	assert_string_equal(google->token_endpoint,
			    "https://oauth2.googleapis.com/token");
	assert_null(google->device_endpoint);
	assert_string_equal(google->identity_claim, "email");
	assert_null(config_provider_named(config, bytes_of("yahoo")));
	config_free(config);
}

static void test_microsofts_tenant_stands_in_its_addresses(void **state)
{
	struct config *config = load(
		"{name: office, kind: microsoft, client-id: abc, tenant: example.com}");
	const struct config_provider *office =
		config_provider_named(config, bytes_of("office"));

	(void)state;
	assert_string_equal(
		office->device_endpoint,
		"https://login.microsoftonline.com/example.com/oauth2/v2.0/devicecode");
	config_free(config);
	config = load("{kind: microsoft, client-id: abc}");
	assert_string_equal(config->providers[0].token_endpoint,
			    "https://login.microsoftonline.com/common/oauth2/v2.0/token");
	config_free(config);
}

static void test_a_custom_provider_says_where_it_is(void **state)
{
	struct config *config =
		load("{name: own, kind: custom, client-id: abc, scope: imap, "
		     "discovery: \"http://127.0.0.1:9400/d\"}");

	(void)state;
	assert_string_equal(config->providers[0].discovery, "http://127.0.0.1:9400/d");
	config_free(config);
	provider_refused("{name: own, kind: custom, client-id: abc, scope: imap}",
			 "providers[0].discovery: or token-endpoint is missing");
	provider_refused("{name: own, kind: custom, client-id: abc, token-endpoint: "
			 "\"https://a/t\"}",
			 "providers[0].scope: is missing");
}

static void test_secrets_go_over_https_or_stay_here(void **state)
{
	static const char *const bad[] = { "http://id.example.com/t",
					   "http://127.0.0.1.example.com/t", "ftp://a/b",
					   "https://", "https://a/b c" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text),
			 "{kind: google, client-id: a, token-endpoint: \"%s\"}", bad[i]);
		provider_refused(text, "providers[0].token-endpoint: is an https:// URL");
	}
	config_free(load("{kind: google, client-id: a, token-endpoint: "
			 "\"http://localhost:1/t\"}"));
	config_free(load("{kind: google, client-id: a, token-endpoint: "
			 "\"http://[::1]:1/t\"}"));
}

static void test_what_does_not_go_together_is_said(void **state)
{
	char text[1024];

	(void)state;
	provider_refused("{kind: google}", "providers[0].client-id: is missing");
	provider_refused("{kind: google, client-id: a, tenant: b}",
			 "providers[0].tenant: is");
	provider_refused("{kind: microsoft, client-id: a, app-only: true}",
			 "providers[0].app-only: needs client-secret-file");
	provider_refused("{kind: gogle, client-id: a}", "did you mean");
	provider_refused("{kind: google, client-id: a, name: \"a b\"}",
			 "providers[0].name: is");
	provider_refused("{kind: google, client-id: a}\n  - {kind: google, client-id: b}",
			 "providers[1].name: is that of providers[0], too");
	snprintf(text, sizeof(text), "{kind: microsoft, client-id: a, certificate: %s}",
		 pem);
	provider_refused(text, "providers[0].key: is missing");
	snprintf(text, sizeof(text),
		 "{kind: microsoft, client-id: a, service-account-file: %s}", pem);
	provider_refused(text, "providers[0].service-account-file: is for kind: google");
	provider_refused(
		"{kind: google, client-id: a, client-secret-expires: 2027-01-31}",
		"client-secret-expires: goes with client-secret-file");
	provider_refused("{kind: google, client-id: a, client-secret-expires: soon}",
			 "client-secret-expires: a date is");
	provider_refused("{kind: google, client-id: a, consent-lasts: 7d}",
			 "consent-lasts: is a duration");
	provider_refused("{kind: google, client-id: a, client-secret-file: /nowhere/x}",
			 "providers[0].client-secret-file: cannot read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_well_known_provider_needs_only_its_client_id),
		cmocka_unit_test(test_microsofts_tenant_stands_in_its_addresses),
		cmocka_unit_test(test_a_custom_provider_says_where_it_is),
		cmocka_unit_test(test_secrets_go_over_https_or_stay_here),
		cmocka_unit_test(test_what_does_not_go_together_is_said),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
