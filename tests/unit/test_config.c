#include "tests/unit/config_fixture.h"

/* ---- a good file ---- */

static const char full[] = "listen:\n"
			   "  - address: \"0.0.0.0:110\"\n"
			   "    tls: starttls\n"
			   "    plain-from: [192.0.2.0/24, \"2001:db8::/32\", 10.1.2.3]\n"
			   "  - address: \"[::]:995\"\n"
			   "    tls: implicit\n"
			   "    certificates:\n"
			   "      - {certificate: PEM, key: PEM}\n"
			   "    legacy-tls-from: [198.51.100.0/24]\n"
			   "    proxy-from: [10.0.0.0/8, \"fd00::/8\"]\n"
			   "tls:\n"
			   "  certificate: PEM\n"
			   "  key: PEM\n"
			   "  minimum: 1.3\n"
			   "  additional:\n"
			   "    - certificate: PEM\n"
			   "      key: PEM\n"
			   "state: var\n"
			   "workers: 3\n"
			   "routes:\n"
			   "  - match: \"*@example.com\"\n"
			   "    server: imap+starttls://imap.example.com\n"
			   "    user: \"{local}\"\n"
			   "    ca-file: PEM\n"
			   "    client-certificate: PEM\n"
			   "    client-key: PEM\n"
			   "    pins: [\"" PIN "\"]\n"
			   "    folder: Archive\n"
			   "    folder-separator: \"+\"\n"
			   "    unique-id: \"{uid}\"\n"
			   "    uid-only: true\n"
			   "    mark-read: true\n"
			   "    read-ahead: false\n"
			   "    without-uidplus: careful\n"
			   "    forward-client: id\n"
			   "    when-locked: share\n"
			   "    nul: replace\n"
			   "    login-delay: 90s\n"
			   "    min-poll: 2m\n"
			   "    compress: true\n"
			   "    server-connections: 100\n"
			   "    server-connections-per-account: 15\n"
			   "    server-sign-in-rate: 5\n"
			   "    server-octets-per-day: 2500MiB\n"
			   "limits:\n"
			   "  sessions: 7\n"
			   "  sessions-per-address: 6\n"
			   "  sessions-per-account: 5\n"
			   "  accept-rate: 4\n"
			   "  accept-rate-per-address: 3\n"
			   "  idle: 11m\n"
			   "  write-stall: 2h\n"
			   "  sign-in: 61s\n"
			   "  upstream-sign-in: 56s\n"
			   "  connect: 500ms\n"
			   "  tls: 9s\n"
			   "  authenticate: 8s\n"
			   "  command: 7s\n"
			   "  minimum-rate: 2KiB\n"
			   "  sign-in-delay: 1s..3s\n"
			   "log:\n"
			   "  format: json\n"
			   "  level: debug\n"
			   "  addresses: hashed\n"
			   "  trace: [joe, \"*@example.net\"]\n"
			   "web:\n"
			   "  address: \"127.0.0.1:9111\"\n"
			   "  host-names: [status.example.com]\n";

/* The full configuration, PEM replaced by the path of a file that is there. */
static struct config *accepted_full(void)
{
	struct buffer yaml = { .max = 16384 };
	const char *rest = full;
	const char *hit;
	while ((hit = strstr(rest, "PEM")) != NULL) {
		buffer_printf(&yaml, "%.*s%s", (int)(hit - rest), rest, pem);
		rest = hit + 3;
	}
	assert_true(buffer_printf(&yaml, "%s", rest));
	struct config *config = accepted(yaml.data);
	buffer_release(&yaml);
	return config;
}

static void test_every_listener_and_certificate_is_understood(void **state)
{
	(void)state;
	struct config *config = accepted_full();
	struct address inside, outside;
	assert_int_equal(config->listener_count, 2);
	assert_int_equal(config->listeners[0].tls, CONFIG_TLS_STARTTLS);
	assert_int_equal(address_port(&config->listeners[0].address), 110);
	assert_int_equal(config->listeners[1].tls, CONFIG_TLS_IMPLICIT);
	assert_int_equal(address_port(&config->listeners[1].address), 995);
	assert_int_equal(config->listeners[0].plain_from.count, 3);
	assert_true(address_parse(bytes_of("192.0.2.200"), 1, &inside));
	assert_true(address_parse(bytes_of("10.1.2.4"), 1, &outside));
	assert_true(config_networks_contain(&config->listeners[0].plain_from, &inside));
	assert_false(config_networks_contain(&config->listeners[0].plain_from, &outside));
	assert_true(address_parse(bytes_of("2001:db8::7"), 1, &inside));
	assert_true(config_networks_contain(&config->listeners[0].plain_from, &inside));
	assert_false(config_networks_contain(&config->listeners[1].plain_from, &inside));
	assert_int_equal(config->listeners[0].proxy_from.count, 0);
	assert_int_equal(config->listeners[1].proxy_from.count, 2);
	assert_true(config_networks_contain(&config->listeners[1].proxy_from, &outside));
	assert_false(config_networks_contain(&config->listeners[1].proxy_from, &inside));
	assert_int_equal(config->minimum_tls, TLS_1_3);
	assert_int_equal(config->log_addresses, CONFIG_ADDRESSES_HASHED);
	assert_true(config_is_traced(config, bytes_of("JOE")));
	assert_true(config_is_traced(config, bytes_of("ann@example.net")));
	assert_false(config_is_traced(config, bytes_of("joel")));
	assert_false(config_is_traced(config, bytes_of("")));
	assert_int_equal(config->certificate_count, 3);
	assert_string_equal(config->certificates[1].certificate, pem);
	assert_string_equal(config->certificates[2].key, pem);
	assert_int_equal(config->listeners[0].certificate_first, 0);
	assert_int_equal(config->listeners[0].certificate_count, 2);
	assert_int_equal(config->listeners[1].certificate_first, 2);
	assert_int_equal(config->listeners[1].certificate_count, 1);
	assert_int_equal(config->listeners[0].legacy_tls_from.count, 0);
	assert_true(address_parse(bytes_of("198.51.100.7"), 1, &inside));
	assert_true(
		config_networks_contain(&config->listeners[1].legacy_tls_from, &inside));
	config_free(config);
}

static void test_every_route_setting_is_understood(void **state)
{
	(void)state;
	struct config *config = accepted_full();
	const struct config_route *route = config->routes;
	assert_int_equal(config->route_count, 1);
	assert_string_equal(route->match, "*@example.com");
	assert_string_equal(route->server, "imap+starttls://imap.example.com");
	assert_int_equal(route->security, CONFIG_IMAP_STARTTLS);
	assert_string_equal(route->host, "imap.example.com");
	assert_int_equal(route->port, 143);
	assert_string_equal(route->user, "{local}");
	assert_string_equal(route->ca_file, pem);
	assert_string_equal(route->client_certificate, pem);
	assert_string_equal(route->client_key, pem);
	assert_int_equal(route->pin_count, 1);
	assert_string_equal(route->pins[0], PIN);
	assert_string_equal(route->folder, "Archive");
	assert_int_equal(route->folder_separator, '+');
	assert_true(pop3_unique_id_uses(&route->unique_id, POP3_UNIQUE_ID_UID));
	assert_false(pop3_unique_id_uses(&route->unique_id, POP3_UNIQUE_ID_UIDVALIDITY));
	assert_true(route->mark_read);
	assert_false(route->read_ahead);
	assert_int_equal(route->without_uidplus, CONFIG_CAREFUL);
	assert_int_equal(route->forward_client, CONFIG_FORWARD_ID);
	assert_int_equal(route->when_locked, CONFIG_SHARE);
	assert_int_equal(route->nul, CONFIG_NUL_REPLACE);
	assert_int_equal(route->login_delay_s, 90);
	assert_int_equal(route->min_poll_ms, 120000);
	assert_true(route->compress);
	assert_int_equal(route->server_connections, 100);
	assert_int_equal(route->server_connections_per_account, 15);
	assert_int_equal(route->server_sign_in_rate, 5);
	assert_int_equal(route->server_octets_per_day, (uint64_t)2500 * 1024 * 1024);
	config_free(config);
}

static void test_every_limit_is_understood(void **state)
{
	(void)state;
	struct config *config = accepted_full();
	const struct config_limits *limits = &config->limits;
	assert_string_equal(config->state, "var");
	assert_int_equal(config->workers, 3);
	assert_int_equal(limits->sessions, 7);
	assert_int_equal(limits->sessions_per_address, 6);
	assert_int_equal(limits->sessions_per_account, 5);
	assert_int_equal(limits->accept_rate, 4);
	assert_int_equal(limits->accept_rate_per_address, 3);
	assert_int_equal(limits->idle_ms, 11 * 60 * 1000);
	assert_int_equal(limits->write_stall_ms, 2 * 60 * 60 * 1000);
	assert_int_equal(limits->sign_in_ms, 61000);
	assert_int_equal(limits->upstream_sign_in_ms, 56000);
	assert_int_equal(limits->connect_ms, 500);
	assert_int_equal(limits->tls_ms, 9000);
	assert_int_equal(limits->authenticate_ms, 8000);
	assert_int_equal(limits->command_ms, 7000);
	assert_int_equal(limits->minimum_rate, 2048);
	assert_int_equal(limits->sign_in_delay_min_ms, 1000);
	assert_int_equal(limits->sign_in_delay_max_ms, 3000);
	assert_int_equal(config->log_format, LOG_JSON);
	assert_int_equal(config->log_level, LOG_DEBUG);
	assert_true(config->web.wanted);
	assert_int_equal(address_port(&config->web.address), 9111);
	assert_int_equal(config->web.host_name_count, 1);
	assert_string_equal(config->web.host_names[0], "status.example.com");
	config_free(config);
}

/* ---- defaults ---- */

static void test_a_route_alone_is_a_configuration(void **state)
{
	(void)state;
	char text[ADDRESS_TEXT_MAX];
	struct config *config = accepted(ROUTE);
	const struct config_route *route = config->routes;
	assert_int_equal(config->listener_count, 1);
	assert_int_equal(config->listeners[0].tls, CONFIG_TLS_NONE);
	assert_int_equal(address_port(&config->listeners[0].address), 1110);
	address_text(&config->listeners[0].address, text);
	assert_string_equal(text, "127.0.0.1");
	assert_null(config->state);
	assert_true(config->workers >= 1);
	assert_string_equal(route->user, "{user}");
	assert_string_equal(route->folder, "INBOX");
	assert_int_equal(route->folder_separator, 0);
	assert_string_equal(route->unique_id.text, POP3_UNIQUE_ID_DEFAULT);
	assert_int_equal(route->port, 993);
	assert_int_equal(config->limits.idle_ms, 600000);
	assert_int_equal(config->limits.write_stall_ms, 600000);
	assert_int_equal(config->limits.sign_in_delay_max_ms, 15000);
	assert_int_equal(config->limits.minimum_rate, 1024);
	assert_int_equal(config->log_level, LOG_INFO);
	assert_false(config->web.wanted);
	config_free(config);
}

static void test_write_stall_follows_idle(void **state)
{
	(void)state;
	struct config *config = accepted(ROUTE "limits: {idle: 20m}\n");
	assert_int_equal(config->limits.write_stall_ms, 20 * 60 * 1000);
	config_free(config);
}

static void test_a_certificate_opens_the_ports_of_pop3(void **state)
{
	(void)state;
	struct config *config =
		accepted(printed(ROUTE "tls: {certificate: %s, key: %s}\n", pem, pem));
	assert_int_equal(config->listener_count, 2);
	assert_int_equal(config->listeners[0].tls, CONFIG_TLS_STARTTLS);
	assert_int_equal(address_port(&config->listeners[0].address), 110);
	assert_int_equal(config->listeners[1].tls, CONFIG_TLS_IMPLICIT);
	assert_int_equal(address_port(&config->listeners[1].address), 995);
	config_free(config);
}

static void test_sections_may_be_empty(void **state)
{
	(void)state;
	good("listen:\ntls:\n" ROUTE "limits:\nlog:\n");
}

/* ---- structure ---- */

static void test_an_unknown_key_is_named_with_its_place(void **state)
{
	(void)state;
	refused("routes:\n  - match: \"*\"\n    sever: imaps://a\n",
		"f.yaml:3:5: routes[0]: unknown key \"sever\"; did you mean server");
	refused(ROUTE "limit: {}\n", "f.yaml:4:1: unknown key \"limit\"; did you mean "
				     "limits");
	refused(ROUTE "limits:\n  idle: 10m\n\n  # words\n  Sign_In: 3s\n",
		"f.yaml:8:3: limits: unknown key \"Sign_In\"; did you mean sign-in");
	refused(ROUTE "log: {colour: red}\n",
		"f.yaml:4:7: log: unknown key \"colour\"; known here: format, level");
	refused_with("tls:\n  additional:\n    - cert: a\n", 4,
		     "f.yaml:3:7: tls.additional[0]: unknown key \"cert\"; known here: "
		     "certificate");
}

static void test_a_wrong_type_is_named_with_its_place(void **state)
{
	(void)state;
	refused("routes: everything\n",
		"f.yaml:1:9: routes: here a list (entries that begin with \"- \", or "
		"[a, b]) must stand, not a single value");
	refused("routes:\n  - imaps://a\n",
		"f.yaml:2:5: routes[0]: here \"key: value\" lines "
		"must stand, not a single value");
	refused("- a\n", "f.yaml:1:1: here \"key: value\" lines must stand, not a list");
	refused("hello\n", "f.yaml:1:1: here \"key: value\" lines must stand");
	refused(ROUTE "state: [a]\n",
		"f.yaml:4:8: state: here a single value must stand, not a list");
	refused(ROUTE "[a]: b\n", "f.yaml:4:1: here a key must stand");
}

static void test_values_without_their_quotes_get_advice(void **state)
{
	(void)state;
	refused("routes:\n  - match: *@example.com\n", "f.yaml:2:13: ");
	refused("routes:\n  - match: *@example.com\n", "needs quotes around it");
	refused("routes:\n  - match: *\n    server: imaps://a\n",
		"needs quotes around it");
	refused("routes:\n  - match: *all\n", "needs quotes around it");
	refused_with("routes:\n  - match: a\n    user: {user}\n", 2,
		     "needs quotes around it");
	refused_with("listen:\n  - address: [::]:995\n", 2, "needs quotes around it");
}

static void test_broken_yaml_is_reported_with_its_place(void **state)
{
	(void)state;
	refused("routes:\n\t- match: a\n", "f.yaml:2:1: ");
	refused("routes:\n\t- match: a\n", "indent with spaces, not with tabs");
	refused("routes: [\n", "f.yaml:2:1: ");
	refused("log:\n  level: \"info\n", "f.yaml:3:1: ");
	refused("log:\n  level: \"info\n", "a quoted scalar that begins at 2:10");
	refused("routes:\n  - match: a\n    server:imaps://b\n", "that begins at 3:5");
	refused("log:\n  level: \xff\n", "f.yaml:2:10: ");
}

static void test_what_a_configuration_has_no_use_for_is_refused(void **state)
{
	(void)state;
	refused("state: &a b\nlog: *a\n", "f.yaml:2:6: YAML aliases are not supported");
	refused(ROUTE "---\nstate: a\n", "f.yaml:4:1: a second YAML document");
	refused_with("a: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]\n", 2, "too deeply nested");
	refused(ROUTE "state: ~\n", "f.yaml:4:8: state: null: leave the setting out");
	refused(ROUTE "state: \"a\\0b\"\n", "f.yaml:4:8: state: a line break, NUL");
	refused(ROUTE "state: a\nstate: b\n", "f.yaml:5:1: state: is set a second time");
}

static void test_octets_that_would_end_an_imap_line_are_refused(void **state)
{
	(void)state;
	route_refused("folder: \"a\\r\\nb\"",
		      "f.yaml:4:13: routes[0].folder: a line break");
	route_refused("user: \"a\\nb\"", "f.yaml:4:11: routes[0].user: a line break");
	route_refused("folder: \"a\\0b\"",
		      "f.yaml:4:13: routes[0].folder: a line break, NUL");
}

static void test_an_empty_file_says_what_is_missing(void **state)
{
	(void)state;
	refused("", "routes: is missing");
	refused("# nothing yet\n", "routes: is missing");
	refused("", "  routes:\n    - match: \"*\"\n      server: "
		    "imaps://imap.example.com\n");
	refused("routes:\n", "routes: is missing");
	refused("routes: []\n", "routes: is missing");
}

static void test_a_file_beyond_the_limit_is_not_read(void **state)
{
	struct config_errors errors;
	struct bytes text = { malloc(CONFIG_FILE_MAX + 1), CONFIG_FILE_MAX + 1 };
	(void)state;
	assert_non_null(text.at);
	memset((char *)text.at, ' ', text.len);
	assert_null(config_parse(text, "f.yaml", &errors));
	assert_true(contains(buffer_bytes(&errors.text), "f.yaml: is longer than 1 MiB"));
	config_errors_release(&errors);
	free((char *)text.at);
}

/* ---- files ---- */

static void test_a_file_is_loaded(void **state)
{
	struct config_errors errors;
	(void)state;
	write_file(in_folder("popbridge.yaml"), ROUTE);
	struct config *config = config_load(in_folder("popbridge.yaml"), &errors);
	assert_non_null(config);
	assert_int_equal(errors.count, 0);
	assert_string_equal(config->routes[0].host, "imap.example.com");
	config_errors_release(&errors);
	config_free(config);
}

static void test_messages_about_a_file_begin_with_its_path(void **state)
{
	struct config_errors errors;
	char begin[600];
	(void)state;
	write_file(in_folder("popbridge.yaml"), "\nroute: 1\n");
	assert_null(config_load(in_folder("popbridge.yaml"), &errors));
	snprintf(begin, sizeof begin, "%s:2:1: unknown key", in_folder("popbridge.yaml"));
	assert_true(contains(buffer_bytes(&errors.text), begin));
	config_errors_release(&errors);
}

static void test_a_missing_file_is_named(void **state)
{
	struct config_errors errors;
	char wanted[600];
	(void)state;
	assert_null(config_load(in_folder("absent.yaml"), &errors));
	snprintf(wanted, sizeof wanted, "%s: cannot read this file: %s",
		 in_folder("absent.yaml"), strerror(ENOENT));
	assert_int_equal(errors.count, 1);
	assert_true(contains(buffer_bytes(&errors.text), wanted));
	config_errors_release(&errors);
	assert_null(config_load(folder, &errors));
	assert_true(contains(buffer_bytes(&errors.text), strerror(EISDIR)));
	config_errors_release(&errors);
}

static size_t occurrences(struct bytes text, const char *part)
{
	size_t count = 0;
	const char *hit;
	while (contains(text, part)) {
		hit = memmem(text.at, text.len, part, strlen(part));
		bytes_skip(&text, (size_t)(hit - text.at) + strlen(part));
		count++;
	}
	return count;
}

/* All that can be wrong with it is that this machine lacks its certificates. */
static void test_the_example_has_no_mistakes(void **state)
{
	struct config_errors errors;
	char path[1024] = __FILE__;
	(void)state;
	for (int up = 0; up < 3; up++) { // tests/unit/test_config.c
		char *slash = strrchr(path, '/');
		*(slash != NULL ? slash : path) = '\0';
	}
	size_t root = strlen(path);
	snprintf(path + root, sizeof path - root, "%sdocker/popbridge.yaml",
		 root > 0 ? "/" : "");
	struct config *config = config_load(path, &errors);
	assert_int_equal(errors.count, occurrences(buffer_bytes(&errors.text),
						   "cannot read \"/etc/popbridge/"));
	config_errors_release(&errors);
	config_free(config);
}

/* ---- the URL form ---- */

static void test_a_url_makes_a_configuration(void **state)
{
	struct config_errors errors;
	(void)state;
	struct config *config = config_from_url("imaps://imap.example.com:1993", &errors);
	assert_non_null(config);
	assert_int_equal(errors.count, 0);
	assert_int_equal(config->workers, 1);
	assert_int_equal(config->listener_count, 1);
	assert_int_equal(address_port(&config->listeners[0].address), 1110);
	assert_true(address_is_loopback(&config->listeners[0].address));
	assert_int_equal(config->routes[0].port, 1993);
	assert_ptr_equal(config_route_for(config, bytes_of("anybody")), config->routes);
	config_errors_release(&errors);
	config_free(config);
}

static void test_a_bad_url_is_explained(void **state)
{
	struct config_errors errors;
	(void)state;
	assert_null(config_from_url("imap.example.com", &errors));
	assert_int_equal(errors.count, 1);
	assert_true(
		contains(buffer_bytes(&errors.text), "IMAP URL: the URL begins with"));
	config_errors_release(&errors);
}

/* ---- what it understood ---- */

static void test_the_description_names_every_effective_value(void **state)
{
	static const char *const wanted[] = {
		"listen: 0.0.0.0:110, STARTTLS (STLS); signing in without TLS: 1",
		"192.0.2.0/24, 2001:db8::/32, 10.1.2.3/32\n",
		"listen: [::]:995, TLS from the first octet; only balancers, ",
		"with a PROXY header, from: 10.0.0.0/8, fd00::/8; TLS 1.0 and 1.1 from: ",
		"from: 198.51.100.0/24\n",
		"some.pem on listen[0] (default)\n",
		"some.pem on listen[1] (default)\n",
		"note: listen[1] lets old devices in by TLS 1.0",
		"tls: version 1.3 or later\n",
		"state: var\n",
		"workers: 3\n",
		"users \"*@example.com\" go to imap+starttls://imap.example.com:143\n",
		"key must be one of 1 pinned",
		"user {local}, folder Archive, or another one after \"+\"",
		("unique-id {uid}, mark-read true, read-ahead false, without-uidplus "
		 "careful\n"),
		"forward-client id, when-locked share, nul replace\n",
		"    login-delay 90s\n",
		"    min-poll 2m\n",
		"    compress true\n",
		"    server-connections 100\n",
		"    server-connections-per-account 15\n",
		"    server-sign-in-rate 5\n",
		"    server-octets-per-day 2621440000\n",
		"limits: sessions 7, 6 from one address, 5 of one account\n",
		"limits: accept-rate 4 a second, 3 from one address\n",
		"limits: idle 11m, write-stall 2h, sign-in 61s, upstream-sign-in 56s",
		"upstream-sign-in 56s, drain ",
		"limits: connect 500ms, tls 9s, authenticate 8s, command 7s\n",
		"limits: minimum-rate 2048 octets a second, sign-in-delay 1s..3s\n",
		"log: json, level debug, addresses hashed\n",
		"log: the dialogue of \"*@example.net\"\n",
	};
	struct buffer out = { .max = 65536 };
	(void)state;
	struct config *config = accepted_full();
	config_describe(config, &out);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		if (!contains(buffer_bytes(&out), wanted[i])) {
			fail_msg("<%s> is not in %.*s", wanted[i], (int)out.len,
				 out.data);
		}
	}
	buffer_release(&out);
	config_free(config);
}

static void test_loopback_behind_a_balancer_is_not_described_as_safe(void **state)
{
	struct buffer out = { .max = 65536 };
	(void)state;
	struct config *config =
		accepted(ROUTE "listen: [{address: \"127.0.0.1:110\", proxy-from: "
			       "[127.0.0.1], plain-from: [10.0.0.0/8]}]\n");
	assert_false(config_is_for_this_host(&config->listeners[0]));
	config_describe(config, &out);
	assert_true(contains(buffer_bytes(&out),
			     "from: 127.0.0.1/32; signing in without TLS: 10.0.0.0/8\n"));
	buffer_release(&out);
	config_free(config);
}

static void test_the_description_notes_what_is_risky(void **state)
{
	struct buffer out = { .max = 65536 };
	(void)state;
	struct config *config =
		accepted("routes: [{match: a, server: imap://b, allow-plain: true}]\n"
			 "limits: {idle: 3s, sign-in-delay: off}\n");
	config_describe(config, &out);
	assert_true(contains(buffer_bytes(&out),
			     "note: limits.idle is below the 10 minutes"));
	assert_true(contains(buffer_bytes(&out), "note: limits.sign-in-delay is off"));
	assert_true(contains(buffer_bytes(&out), "note: routes[0] sends passwords to b"));
	buffer_release(&out);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_listener_and_certificate_is_understood),
		cmocka_unit_test(test_every_route_setting_is_understood),
		cmocka_unit_test(test_every_limit_is_understood),
		cmocka_unit_test(test_a_route_alone_is_a_configuration),
		cmocka_unit_test(test_write_stall_follows_idle),
		cmocka_unit_test(test_a_certificate_opens_the_ports_of_pop3),
		cmocka_unit_test(test_sections_may_be_empty),
		cmocka_unit_test(test_an_unknown_key_is_named_with_its_place),
		cmocka_unit_test(test_a_wrong_type_is_named_with_its_place),
		cmocka_unit_test(test_values_without_their_quotes_get_advice),
		cmocka_unit_test(test_broken_yaml_is_reported_with_its_place),
		cmocka_unit_test(test_what_a_configuration_has_no_use_for_is_refused),
		cmocka_unit_test(test_octets_that_would_end_an_imap_line_are_refused),
		cmocka_unit_test(test_an_empty_file_says_what_is_missing),
		cmocka_unit_test(test_a_file_beyond_the_limit_is_not_read),
		cmocka_unit_test(test_a_file_is_loaded),
		cmocka_unit_test(test_messages_about_a_file_begin_with_its_path),
		cmocka_unit_test(test_a_missing_file_is_named),
		cmocka_unit_test(test_the_example_has_no_mistakes),
		cmocka_unit_test(test_a_url_makes_a_configuration),
		cmocka_unit_test(test_a_bad_url_is_explained),
		cmocka_unit_test(test_the_description_names_every_effective_value),
		cmocka_unit_test(
			test_loopback_behind_a_balancer_is_not_described_as_safe),
		cmocka_unit_test(test_the_description_notes_what_is_risky),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
