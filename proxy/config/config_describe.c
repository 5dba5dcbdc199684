#include "proxy/config/config.h"

#include <inttypes.h>
#include <netinet/in.h>

#define RFC_IDLE_MS 600000 // RFC 1939 section 3

/* 600000 as "10m": the largest unit that divides it. */
static void describe_ms(struct buffer *out, const char *name, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = { { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
	size_t i = 0;
	while (i < 3 && (ms == 0 || ms % units[i].ms != 0)) {
		i++;
	}
	buffer_printf(out, "%s%llu%s", name, (unsigned long long)(ms / units[i].ms),
		      units[i].unit);
}

static void describe_address(struct buffer *out, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	bool v6 = address->socket.ss_family == AF_INET6;
	address_text(address, text);
	buffer_printf(out, "%s%s%s:%u", v6 ? "[" : "", text, v6 ? "]" : "",
		      (unsigned)address_port(address));
}

static void describe_networks(struct buffer *out, const struct config_networks *networks)
{
	for (size_t i = 0; i < networks->count; i++) {
		char text[ADDRESS_TEXT_MAX];
		address_text(&networks->list[i].address, text);
		buffer_printf(out, "%s%s/%u", i > 0 ? ", " : "", text,
			      networks->list[i].prefix_bits);
	}
}

static void describe_listener(const struct config_listener *listener, struct buffer *out)
{
	static const char *const words[] = {
		[CONFIG_TLS_NONE] = "no TLS",
		[CONFIG_TLS_STARTTLS] = "STARTTLS (STLS)",
		[CONFIG_TLS_IMPLICIT] = "TLS from the first octet",
	};
	buffer_printf(out, "listen: ");
	describe_address(out, &listener->address);
	buffer_printf(out, ", %s", words[listener->tls]);
	if (listener->proxy_from.count > 0) {
		buffer_printf(out, "; only balancers, with a PROXY header, from: ");
		describe_networks(out, &listener->proxy_from);
	}
	if (listener->legacy_tls_from.count > 0) {
		buffer_printf(out, "; TLS 1.0 and 1.1 from: ");
		describe_networks(out, &listener->legacy_tls_from);
	}
	if (listener->tls == CONFIG_TLS_IMPLICIT) {
		buffer_printf(out, "\n");
		return;
	}
	buffer_printf(out, "; signing in without TLS: ");
	if (config_is_for_this_host(listener)) {
		buffer_printf(out, "allowed (loopback)");
	} else if (listener->plain_from.count > 0) {
		describe_networks(out, &listener->plain_from);
	} else {
		buffer_printf(out, "refused");
	}
	buffer_printf(out, "\n");
}

/* "listen[0], listen[2]": the listeners that show it. */
static void describe_showing(const struct config *config, size_t index,
			     struct buffer *out)
{
	const char *before = " on ";
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (index >= listener->certificate_first &&
		    index - listener->certificate_first < listener->certificate_count) {
			buffer_printf(out, "%slisten[%zu]%s", before, i,
				      index == listener->certificate_first ? " (default)"
									   : "");
			before = ", ";
		}
	}
}

static void describe_certificates(const struct config *config, struct buffer *out)
{
	if (config->certificate_count == 0) {
		buffer_printf(out, "tls: no certificate\n");
		return;
	}
	buffer_printf(out, "tls: version %s or later\n",
		      config->minimum_tls == TLS_1_3 ? "1.3" : "1.2");
	for (size_t i = 0; i < config->certificate_count; i++) {
		const struct tls_certificate *pair = &config->certificates[i];
		if (config->self_signed && i + 1 == config->certificate_count) {
			buffer_printf(out,
				      "tls: a self-signed certificate, made at start: %s",
				      pair->certificate);
		} else {
			buffer_printf(out, "tls: certificate %s, key %s",
				      pair->certificate, pair->key);
		}
		describe_showing(config, i, out);
		buffer_printf(out, "\n");
	}
}

static void describe_trust(const struct config_route *route, struct buffer *out)
{
	if (route->security == CONFIG_IMAP_PLAIN) {
		buffer_printf(out, "    no TLS to the server%s\n",
			      route->allow_plain ? " (allow-plain)" : " (loopback)");
		return;
	}
	buffer_printf(out, "    certificate checked for %s against %s", route->host,
		      route->ca_file != NULL ? route->ca_file
					     : "the system's authorities");
	if (route->pin_count > 0) {
		buffer_printf(out, ", key must be one of %zu pinned", route->pin_count);
	}
	if (route->client_certificate != NULL) {
		buffer_printf(out, ", client certificate %s", route->client_certificate);
	}
	buffer_printf(out, "\n");
}

static void describe_mapping(const struct config_route *route, struct buffer *out)
{
	static const char *const when_locked[] = { "refuse", "wait", "take-over",
						   "share" };
	static const char *const without_uidplus[] = {
		[CONFIG_LEAVE] = "leave",
		[CONFIG_CAREFUL] = "careful",
		[CONFIG_NEVER] = "never",
	};
	buffer_printf(out, "    user %s, folder %s", route->user, route->folder);
	if (route->folder_separator != '\0') {
		buffer_printf(out, ", or another one after \"%c\" in the user name",
			      route->folder_separator);
	}
	buffer_printf(out,
		      "\n    unique-id %s, mark-read %s, read-ahead %s, without-uidplus "
		      "%s\n",
		      route->unique_id.text, route->mark_read ? "true" : "false",
		      route->read_ahead ? "true" : "false",
		      without_uidplus[route->without_uidplus]);
	buffer_printf(out, "    forward-client %s, when-locked %s, nul %s\n",
		      route->forward_client == CONFIG_FORWARD_ID ? "id" : "none",
		      when_locked[route->when_locked],
		      route->nul == CONFIG_NUL_REPLACE ? "replace" : "keep");
	if (route->compress) {
		buffer_printf(out, "    compress true\n");
	}
	if (route->login_delay_s > 0) {
		buffer_printf(out, "    login-delay %us\n", route->login_delay_s);
	}
	if (route->min_poll_ms > 0) {
		describe_ms(out, "    min-poll ", route->min_poll_ms);
		buffer_printf(out, "\n");
	}
}

static void describe_most(struct buffer *out, const char *name, uint64_t most)
{
	if (most > 0) {
		buffer_printf(out, "    %s %" PRIu64 "\n", name, most);
	}
}

static void describe_server_limits(const struct config_route *route, struct buffer *out)
{
	describe_most(out, "server-connections", route->server_connections);
	describe_most(out, "server-connections-per-account",
		      route->server_connections_per_account);
	describe_most(out, "server-sign-in-rate", route->server_sign_in_rate);
	describe_most(out, "server-octets-per-day", route->server_octets_per_day);
}

static void describe_route(const struct config_route *route, size_t index,
			   struct buffer *out)
{
	static const char *const schemes[] = {
		[CONFIG_IMAPS] = "imaps",
		[CONFIG_IMAP_STARTTLS] = "imap+starttls",
		[CONFIG_IMAP_PLAIN] = "imap",
	};
	bool v6 = false;
	for (const char *c = route->host; *c != '\0'; c++) {
		v6 = v6 || *c == ':';
	}
	buffer_printf(out, "routes[%zu]: users \"%s\" go to %s://%s%s%s:%u\n", index,
		      route->match, schemes[route->security], v6 ? "[" : "", route->host,
		      v6 ? "]" : "", (unsigned)route->port);
	describe_trust(route, out);
	describe_mapping(route, out);
	describe_server_limits(route, out);
}

static void describe_limits(const struct config_limits *limits, struct buffer *out)
{
	buffer_printf(out,
		      "limits: sessions %u, %u from one address, %u of one account\n"
		      "limits: accept-rate %u a second, %u from one address\n",
		      limits->sessions, limits->sessions_per_address,
		      limits->sessions_per_account, limits->accept_rate,
		      limits->accept_rate_per_address);
	describe_ms(out, "limits: idle ", limits->idle_ms);
	describe_ms(out, ", write-stall ", limits->write_stall_ms);
	describe_ms(out, ", sign-in ", limits->sign_in_ms);
	describe_ms(out, ", upstream-sign-in ", limits->upstream_sign_in_ms);
	describe_ms(out, ", drain ", limits->drain_ms);
	describe_ms(out, "\nlimits: connect ", limits->connect_ms);
	describe_ms(out, ", tls ", limits->tls_ms);
	describe_ms(out, ", authenticate ", limits->authenticate_ms);
	describe_ms(out, ", command ", limits->command_ms);
	if (limits->parking_ms == 0) {
		buffer_printf(out, "\nlimits: parking off");
	} else {
		describe_ms(out, "\nlimits: parking ", limits->parking_ms);
		buffer_printf(out, ", %u a worker", limits->parked);
	}
	buffer_printf(out, "\nlimits: minimum-rate %llu octets a second%s",
		      (unsigned long long)limits->minimum_rate,
		      limits->minimum_rate == 0 ? " (off)" : "");
	if (limits->sign_in_delay_max_ms == 0) {
		buffer_printf(out, ", sign-in-delay off\n");
		return;
	}
	describe_ms(out, ", sign-in-delay ", limits->sign_in_delay_min_ms);
	describe_ms(out, "..", limits->sign_in_delay_max_ms);
	buffer_printf(out, "\n");
}

static void describe_consent(const struct config_consent *consent, struct buffer *out)
{
	static const char *const tls[] = {
		[CONFIG_TLS_NONE] = "without TLS",
		[CONFIG_TLS_STARTTLS] = "with STARTTLS",
		[CONFIG_TLS_IMPLICIT] = "with TLS",
	};
	char host[ADDRESS_TEXT_MAX];

	if (!consent->wanted) {
		return;
	}
	address_text(&consent->address, host);
	buffer_printf(out,
		      "consent: %s/, at %s port %u; redirect URI at the provider: "
		      "%s/callback\n"
		      "  devices are told: POP3 server %s, port %u, %s\n",
		      consent->url, host, address_port(&consent->address), consent->url,
		      consent->pop3_host, consent->pop3_port, tls[consent->pop3_tls]);
}

static void describe_web(const struct config_web *web, struct buffer *out)
{
	char host[ADDRESS_TEXT_MAX];

	if (!web->wanted) {
		buffer_printf(out, "web: none, no metrics and no status\n");
		return;
	}
	address_text(&web->address, host);
	buffer_printf(out,
		      web->address.socket.ss_family == AF_INET6 ? "web: http://[%s]:%u/"
								: "web: http://%s:%u/",
		      host, address_port(&web->address));
	for (size_t i = 0; i < web->host_name_count; i++) {
		buffer_printf(out, "%s%s", i == 0 ? ", as " : ", ", web->host_names[i]);
	}
	buffer_printf(out, "\n");
	if (!address_is_loopback(&web->address)) {
		buffer_printf(out, "note: web.address is not loopback: whoever reaches "
				   "it can read numbers and server names\n");
	}
}

static void describe_notes(const struct config *config, struct buffer *out)
{
	if (config->limits.idle_ms < RFC_IDLE_MS) {
		buffer_printf(out, "note: limits.idle is below the 10 minutes that "
				   "RFC 1939 section 3 asks for\n");
	}
	if (config->limits.sign_in_delay_max_ms == 0) {
		buffer_printf(out, "note: limits.sign-in-delay is off: wrong passwords "
				   "can be tried without a pause\n");
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].legacy_tls_from.count > 0) {
			buffer_printf(out,
				      "note: listen[%zu] lets old devices in by TLS 1.0 "
				      "and 1.1, which are broken (legacy-tls-from)\n",
				      i);
		}
	}
	for (size_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];
		if (route->security == CONFIG_IMAP_PLAIN && route->allow_plain) {
			buffer_printf(out,
				      "note: routes[%zu] sends passwords to %s in "
				      "the clear (allow-plain)\n",
				      i, route->host);
		}
	}
}

static void describe_provider(const struct config_provider *provider, struct buffer *out)
{
	buffer_printf(out, "provider %s: %s", provider->name,
		      config_provider_kinds[provider->kind].kind);
	if (provider->service_account_file) {
		buffer_printf(out, ", service account of %s",
			      provider->service_account_file);
	} else {
		buffer_printf(out, ", client %s%s", provider->client_id,
			      provider->app_only ? ", app-only" : "");
	}
	buffer_printf(out, ", tokens from %s\n",
		      provider->token_endpoint ? provider->token_endpoint
					       : provider->discovery);
}

static void describe_trace(const struct config *config, struct buffer *out)
{
	for (size_t i = 0; i < config->log_trace_count; i++) {
		buffer_printf(out, "log: the dialogue of \"%s\"\n", config->log_trace[i]);
	}
}

void config_describe(const struct config *config, struct buffer *out)
{
	static const char *const addresses[] = { "full", "truncated", "hashed" };
	static const char *const levels[] = { [LOG_ERROR] = "error",
					      [LOG_WARNING] = "warning",
					      [LOG_INFO] = "info",
					      [LOG_DEBUG] = "debug" };
	for (size_t i = 0; i < config->listener_count; i++) {
		describe_listener(&config->listeners[i], out);
	}
	describe_certificates(config, out);
	buffer_printf(out, "user: %s\n",
		      config->user != NULL ? config->user
					   : "popbridge or nobody, when started as root");
	buffer_printf(out, "state: %s\n",
		      config->state != NULL ? config->state : "none, nothing is kept");
	buffer_printf(out, "control: %s\n",
		      config->control != NULL
			      ? config->control
			      : "none: no kick, forget, explain, status --problems");
	if (config->master_key != NULL) {
		buffer_printf(out, "master-key: %s\n", config->master_key);
	}
	buffer_printf(out, "workers: %u\n", config->workers);
	if (config->shared_addresses.count > 0) {
		buffer_printf(out, "shared by many clients: ");
		describe_networks(out, &config->shared_addresses);
		buffer_printf(out, "\n");
	}
	for (size_t i = 0; i < config->route_count; i++) {
		describe_route(&config->routes[i], i, out);
	}
	for (size_t i = 0; i < config->provider_count; i++) {
		describe_provider(&config->providers[i], out);
	}
	describe_limits(&config->limits, out);
	buffer_printf(out, "log: %s, level %s, addresses %s\n",
		      config->log_format == LOG_JSON ? "json" : "logfmt",
		      levels[config->log_level], addresses[config->log_addresses]);
	describe_trace(config, out);
	describe_web(&config->web, out);
	describe_consent(&config->consent, out);
	describe_notes(config, out);
}
