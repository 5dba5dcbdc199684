/*
 * The small languages of the configuration's values: durations, sizes, addresses,
 * networks, server URLs, name patterns. Where a function returns false, *why is a
 * static text that says what would be right. Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_VALUES_H
#define PROXY_CONFIG_CONFIG_VALUES_H

#include "proxy/config/config.h"

#define CONFIG_HOST_MAX 253 // octets of a host name (RFC 1035 2.3.4, as text)

/* "250ms", "60s", "10m", "2h". */
bool config_duration_parse(struct bytes text, uint64_t *ms, const char **why);

/* "2027-01-31": Unix time of its begin, UTC. */
bool config_date_parse(struct bytes text, uint64_t *unix_s, const char **why);

/* "4096", "64KiB", "2MiB". */
bool config_size_parse(struct bytes text, uint64_t *octets, const char **why);

/* "2s..15s", "5s" (always as long), "off". */
bool config_delay_parse(struct bytes text, uint64_t *min_ms, uint64_t *max_ms,
			const char **why);

/* "0.0.0.0:110", "[::]:995". */
bool config_address_parse(struct bytes text, struct address *out, const char **why);

/* "192.0.2.0/24", "2001:db8::/32", "10.1.2.3". */
bool config_network_parse(struct bytes text, struct config_network *out,
			  const char **why);

struct config_url {
	enum config_security security;
	struct bytes host; // borrowed, without brackets
	uint16_t port;
};

/* "imaps://host", "imap+starttls://[2001:db8::1]:143". */
bool config_url_parse(struct bytes text, struct config_url *out, const char **why);

/* "localhost" or a numeric loopback address. */
bool config_host_is_loopback(struct bytes host);

/*
 * "https://host...", or "http://" to this very host, for tests and a local provider: fit
 * for secrets.
 */
bool config_url_is_safe(const char *url);

/*
 * "*" stands for any run of octets, ASCII letters for both cases. Iterative; at most
 * pattern.len * text.len steps.
 */
bool config_pattern_matches(struct bytes pattern, struct bytes text);

/* The user template has only the names it may have: writes nothing. */
bool config_user_check(struct bytes template, const char **why);

/* False, and out as it was, where the result does not fit or is empty. */
bool config_user_fill(struct bytes template, struct bytes user, struct buffer *out);

#endif
