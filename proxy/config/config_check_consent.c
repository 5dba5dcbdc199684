/*
 * The consent section: the page where invited people consent by themselves, and what it
 * tells them to type into their devices.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTPS "https://"
#define HTTPS_PORT 443
#define DEFAULT_LIFE_MS ((uint64_t)72 * 3600 * 1000)
#define SHORTEST_LIFE_MS ((uint64_t)60 * 1000)
#define LONGEST_LIFE_MS ((uint64_t)30 * 24 * 3600 * 1000)

/* "host" or "host:port"; the port as it is written, or this one. */
struct place {
	struct bytes host;
	uint16_t port;
};

static bool is_host_octet(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '[' ||
	       c == ']' || c == ':';
}

static bool take_place(struct bytes text, uint16_t otherwise, struct place *out)
{
	const char *bracket = memchr(text.at, ']', text.len);
	const size_t from = bracket ? (size_t)(bracket - text.at) : 0;
	const char *colon =
		text.len > 0 ? memchr(text.at + from, ':', text.len - from) : NULL;
	struct bytes port;
	uint32_t number = otherwise;

	*out = (struct place){ .host = text };
	if (colon) {
		out->host.len = (size_t)(colon - text.at);
		port = (struct bytes){ colon + 1, text.len - out->host.len - 1 };
		if (!bytes_take_u32(&port, &number) || port.len > 0) {
			return false;
		}
	}
	for (size_t i = 0; i < text.len; i++) {
		if (!is_host_octet(text.at[i])) {
			return false;
		}
	}
	out->port = (uint16_t)number;
	return out->host.len > 0 && out->host.len <= CONFIG_HOST_MAX && number > 0 &&
	       number <= UINT16_MAX;
}

/* As browsers spell an origin: lower case, without the port that goes without saying. */
static void set_url(struct config_consent *consent, const struct place *place)
{
	struct buffer url;

	buffer_init(&url, CONFIG_HOST_MAX + 32);
	buffer_printf(&url, HTTPS "%.*s", (int)place->host.len, place->host.at);
	for (size_t i = 0; i < url.len; i++) {
		url.data[i] = (char)tolower((unsigned char)url.data[i]);
	}
	if (place->port != HTTPS_PORT) {
		buffer_printf(&url, ":%u", place->port);
	}
	consent->url = memory_copy_text(buffer_bytes(&url));
	buffer_release(&url);
}

static bool check_url(struct config_check *check, const char *text,
		      struct config_consent *consent, struct place *place)
{
	struct bytes rest = bytes_of(text ? text : "");

	if (!text) {
		config_mistake(check, "url",
			       "is missing: what people's browsers call the page, as in "
			       "https://pop.example.com:8443");
		return false;
	}
	if (bytes_has_prefix(rest, "HTTPS://")) {
		bytes_skip(&rest, strlen(HTTPS));
		if (rest.len > 0 && rest.at[rest.len - 1] == '/') {
			rest.len--;
		}
		if (take_place(rest, HTTPS_PORT, place)) {
			set_url(consent, place);
			return true;
		}
	}
	config_mistake(check, "url",
		       "is https://HOST or https://HOST:PORT, without a path, not %s",
		       config_quote(bytes_of(text)).text);
	return false;
}

static void check_address(struct config_check *check, const char *text, uint16_t port,
			  struct config_consent *consent)
{
	char otherwise[32];
	const char *why;

	snprintf(otherwise, sizeof(otherwise), "0.0.0.0:%u", port);
	if (!config_address_parse(bytes_of(text ? text : otherwise), &consent->address,
				  &why)) {
		config_mistake(check, "address", "%s, not %s", why,
			       config_quote(bytes_of(text ? text : otherwise)).text);
	}
}

/* Its own, or the service's first one. */
static void check_certificate(struct config_check *check,
			      const struct config_raw_consent *raw, struct config *config)
{
	struct config_consent *consent = &config->consent;
	const struct tls_certificate *first =
		config->certificate_count > 0 ? &config->certificates[0] : NULL;

	if ((raw->certificate == NULL) != (raw->key == NULL)) {
		config_mistake(check, raw->key ? "certificate" : "key",
			       "is missing: certificate and key go together");
		return;
	}
	consent->certificate = config_file(check, "certificate", raw->certificate);
	consent->key = config_file(check, "key", raw->key);
	if (raw->certificate) {
		return;
	}
	if (!first || !first->certificate || !first->key) {
		config_mistake(check, "certificate",
			       "is missing: the page needs one (or tls.certificate)");
		return;
	}
	consent->certificate = memory_copy_text(bytes_of(first->certificate));
	consent->key = memory_copy_text(bytes_of(first->key));
}

/* What devices can use best: TLS at once, else STARTTLS, else what there is. */
static const struct config_listener *best_listener(const struct config *config)
{
	const struct config_listener *best = NULL;

	for (size_t i = 0; i < config->listener_count; i++) {
		if (!best || config->listeners[i].tls > best->tls) {
			best = &config->listeners[i];
		}
	}
	return best;
}

static void tell_of_listener(const struct config *config, const struct place *place,
			     struct config_consent *consent)
{
	const struct config_listener *listener = best_listener(config);

	consent->pop3_host = memory_copy_text(place->host);
	if (listener) {
		consent->pop3_port = address_port(&listener->address);
		consent->pop3_tls = listener->tls;
	}
}

static void check_pop3_server(struct config_check *check, const char *text,
			      struct config_consent *consent)
{
	static const struct {
		const char *prefix;
		enum config_tls tls;
		uint16_t port;
	} schemes[] = {
		{ "POP3S://", CONFIG_TLS_IMPLICIT, 995 },
		{ "POP3+STARTTLS://", CONFIG_TLS_STARTTLS, 110 },
		{ "POP3://", CONFIG_TLS_NONE, 110 },
	};
	struct place place;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		struct bytes rest = bytes_of(text);

		if (!bytes_has_prefix(rest, schemes[i].prefix)) {
			continue;
		}
		bytes_skip(&rest, strlen(schemes[i].prefix));
		if (take_place(rest, schemes[i].port, &place)) {
			consent->pop3_host = memory_copy_text(place.host);
			consent->pop3_port = place.port;
			consent->pop3_tls = schemes[i].tls;
			return;
		}
	}
	config_mistake(check, "pop3-server",
		       "is pop3s://HOST, pop3+starttls://HOST or pop3://HOST, each with "
		       ":PORT where it is not 995 or 110, not %s",
		       config_quote(bytes_of(text)).text);
}

static void check_life(struct config_check *check, const char *text,
		       struct config_consent *consent)
{
	const char *why;

	consent->invitation_ms = DEFAULT_LIFE_MS;
	if (!config_given(check, "invitation-life", text)) {
		return;
	}
	if (!config_duration_parse(bytes_of(text), &consent->invitation_ms, &why)) {
		config_mistake(check, "invitation-life", "%s, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (consent->invitation_ms < SHORTEST_LIFE_MS ||
		   consent->invitation_ms > LONGEST_LIFE_MS) {
		config_mistake(check, "invitation-life", "is 1m to 720h, not %s",
			       config_quote(bytes_of(text)).text);
	}
}

/* Without these nobody could be invited, or no consent kept. */
static void check_needs(struct config_check *check, const struct config *config)
{
	if (config->provider_count == 0) {
		config_mistake(check, "", "is for providers: there are none");
	}
	if (!config->control) {
		config_mistake(check, "",
			       "needs state (or control): popbridge account invite makes "
			       "the links");
	}
	if (!config->master_key) {
		config_mistake(check, "", "needs master-key: consents are stored sealed");
	}
}

void config_check_consent(struct config_check *check,
			  const struct config_raw_consent *raw, struct config *config)
{
	struct config_consent *consent = &config->consent;
	struct place place;

	if (!raw) {
		return;
	}
	consent->wanted = true;
	snprintf(check->at, sizeof(check->at), "consent");
	check_needs(check, config);
	check_certificate(check, raw, config);
	check_life(check, raw->invitation_life, consent);
	if (!check_url(check, raw->url, consent, &place)) {
		return;
	}
	check_address(check, raw->address, place.port, consent);
	if (raw->pop3_server) {
		check_pop3_server(check, raw->pop3_server, consent);
	} else {
		tell_of_listener(config, &place, consent);
	}
}
