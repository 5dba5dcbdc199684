#include "protocol/base64.h"
#include "proxy/base/memory.h"
#include "proxy/config/config_check.h"
#include "proxy/config/config_values.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_OCTETS 512 // of a pattern, a user template, a folder
#define PIN_OCTETS 32       // SHA-256
#define LOGIN_DELAY_MAX_MS ((uint64_t)24 * 60 * 60 * 1000)
#define CONNECTIONS_MAX 1000000
#define SIGN_IN_RATE_MAX 100000
#define OCTETS_PER_DAY_MIN ((uint64_t)1024 * 1024)
#define MIN_POLL_MAX_MS ((uint64_t)60 * 60 * 1000)

static char *copy(const char *text)
{
	return memory_copy_text(bytes_of(text));
}

static bool fits(struct config_check *check, const char *key, const char *text)
{
	if (strlen(text) > NAME_MAX_OCTETS) {
		config_mistake(check, key, "is longer than %d octets", NAME_MAX_OCTETS);
		return false;
	}
	return true;
}

static void check_match(struct config_check *check, const char *match,
			struct config_route *route)
{
	if (match == NULL) {
		config_mistake(check, "match",
			       "is missing: the POP3 user names this route is for, "
			       "as in \"*@example.com\", or \"*\" for all");
	} else if (*match == '\0') {
		config_mistake(check, "match",
			       "is empty and matches nobody: \"*\" matches everybody");
	} else if (fits(check, "match", match)) {
		route->match = copy(match);
	}
}

static void check_plain(struct config_check *check, const struct config_raw_route *raw,
			const struct config_route *route)
{
	const char *host = route->host;
	if (route->security != CONFIG_IMAP_PLAIN) {
		return;
	}
	if (!route->allow_plain && !config_host_is_loopback(bytes_of(host))) {
		config_mistake(check, "server",
			       "imap:// would send passwords to %s in the clear: use "
			       "imaps:// or imap+starttls://, or say allow-plain: true "
			       "in the route",
			       config_quote(bytes_of(host)).text);
	}
	if (raw->ca_file != NULL || raw->client_certificate != NULL ||
	    raw->pins_count > 0) {
		config_mistake(check, "server",
			       "imap:// has no TLS, but ca-file, client-certificate or "
			       "pins are set: use imaps:// or imap+starttls://, or "
			       "remove them");
	}
}

static void check_server(struct config_check *check, const struct config_raw_route *raw,
			 struct config_route *route)
{
	struct config_url url;
	const char *why;
	if (raw->server == NULL) {
		config_mistake(check, "server",
			       "is missing: the IMAP server, as in "
			       "imaps://imap.example.com");
	} else if (!config_url_parse(bytes_of(raw->server), &url, &why)) {
		// With an "@" there may be a password in it: not repeated then.
		bool quote = strchr(raw->server, '@') == NULL;
		config_mistake(check, "server", "%s%s%s", why, quote ? ", not " : "",
			       quote ? config_quote(bytes_of(raw->server)).text : "");
	} else {
		route->server = copy(raw->server);
		route->security = url.security;
		route->host = memory_copy_text(url.host);
		route->port = url.port;
		check_plain(check, raw, route);
	}
}

static void check_user(struct config_check *check, const char *user,
		       struct config_route *route)
{
	const char *why;
	if (!config_given(check, "user", user)) {
		route->user = copy("{user}");
	} else if (!config_user_check(bytes_of(user), &why)) {
		config_mistake(check, "user", "%s, not as in %s", why,
			       config_quote(bytes_of(user)).text);
	} else if (fits(check, "user", user)) {
		route->user = copy(user);
	}
}

static void check_client_certificate(struct config_check *check,
				     const struct config_raw_route *raw,
				     struct config_route *route)
{
	if (raw->client_certificate != NULL && raw->client_key == NULL) {
		config_mistake(check, "client-certificate",
			       "has no client-key beside it: both or none");
	}
	if (raw->client_certificate == NULL && raw->client_key != NULL) {
		config_mistake(check, "client-key",
			       "has no client-certificate beside it: both or none");
	}
	route->client_certificate =
		config_file(check, "client-certificate", raw->client_certificate);
	route->client_key = config_file(check, "client-key", raw->client_key);
}

static bool is_pin(const char *pin)
{
	struct buffer raw = { .max = PIN_OCTETS + 2 };
	bool good = base64_decode(bytes_of(pin), &raw) && raw.len == PIN_OCTETS;
	buffer_release(&raw);
	return good;
}

static void check_pins(struct config_check *check, const struct config_raw_route *raw,
		       struct config_route *route)
{
	if (raw->pins_count == 0) {
		return;
	}
	route->pins = memory_new_array(raw->pins_count, sizeof *route->pins);
	for (unsigned i = 0; i < raw->pins_count; i++) {
		const char *pin = raw->pins[i];
		char key[24];
		snprintf(key, sizeof key, "pins[%u]", i); // 15 octets at most
		if (!is_pin(pin)) {
			config_mistake(check, key,
				       "is not the base64 of a SHA-256 (44 octets, no "
				       "prefix) over the server key's "
				       "SubjectPublicKeyInfo: %s",
				       config_quote(bytes_of(pin)).text);
			continue;
		}
		route->pins[route->pin_count++] = copy(pin);
	}
}

static void check_folder(struct config_check *check, const struct config_raw_route *raw,
			 struct config_route *route)
{
	const char *separator = raw->folder_separator;
	if (!config_given(check, "folder", raw->folder)) {
		route->folder = copy("INBOX");
	} else if (fits(check, "folder", raw->folder)) {
		route->folder = copy(raw->folder);
	}
	if (separator == NULL) {
		return;
	}
	unsigned char c = (unsigned char)separator[0];
	bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z');
	if (strlen(separator) != 1 || c <= 0x20 || c >= 0x7F || alphanumeric ||
	    c == '@') {
		config_mistake(check, "folder-separator",
			       "is exactly one character that is no letter, digit, space "
			       "or @, as in \"+\", not %s",
			       config_quote(bytes_of(separator)).text);
		return;
	}
	route->folder_separator = separator[0];
}

static void check_unique_id(struct config_check *check,
			    const struct config_raw_route *raw,
			    struct config_route *route)
{
	const char *why;
	bool uid_only = config_bool(check, "uid-only", raw->uid_only);
	const char *text = POP3_UNIQUE_ID_DEFAULT;
	if (config_given(check, "unique-id", raw->unique_id)) {
		text = raw->unique_id;
	}
	if (!pop3_unique_id_parse(bytes_of(text), uid_only, &route->unique_id, &why)) {
		config_mistake(check, "unique-id", "%s", why);
	}
}

static void check_words(struct config_check *check, const struct config_raw_route *raw,
			struct config_route *route)
{
	static const char *const without_uidplus[] = { "leave", "careful", "never" };
	static const char *const forward_client[] = { "none", "id" };
	static const char *const when_locked[] = { "refuse", "wait", "take-over",
						   "share" };
	static const char *const nul[] = { "keep", "replace" };
	route->without_uidplus = (enum config_without_uidplus)config_word(
		check, "without-uidplus", raw->without_uidplus, without_uidplus, 3,
		CONFIG_LEAVE);
	route->forward_client = (enum config_forward_client)config_word(
		check, "forward-client", raw->forward_client, forward_client, 2,
		CONFIG_FORWARD_NONE);
	route->when_locked = (enum config_when_locked)config_word(
		check, "when-locked", raw->when_locked, when_locked, 4, CONFIG_REFUSE);
	route->nul = (enum config_nul)config_word(check, "nul", raw->nul, nul, 2,
						  CONFIG_NUL_KEEP);
}

/* POP3 names it in whole seconds (RFC 2449 section 6.5). */
static void check_login_delay(struct config_check *check, const char *text,
			      struct config_route *route)
{
	uint64_t ms;
	const char *why;
	if (!config_given(check, "login-delay", text) || strcmp(text, "off") == 0) {
		return;
	}
	if (!config_duration_parse(bytes_of(text), &ms, &why)) {
		config_mistake(check, "login-delay", "%s, or off, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (ms % 1000 != 0 || ms == 0 || ms > LOGIN_DELAY_MAX_MS) {
		config_mistake(check, "login-delay",
			       "is in whole seconds from 1s to 24h, or off, not %s",
			       config_quote(bytes_of(text)).text);
	} else {
		route->login_delay_s = (uint32_t)(ms / 1000);
	}
}

/* So long a list is old, and a password that was changed goes on to show it. */
static void check_min_poll(struct config_check *check, const char *text,
			   struct config_route *route)
{
	uint64_t ms;
	const char *why;
	if (!config_given(check, "min-poll", text) || strcmp(text, "off") == 0) {
		return;
	}
	if (!config_duration_parse(bytes_of(text), &ms, &why)) {
		config_mistake(check, "min-poll", "%s, or off, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (ms < 1000 || ms > MIN_POLL_MAX_MS) {
		config_mistake(check, "min-poll", "is 1s to 1h, or off, not %s",
			       config_quote(bytes_of(text)).text);
	} else {
		route->min_poll_ms = ms;
	}
}

static void check_server_count(struct config_check *check, const char *key,
			       const char *text, uint32_t max, uint32_t *out)
{
	if (!text || strcmp(text, "any") != 0) {
		config_count(check, key, text, max, out);
	}
}

static void check_server_octets(struct config_check *check, const char *text,
				struct config_route *route)
{
	const char *key = "server-octets-per-day";
	uint64_t octets;
	const char *why;
	if (!config_given(check, key, text) || strcmp(text, "any") == 0) {
		return;
	}
	if (!config_size_parse(bytes_of(text), &octets, &why)) {
		config_mistake(check, key, "%s, or any, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (octets < OCTETS_PER_DAY_MIN) {
		config_mistake(check, key, "is at least 1MiB, or any, not %s",
			       config_quote(bytes_of(text)).text);
	} else {
		route->server_octets_per_day = octets;
	}
}

static void check_server_limits(struct config_check *check,
				const struct config_raw_route *raw,
				struct config_route *route)
{
	check_server_count(check, "server-connections", raw->server_connections,
			   CONNECTIONS_MAX, &route->server_connections);
	check_server_count(check, "server-connections-per-account",
			   raw->server_connections_per_account, CONNECTIONS_MAX,
			   &route->server_connections_per_account);
	check_server_count(check, "server-sign-in-rate", raw->server_sign_in_rate,
			   SIGN_IN_RATE_MAX, &route->server_sign_in_rate);
	check_server_octets(check, raw->server_octets_per_day, route);
}

void config_check_route(struct config_check *check, const struct config_raw_route *raw,
			struct config_route *route)
{
	check_match(check, raw->match, route);
	route->allow_plain = config_bool(check, "allow-plain", raw->allow_plain);
	check_server(check, raw, route);
	check_user(check, raw->user, route);
	route->ca_file = config_file(check, "ca-file", raw->ca_file);
	check_client_certificate(check, raw, route);
	check_pins(check, raw, route);
	check_folder(check, raw, route);
	check_unique_id(check, raw, route);
	route->mark_read = config_bool(check, "mark-read", raw->mark_read);
	route->read_ahead =
		!raw->read_ahead || config_bool(check, "read-ahead", raw->read_ahead);
	route->compress = config_bool(check, "compress", raw->compress);
	check_words(check, raw, route);
	check_login_delay(check, raw->login_delay, route);
	check_min_poll(check, raw->min_poll, route);
	check_server_limits(check, raw, route);
}
