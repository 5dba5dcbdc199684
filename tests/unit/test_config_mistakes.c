#include "tests/unit/config_fixture.h"

/* ---- mistakes of meaning ---- */

static void test_several_mistakes_come_at_once(void **state)
{
	static const char *const wanted[] = {
		"listen[1].address: the port is",
		"workers: is a whole number",
		"routes[0].server: the URL begins with",
		"routes[1].match: is empty",
		"routes[1].nul: is \"keep\" or \"replace\", not \"kep\"; did you mean",
		"limits.idle: a duration is",
		"log.level: is \"error\"",
	};
	struct config_errors errors;
	(void)state;
	assert_null(config_parse(
		bytes_of("listen:\n  - address: 127.0.0.1:0\n  - address: "
			 "127.0.0.1:70000\n"
			 "workers: 0\nroutes:\n  - match: a\n    server: pop3://b\n"
			 "  - match: \"\"\n    server: imaps://b\n    nul: kep\n"
			 "limits: {idle: 10}\nlog: {level: loud}\n"),
		"f.yaml", &errors));
	assert_int_equal(errors.count, 7);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		if (!contains(buffer_bytes(&errors.text), wanted[i])) {
			fail_msg("<%s> is not in %.*s", wanted[i], (int)errors.text.len,
				 errors.text.data);
		}
	}
	config_errors_release(&errors);
}

/* Every kind of mistake, and no more than that: what only follows from one is not said.
 */
static void
test_mistakes_of_form_and_of_meaning_come_at_once_with_their_places(void **state)
{
	static const char *const wanted[] = {
		"f.yaml:2:3: listen[0]: unknown key \"adress\"; did you mean address\n",
		"f.yaml:3:10: workers: is a whole number",
		"f.yaml:5:5: routes[0]: here \"key: value\" lines must stand",
		"f.yaml:7:5: routes[1]: unknown key \"sever\"; did you mean server\n",
		"f.yaml:8:5: routes[1]: unknown key \"color\"; known here: match, server",
		"f.yaml:9:10: routes[1].nul: is \"keep\" or \"replace\", not \"kep\"",
		"f.yaml:10:5: routes[2].server: is missing",
		"f.yaml:11:11: routes[2].pins: here a list",
		"f.yaml:12:5: routes[2].match: is set a second time",
		"f.yaml:13:8: state: here a single value must stand, not a list",
		"f.yaml:14:17: limits.idle: a duration is",
		"f.yaml:15:1: unknown key \"nonsense\"; known here: listen",
	};
	struct config_errors errors;
	(void)state;
	assert_null(
		config_parse(bytes_of("listen:\n- adress: a\nworkers: 0\nroutes:\n"
				      "  - joe\n"
				      "  - match: a\n    sever: imaps://b\n"
				      "    color: { of: [red, {}] }\n    nul: kep\n"
				      "  - match: b\n    pins: c\n    match: d\n"
				      "state: [a]\nlimits: { idle: 10, drain: \"5s\" }\n"
				      "nonsense: 1\n"),
			     "f.yaml", &errors));
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		if (!contains(buffer_bytes(&errors.text), wanted[i])) {
			fail_msg("<%s> is not in %.*s", wanted[i], (int)errors.text.len,
				 errors.text.data);
		}
	}
	assert_int_equal(errors.count, sizeof wanted / sizeof *wanted);
	config_errors_release(&errors);
}

static void test_quotes_and_backslashes_arrive_as_they_were_written(void **state)
{
	(void)state;
	struct config *config =
		accepted("routes: [{match: a, server: imaps://b, folder: 'a\"b\\c'}]\n"
			 "log: {trace: ['\\\\n', \u00fc]}\n");
	assert_string_equal(config->routes[0].folder, "a\"b\\c");
	config_free(config);
}

static void test_a_listener_has_a_numeric_address_and_a_port(void **state)
{
	(void)state;
	listen_refused("tls: none", "listen[0].address: is missing");
	listen_refused("address: \"localhost:110\"", "listen[0].address: the address is "
						     "numeric");
	listen_refused("address: \"110\"", "write address and port");
	listen_refused("address: \":110\"", "write address and port");
	listen_refused("address: \"127.0.0.1:\"", "write address and port");
	listen_refused("address: \"127.0.0.1:65536\"", "0 (any free one) to 65535");
	listen_refused("address: \"127.0.0.1:-1\"", "0 (any free one) to 65535");
	listen_refused("address: \"127.0.0.1:11 0\"", "0 (any free one) to 65535");
	listen_refused("address: \"::1:110\"", "stands in brackets");
	listen_refused("address: \"[127.0.0.1]:110\"", "stands in brackets");
	listen_refused("address: \"[::1:110\"", "write address and port");
	listen_refused("address: \"127.0.0.256:110\"", "the address is numeric");
}

static void test_plain_from_holds_networks(void **state)
{
	(void)state;
	const char *key = "listen[0].plain-from[0]: ";
	listen_refused("address: \"127.0.0.1:1\", plain-from: [lan]", key);
	listen_refused("address: \"127.0.0.1:1\", plain-from: [10.0.0.0/33]",
		       "0 to 32 for IPv4");
	listen_refused("address: \"127.0.0.1:1\", plain-from: [\"::/129\"]",
		       "0 to 128 for IPv6");
	listen_refused("address: \"127.0.0.1:1\", plain-from: [10.0.0.0/]", "0 to 32");
	listen_refused("address: \"127.0.0.1:1\", plain-from: [10.1.2.3/8]",
		       "bits set beyond its prefix length");
}

static void test_proxy_from_holds_networks(void **state)
{
	(void)state;
	listen_refused("address: \"127.0.0.1:1\", plain-from: [10.0.0.0/8], proxy-from: "
		       "[10.0.0.0/8, balancer]",
		       "listen[0].proxy-from[1]: ");
	listen_refused("address: \"127.0.0.1:1\", plain-from: [10.0.0.0/8], proxy-from: "
		       "[10.1.2.3/8]",
		       "bits set beyond its prefix length");
}

static void test_tls_needs_a_certificate(void **state)
{
	(void)state;
	listen_refused("address: \"0.0.0.0:110\", tls: starttls",
		       "listen[0].tls: starttls needs tls.certificate and tls.key");
	listen_refused("address: \"0.0.0.0:995\", tls: implicit",
		       "listen[0].tls: implicit needs tls.certificate");
	listen_refused("address: \"127.0.0.1:1\", legacy-tls-from: [10.0.0.1]",
		       "listen[0].legacy-tls-from: is for TLS, and tls is none");
	refused(printed(ROUTE "listen: [{address: \"127.0.0.1:1\", certificates: "
			      "[{certificate: %s, key: %s}]}]\n",
			pem, pem),
		"listen[0].certificates: is for TLS, and tls is none");
	refused(printed(ROUTE "listen: [{address: \"127.0.0.1:1\", tls: implicit, "
			      "certificates: [{certificate: %s}]}]\n",
			pem),
		"listen[0].certificates[0].key: is missing");
	refused_with(ROUTE "listen: [{address: \"127.0.0.1:1\", tls: implicit, "
			   "legacy-tls-from: [x]}]\n",
		     2, "listen[0].legacy-tls-from[0]: ");
	listen_refused("address: \"127.0.0.1:1\", tls: startls",
		       "did you mean \"starttls\"?");
}

static void test_a_listener_nobody_could_use_is_refused(void **state)
{
	(void)state;
	listen_refused("address: \"0.0.0.0:110\"",
		       "listen[0]: nobody could sign in here");
	listen_refused("address: \"127.0.0.1:110\", proxy-from: [127.0.0.1]",
		       "listen[0]: nobody could sign in here: there is no TLS and with "
		       "proxy-from");
	good(ROUTE "listen: [{address: \"0.0.0.0:110\", plain-from: [0.0.0.0/0]}]\n");
}

static void test_one_address_is_listened_on_once(void **state)
{
	(void)state;
	refused(ROUTE
		"listen: [{address: \"127.0.0.1:1\"}, {address: \"127.0.0.1:1\"}]\n",
		"listen[1].address: is that of listen[0]");
	good(ROUTE "listen: [{address: \"127.0.0.1:0\"}, {address: \"127.0.0.1:0\"}]\n");
	good(ROUTE "listen: [{address: \"127.0.0.1:1\"}, {address: \"[::1]:1\"}]\n");
}

static void test_certificate_and_key_come_together(void **state)
{
	(void)state;
	refused(printed(ROUTE "tls: {certificate: %s}\n", pem), "tls.key: is missing");
	refused(printed(ROUTE "tls: {key: %s}\n", pem), "tls.certificate: is missing");
	refused(printed(ROUTE
			"tls: {certificate: %s, key: %s, additional: [{key: %s}]}\n",
			pem, pem, pem),
		"tls.additional[0].certificate: is missing");
	refused(printed(ROUTE "tls: {additional: [{certificate: %s, key: %s}]}\n", pem,
			pem),
		"tls.additional: is for further ones");
	refused(printed(ROUTE "    client-certificate: %s\n", pem),
		"routes[0].client-certificate: has no client-key");
	refused(printed(ROUTE "    client-key: %s\n", pem),
		"routes[0].client-key: has no client-certificate");
}

static void test_files_must_be_readable(void **state)
{
	char wanted[256];
	(void)state;
	snprintf(wanted, sizeof wanted,
		 "routes[0].ca-file: cannot read \"absent.pem\": %s", strerror(ENOENT));
	route_refused("ca-file: absent.pem", wanted);
	snprintf(wanted, sizeof wanted, "tls.key: cannot read \"absent.pem\": %s",
		 strerror(ENOENT));
	refused(printed(ROUTE "tls: {certificate: %s, key: absent.pem}\n", pem), wanted);
	refused(printed(ROUTE "    ca-file: %s\n", folder), strerror(EISDIR));
}

static void test_a_server_is_a_url_of_imap(void **state)
{
	(void)state;
	refused("routes: [{match: a}]\n", "routes[0].server: is missing");
	server_refused("imap.example.com", "the URL begins with imaps://");
	server_refused("pop3://a", "the URL begins with imaps://");
	server_refused("pop3://a", "not \"pop3://a\"");
	server_refused("http://a", "the URL begins with imaps://");
	server_refused("imaps://", "the host is missing");
	server_refused("imaps://:993", "the host is missing");
	server_refused("imaps://a/INBOX", "nothing may follow host and port");
	server_refused("imaps://a?x", "nothing may follow host and port");
	server_refused("imaps://a:0", "from 1 to 65535");
	server_refused("imaps://a:", "from 1 to 65535");
	server_refused("imaps://a:65536", "from 1 to 65535");
	server_refused("imaps://a:imap", "from 1 to 65535");
	server_refused("imaps://2001:db8::1", "stands in brackets");
	server_refused("imaps://[192.0.2.1]", "no host name or address");
	server_refused("imaps://[2001:db8::x]", "no host name or address");
	server_refused("imaps://a..b", "no host name or address");
	server_refused("imaps://-a", "no host name or address");
	server_refused("imaps://a b", "no host name or address");
	server_refused("imaps://b\u00fccher.example", "xn--");
	route_accepted("user: a");
	good("routes: [{match: a, server: \"IMAPS://[2001:db8::1]:1993/\"}]\n");
}

static void test_a_password_in_the_url_is_refused_and_not_repeated(void **state)
{
	struct config_errors errors;
	(void)state;
	assert_null(config_parse(
		bytes_of("routes: [{match: a, server: \"imaps://joe:geheim@a\"}]\n"),
		"f.yaml", &errors));
	assert_true(contains(buffer_bytes(&errors.text), "no user or password"));
	assert_false(contains(buffer_bytes(&errors.text), "geheim"));
	config_errors_release(&errors);
}

static void test_passwords_in_the_clear_stay_on_this_host(void **state)
{
	(void)state;
	server_refused("imap://imap.example.com", "say allow-plain: true");
	server_refused("imap://127.evil.example", "say allow-plain: true");
	server_refused("imap://192.0.2.1", "say allow-plain: true");
	good("routes: [{match: a, server: \"imap://localhost\"}]\n");
	good("routes: [{match: a, server: \"imap://127.0.0.3:1143\"}]\n");
	good("routes: [{match: a, server: \"imap://[::1]\"}]\n");
	good("routes: [{match: a, server: \"imap://imap.example.com\", "
	     "allow-plain: true}]\n");
}

static void test_pins_on_a_connection_without_tls_are_a_mistake(void **state)
{
	(void)state;
	refused("routes: [{match: a, server: \"imap://localhost\", pins: [\"" PIN
		"\"]}]\n",
		"routes[0].server: imap:// has no TLS");
}

static void test_a_pin_is_the_base64_of_a_sha256(void **state)
{
	(void)state;
	route_accepted("pins: [\"" PIN "\"]");
	route_refused("pins: [\"" PIN "\", abcd]",
		      "routes[0].pins[1]: is not the base64");
	route_refused("pins: [\"sha256//" PIN "\"]", "no prefix");
	route_refused("pins: [\"AA" PIN "\"]", "is not the base64");
}

static void test_words_and_truth_values_are_checked(void **state)
{
	(void)state;
	route_refused("mark-read: yes", "routes[0].mark-read: is \"false\" or \"true\"");
	route_refused("mark-read: ture", "did you mean \"true\"?");
	route_refused("without-uidplus: carefull",
		      "is \"leave\", \"careful\" or \"never\", not \"carefull\"; did you "
		      "mean \"careful\"?");
	route_refused("forward-client: ip", "routes[0].forward-client: is \"none\"");
	route_refused("when-locked: Share", "did you mean \"share\"?");
	refused(ROUTE "log: {addresses: none}\n",
		"log.addresses: is \"full\", \"truncated\" or \"hashed\"");
	refused(ROUTE "log: {trace: [\"\"]}\n", "log.trace[0]: is empty");
	refused(ROUTE "tls: {minimum: 1.4}\n", "tls.minimum: is \"1.2\" or \"1.3\"");
	refused(ROUTE "tls: {minimum: 1.0}\n", "legacy-tls-from");
	refused(ROUTE "tls: {minimum: 1.1}\n", "legacy-tls-from");
	refused(ROUTE "log: {format: jsn}\n", "did you mean \"json\"?");
}

static void test_the_unique_id_template_is_checked(void **state)
{
	(void)state;
	route_refused("unique-id: \"{uid}\"", "routes[0].unique-id: ");
	route_refused("unique-id: \"same for all\"", "routes[0].unique-id: ");
	route_accepted("unique-id: \"{uidvalidity}-{uid}\"");
}

static void test_user_templates_know_three_names(void **state)
{
	(void)state;
	route_accepted("user: \"{local}%{domain}\"");
	route_refused(
		"user: \"{name}\"",
		"routes[0].user: braces enclose one of {user}, {local} and {domain}");
	route_refused("user: \"{local\"", "routes[0].user: braces");
	route_refused("user: \"local}\"", "routes[0].user: braces");
	route_refused("user: \"\"", "routes[0].user: is empty");
}

static void test_folder_settings_are_checked(void **state)
{
	(void)state;
	route_refused("folder: \"\"", "routes[0].folder: is empty");
	route_refused("folder:", "routes[0].folder: is empty");
	route_accepted("folder-separator: \"+\"");
	route_refused("folder-separator: \"\"",
		      "routes[0].folder-separator: is exactly one");
	route_refused("folder-separator: \"++\"", "is exactly one");
	route_refused("folder-separator: a", "is exactly one");
	route_refused("folder-separator: \" \"", "is exactly one");
	route_refused("folder-separator: \"@\"", "is exactly one");
	route_refused("folder-separator: \u00e9", "is exactly one");
}

static void test_min_poll_is_a_short_time(void **state)
{
	(void)state;
	route_accepted("min-poll: off");
	route_accepted("min-poll: 1h");
	route_refused("min-poll: 61m",
		      "routes[0].min-poll: is 1s to 1h, or off, not \"61m\"");
	route_refused("min-poll: 0s", "routes[0].min-poll: is 1s to 1h");
	route_refused("min-poll: often", "routes[0].min-poll: ");
}

static void test_what_is_asked_of_a_server_is_limited_by_numbers(void **state)
{
	(void)state;
	route_accepted(
		"server-connections: any\n    server-connections-per-account: any");
	route_accepted("server-sign-in-rate: any\n    server-octets-per-day: any");
	route_refused("server-connections: 0",
		      "routes[0].server-connections: is a whole number from 1 to");
	route_refused("server-connections-per-account: many",
		      "routes[0].server-connections-per-account: is a whole number");
	route_refused("server-sign-in-rate: 1.5", "routes[0].server-sign-in-rate: is a");
	route_refused("server-octets-per-day: 1KiB",
		      "routes[0].server-octets-per-day: is at least 1MiB, or any, not");
	route_refused("server-octets-per-day: lots",
		      "routes[0].server-octets-per-day: a size is a whole number");
}

static void test_the_login_delay_is_in_whole_seconds(void **state)
{
	(void)state;
	route_accepted("login-delay: off");
	route_accepted("login-delay: 24h");
	route_refused("login-delay: 1500ms",
		      "routes[0].login-delay: is in whole seconds from 1s to 24h");
	route_refused("login-delay: 0s", "is in whole seconds");
	route_refused("login-delay: 25h", "is in whole seconds");
	route_refused("login-delay: soon", "routes[0].login-delay: ");
	route_refused("login-delay: \"\"", "routes[0].login-delay: is empty");
}

static void test_limits_have_ranges(void **state)
{
	(void)state;
	limit_refused("idle: 0s", "limits.idle: is from 10ms to 24h");
	limit_refused("idle: 25h", "limits.idle: is from 10ms to 24h");
	limit_refused("connect: 61m", "limits.connect: is from 10ms to 1h");
	limit_refused("sessions: 0", "limits.sessions: is a whole number from 1");
	limit_refused("sessions: -1", "limits.sessions: is a whole number from 1");
	limit_refused("sessions-per-address: 1000001", "is a whole number from 1");
	limit_refused("sessions-per-account: 0", "is a whole number from 1");
	limit_refused("accept-rate: 100001", "limits.accept-rate: is a whole number");
	limit_refused("accept-rate-per-address: off", "is a whole number from 1");
	limit_refused("minimum-rate: 1KB", "limits.minimum-rate: is octets a second");
	limit_refused("minimum-rate: 1025MiB", "limits.minimum-rate: ");
	limit_refused("sign-in-delay: 15s..2s", "the shorter duration comes first");
	limit_refused("sign-in-delay: 2s..", "write a range of durations");
	limit_refused("sign-in-delay: 2s..6m", "is at most 5m");
	limit_refused("idle: \"\"", "limits.idle: is empty");
	refused(ROUTE "workers: 0\n",
		"workers: is a whole number from 1 to 256, not \"0\"");
	refused(ROUTE "workers: 257\n", "workers: is a whole number");
	refused(ROUTE "workers: 2 3\n", "workers: is a whole number");
}

static void test_the_delay_can_be_off_or_fixed(void **state)
{
	(void)state;
	struct config *config = accepted(ROUTE "limits: {sign-in-delay: off}\n");
	assert_int_equal(config->limits.sign_in_delay_min_ms, 0);
	assert_int_equal(config->limits.sign_in_delay_max_ms, 0);
	config_free(config);
	config = accepted(ROUTE "limits: {sign-in-delay: 5s, minimum-rate: 0}\n");
	assert_int_equal(config->limits.sign_in_delay_min_ms, 5000);
	assert_int_equal(config->limits.sign_in_delay_max_ms, 5000);
	assert_int_equal(config->limits.minimum_rate, 0);
	config_free(config);
}

static void test_a_route_behind_a_wider_one_is_reported(void **state)
{
	(void)state;
	refused("routes:\n  - {match: \"*\", server: imaps://a}\n"
		"  - {match: joe, server: imaps://b}\n",
		"routes[1].match: is never reached: routes[0] with \"*\" comes before");
	refused("routes:\n  - {match: \"*@A.example\", server: imaps://a}\n"
		"  - {match: \"j*@a.example\", server: imaps://b}\n",
		"routes[1].match: is never reached");
	refused("routes:\n  - {match: joe, server: imaps://a}\n"
		"  - {match: JOE, server: imaps://b}\n",
		"routes[1].match: is never reached");
	good("routes:\n  - {match: \"j*@a.example\", server: imaps://a}\n"
	     "  - {match: \"*@a.example\", server: imaps://b}\n");
}

static void web_refused(const char *settings, const char *part)
{
	refused(printed(ROUTE "listen: [{address: \"127.0.0.1:1110\"}]\nweb: {%s}\n",
			settings),
		part);
}

static void test_the_web_has_an_address_of_its_own_and_plain_host_names(void **state)
{
	(void)state;
	web_refused("address: here", "web.address: ");
	web_refused("address: \"127.0.0.1:1110\"",
		    "web.address: is that of listen[0], too");
	web_refused("host-names: [\"a.example:80\"]", "web.host-names[0]: ");
	web_refused("host-names: [a.example, \"\"]", "web.host-names[1]: ");
	web_refused("adress: \"127.0.0.1:9110\"", "address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_mistakes_come_at_once),
		cmocka_unit_test(
			test_mistakes_of_form_and_of_meaning_come_at_once_with_their_places),
		cmocka_unit_test(test_quotes_and_backslashes_arrive_as_they_were_written),
		cmocka_unit_test(test_a_listener_has_a_numeric_address_and_a_port),
		cmocka_unit_test(test_plain_from_holds_networks),
		cmocka_unit_test(test_proxy_from_holds_networks),
		cmocka_unit_test(test_tls_needs_a_certificate),
		cmocka_unit_test(test_a_listener_nobody_could_use_is_refused),
		cmocka_unit_test(test_one_address_is_listened_on_once),
		cmocka_unit_test(test_certificate_and_key_come_together),
		cmocka_unit_test(test_files_must_be_readable),
		cmocka_unit_test(test_a_server_is_a_url_of_imap),
		cmocka_unit_test(test_a_password_in_the_url_is_refused_and_not_repeated),
		cmocka_unit_test(test_passwords_in_the_clear_stay_on_this_host),
		cmocka_unit_test(test_pins_on_a_connection_without_tls_are_a_mistake),
		cmocka_unit_test(test_a_pin_is_the_base64_of_a_sha256),
		cmocka_unit_test(test_words_and_truth_values_are_checked),
		cmocka_unit_test(test_the_unique_id_template_is_checked),
		cmocka_unit_test(test_user_templates_know_three_names),
		cmocka_unit_test(test_folder_settings_are_checked),
		cmocka_unit_test(test_limits_have_ranges),
		cmocka_unit_test(test_the_login_delay_is_in_whole_seconds),
		cmocka_unit_test(test_min_poll_is_a_short_time),
		cmocka_unit_test(test_what_is_asked_of_a_server_is_limited_by_numbers),
		cmocka_unit_test(test_the_delay_can_be_off_or_fixed),
		cmocka_unit_test(test_a_route_behind_a_wider_one_is_reported),
		cmocka_unit_test(
			test_the_web_has_an_address_of_its_own_and_plain_host_names),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
