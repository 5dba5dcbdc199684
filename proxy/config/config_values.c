#include "proxy/config/config_values.h"

#include <netinet/in.h>
#include <string.h>
#include <time.h>

static bool refuse(const char **why, const char *text)
{
	*why = text;
	return false;
}

static size_t digits(struct bytes text)
{
	size_t n = 0;
	while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9') {
		n++;
	}
	return n;
}

/* Digits, then one of the units; scales[i] belongs to units[i]. */
static bool scaled(struct bytes text, const char *const *units, const uint64_t *scales,
		   size_t count, uint64_t *out)
{
	struct bytes number = { text.at, digits(text) };
	uint64_t value;
	bytes_skip(&text, number.len);
	if (!bytes_take_u64(&number, &value)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (bytes_equal(text, bytes_of(units[i]))) {
			return !__builtin_mul_overflow(value, scales[i], out);
		}
	}
	return false;
}

bool config_duration_parse(struct bytes text, uint64_t *ms, const char **why)
{
	static const char *const units[] = { "ms", "s", "m", "h" };
	static const uint64_t scales[] = { 1, 1000, 60000, 3600000 };
	if (!scaled(text, units, scales, 4, ms)) {
		return refuse(why, "a duration is a whole number with ms, s, m or h, "
				   "as in 500ms, 60s, 10m, 2h");
	}
	return true;
}

/* Digits of a date, and the dash before them unless it is the first. */
static bool take_part(struct bytes *rest, size_t len, int *out)
{
	if (rest->len < len) {
		return false;
	}
	*out = 0;
	for (size_t i = 0; i < len; i++) {
		if (rest->at[i] < '0' || rest->at[i] > '9') {
			return false;
		}
		*out = *out * 10 + (rest->at[i] - '0');
	}
	bytes_skip(rest, len);
	return true;
}

static bool take_dash(struct bytes *rest)
{
	const bool is_there = rest->len > 0 && *rest->at == '-';

	if (is_there) {
		bytes_skip(rest, 1);
	}
	return is_there;
}

bool config_date_parse(struct bytes text, uint64_t *unix_s, const char **why)
{
	struct tm day = { 0 };
	struct bytes rest = text;
	const bool is_shaped = take_part(&rest, 4, &day.tm_year) && take_dash(&rest) &&
			       take_part(&rest, 2, &day.tm_mon) && take_dash(&rest) &&
			       take_part(&rest, 2, &day.tm_mday) && rest.len == 0;

	if (is_shaped && day.tm_year >= 1970) {
		struct tm same;

		day.tm_year -= 1900;
		day.tm_mon--;
		same = day;
		const time_t begin = timegm(&same); // the 31st of June becomes July

		if (same.tm_mon == day.tm_mon && same.tm_mday == day.tm_mday) {
			*unix_s = (uint64_t)begin;
			return true;
		}
	}
	return refuse(why, "a date is a day as in 2027-01-31");
}

bool config_size_parse(struct bytes text, uint64_t *octets, const char **why)
{
	static const char *const units[] = { "", "KiB", "MiB" };
	static const uint64_t scales[] = { 1, 1024, 1048576 };
	if (!scaled(text, units, scales, 3, octets)) {
		return refuse(why, "a size is a whole number, alone or with KiB or MiB, "
				   "as in 4096, 64KiB, 2MiB");
	}
	return true;
}

bool config_delay_parse(struct bytes text, uint64_t *min_ms, uint64_t *max_ms,
			const char **why)
{
	const char *form = "write a range of durations as in 2s..15s, or off";
	if (bytes_equal(text, bytes_of("off"))) {
		*min_ms = *max_ms = 0;
		return true;
	}
	const char *dots = memmem(text.at, text.len, "..", 2);
	struct bytes low = { text.at,
			     dots != NULL ? (size_t)(dots - text.at) : text.len };
	struct bytes high = low;
	if (dots != NULL) {
		high = text;
		bytes_skip(&high, low.len + 2);
	}
	if (!config_duration_parse(low, min_ms, why) ||
	    !config_duration_parse(high, max_ms, why)) {
		return refuse(why, form);
	}
	if (*min_ms > *max_ms) {
		return refuse(why, "the shorter duration comes first, as in 2s..15s");
	}
	return true;
}

static bool port_parse(struct bytes text, uint16_t *port)
{
	uint32_t number;
	if (digits(text) != text.len || !bytes_take_u32(&text, &number) ||
	    number > 65535) {
		return false;
	}
	*port = (uint16_t)number;
	return true;
}

/*
 * Cut "host:port" or "[host]:port" in two; port is empty where there is none. False:
 * brackets that do not close, or something else behind them.
 */
static bool split_host(struct bytes text, struct bytes *host, struct bytes *port)
{
	const char *end = text.at + text.len;
	const char *colon;
	if (text.len > 0 && text.at[0] == '[') {
		const char *close = memchr(text.at, ']', text.len);
		if (close == NULL || (close + 1 < end && close[1] != ':')) {
			return false;
		}
		*host = (struct bytes){ text.at + 1, (size_t)(close - text.at - 1) };
		colon = close + 1 < end ? close + 1 : NULL;
	} else {
		colon = text.len > 0 ? memrchr(text.at, ':', text.len) : NULL;
		*host = (struct bytes){ text.at, colon != NULL ? (size_t)(colon - text.at)
							       : text.len };
	}
	*port = colon != NULL ? (struct bytes){ colon + 1, (size_t)(end - colon - 1) }
			      : (struct bytes){ NULL, 0 };
	return true;
}

static bool has(struct bytes text, char wanted)
{
	return text.len > 0 && memchr(text.at, wanted, text.len) != NULL;
}

bool config_address_parse(struct bytes text, struct address *out, const char **why)
{
	struct bytes host, port_text;
	uint16_t port;
	if (!split_host(text, &host, &port_text) || port_text.len == 0 || host.len == 0) {
		return refuse(why, "write address and port, as in 0.0.0.0:110, [::]:995 "
				   "or 127.0.0.1:1110");
	}
	if (has(host, ':') != (text.at[0] == '[')) {
		return refuse(why, "an IPv6 address, and only that, stands in brackets, "
				   "as in [::]:995");
	}
	if (!port_parse(port_text, &port)) {
		return refuse(why, "the port is a number from 0 (any free one) to 65535");
	}
	if (!address_parse(host, port, out)) {
		return refuse(why, "the address is numeric, as in 0.0.0.0:110 (all of "
				   "IPv4), [::]:110 (all of IPv6) or 127.0.0.1:1110");
	}
	return true;
}

/* The octets of an IP address, mapped ones as they are written: 4 or 16 of them. */
static const unsigned char *network_octets(const struct address *address, size_t *count)
{
	if (address->socket.ss_family == AF_INET6) {
		*count = 16;
		return ((const struct sockaddr_in6 *)&address->socket)->sin6_addr.s6_addr;
	}
	*count = 4;
	return (const unsigned char *)&((const struct sockaddr_in *)&address->socket)
		->sin_addr;
}

static bool has_bits_beyond(const struct address *address, unsigned prefix_bits)
{
	size_t count;
	const unsigned char *octets = network_octets(address, &count);
	for (size_t bit = prefix_bits; bit < count * 8; bit++) {
		if ((octets[bit / 8] >> (7 - bit % 8)) & 1) {
			return true;
		}
	}
	return false;
}

bool config_network_parse(struct bytes text, struct config_network *out, const char **why)
{
	const char *form = "write a network or an address, as in 192.0.2.0/24, "
			   "2001:db8::/32 or 10.1.2.3";
	const char *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
	struct bytes host = { text.at,
			      slash != NULL ? (size_t)(slash - text.at) : text.len };
	if (!address_parse(host, 0, &out->address)) {
		return refuse(why, form);
	}
	size_t count;
	network_octets(&out->address, &count);
	uint32_t bits = (uint32_t)(count * 8);
	if (slash != NULL) {
		struct bytes prefix = text;
		bytes_skip(&prefix, host.len + 1);
		if (digits(prefix) != prefix.len || !bytes_take_u32(&prefix, &bits) ||
		    bits > count * 8) {
			return refuse(why, "the prefix length is 0 to 32 for IPv4 and "
					   "0 to 128 for IPv6");
		}
	}
	if (has_bits_beyond(&out->address, bits)) {
		return refuse(why, "the address has bits set beyond its prefix length: "
				   "write the network's first address, as in 10.0.0.0/8");
	}
	out->prefix_bits = bits;
	return true;
}

/* Letters, digits, hyphens, underscores; labels of 1 to 63 octets between dots. */
static bool is_host_name(struct bytes host)
{
	size_t label = 0;
	if (host.len == 0 || host.len > CONFIG_HOST_MAX) {
		return false;
	}
	for (size_t i = 0; i < host.len; i++) {
		char c = host.at[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			      (c >= '0' && c <= '9') || c == '_';
		if (c == '.' ? label == 0 : !letter && (c != '-' || label == 0)) {
			return false;
		}
		label = c == '.' ? 0 : label + 1;
		if (label > 63) {
			return false;
		}
	}
	return label > 0;
}

static bool url_scheme(struct bytes *text, struct config_url *out)
{
	static const struct {
		const char *prefix;
		enum config_security security;
		uint16_t port;
	} schemes[] = {
		{ "IMAPS://", CONFIG_IMAPS, 993 },
		{ "IMAP+STARTTLS://", CONFIG_IMAP_STARTTLS, 143 },
		{ "IMAP://", CONFIG_IMAP_PLAIN, 143 },
	};
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		if (bytes_has_prefix(*text, schemes[i].prefix)) {
			bytes_skip(text, strlen(schemes[i].prefix));
			out->security = schemes[i].security;
			out->port = schemes[i].port;
			return true;
		}
	}
	return false;
}

static bool url_host(struct bytes text, struct config_url *out, const char **why)
{
	struct bytes port;
	struct address numeric;
	if (!split_host(text, &out->host, &port) || out->host.len == 0) {
		return refuse(why, "the host is missing, write imaps://imap.example.com");
	}
	bool bracketed = text.at[0] == '[';
	if (has(out->host, ':') && !bracketed) {
		return refuse(why, "an IPv6 address stands in brackets, as in "
				   "imaps://[2001:db8::1]:993");
	}
	if (bracketed ? !has(out->host, ':') || !address_parse(out->host, 0, &numeric)
		      : !is_host_name(out->host)) {
		return refuse(why, "the host is no host name or address (a name with "
				   "other letters is written in its xn-- form)");
	}
	if (port.at != NULL && (!port_parse(port, &out->port) || out->port == 0)) {
		return refuse(why, "the port is a number from 1 to 65535");
	}
	return true;
}

bool config_url_parse(struct bytes text, struct config_url *out, const char **why)
{
	if (!url_scheme(&text, out)) {
		return refuse(why, "the URL begins with imaps://, imap+starttls:// or "
				   "imap://, as in imaps://imap.example.com");
	}
	if (has(text, '@')) {
		return refuse(why, "no user or password belongs into the URL: the POP3 "
				   "client brings them, and \"user\" rewrites the name");
	}
	if (text.len > 0 && text.at[text.len - 1] == '/') {
		text.len--; // "imaps://host/" is what people paste
	}
	if (has(text, '/') || has(text, '?') || has(text, '#')) {
		return refuse(why, "nothing may follow host and port: the folder is set "
				   "with \"folder\"");
	}
	return url_host(text, out, why);
}

bool config_host_is_loopback(struct bytes host)
{
	struct address address;
	return bytes_is_keyword(host, "LOCALHOST") ||
	       (address_parse(host, 0, &address) && address_is_loopback(&address));
}

bool config_url_is_safe(const char *url)
{
	struct bytes rest = bytes_of(url);
	struct bytes host;

	for (size_t i = 0; i < rest.len; i++) {
		if (rest.at[i] <= ' ' || rest.at[i] > '~') {
			return false;
		}
	}
	if (bytes_has_prefix(rest, "HTTPS://")) {
		return rest.len > strlen("https://");
	}
	if (!bytes_has_prefix(rest, "HTTP://")) {
		return false;
	}
	bytes_skip(&rest, strlen("http://"));
	host = (struct bytes){ rest.at, strcspn(rest.at, "/:?#") };
	return config_host_is_loopback(host) || bytes_has_prefix(rest, "[::1]");
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool config_pattern_matches(struct bytes pattern, struct bytes text)
{
	const size_t none = SIZE_MAX;
	size_t p = 0, t = 0;
	size_t star = none; // the last "*" seen: only that one ever needs to grow
	size_t star_ends = 0;
	while (t < text.len) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = p++;
			star_ends = t;
		} else if (p < pattern.len && lower(pattern.at[p]) == lower(text.at[t])) {
			p++;
			t++;
		} else if (star != none) {
			p = star + 1;
			t = ++star_ends;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*') {
		p++;
	}
	return p == pattern.len;
}

enum user_part { USER_LITERAL, USER_WHOLE, USER_LOCAL, USER_DOMAIN, USER_END, USER_BAD };

/* Take the next part of a user template; *literal is set for USER_LITERAL. */
static enum user_part take_user_part(struct bytes *rest, struct bytes *literal)
{
	static const struct {
		const char *name;
		enum user_part part;
	} names[] = { { "{user}", USER_WHOLE },
		      { "{local}", USER_LOCAL },
		      { "{domain}", USER_DOMAIN } };
	if (rest->len == 0) {
		return USER_END;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t len = strlen(names[i].name);
		if (rest->len >= len && memcmp(rest->at, names[i].name, len) == 0) {
			bytes_skip(rest, len);
			return names[i].part;
		}
	}
	size_t n = 0;
	while (n < rest->len && rest->at[n] != '{' && rest->at[n] != '}') {
		n++;
	}
	*literal = (struct bytes){ rest->at, n };
	bytes_skip(rest, n);
	return n > 0 ? USER_LITERAL : USER_BAD;
}

bool config_user_check(struct bytes template, const char **why)
{
	struct bytes literal;
	for (;;) {
		enum user_part part = take_user_part(&template, &literal);
		if (part == USER_BAD) {
			return refuse(why, "braces enclose one of {user}, {local} and "
					   "{domain}");
		}
		if (part == USER_END) {
			return true;
		}
	}
}

bool config_user_fill(struct bytes template, struct bytes user, struct buffer *out)
{
	size_t before = out->len;
	const char *at = user.len > 0 ? memrchr(user.at, '@', user.len) : NULL;
	struct bytes local = { user.at, at != NULL ? (size_t)(at - user.at) : user.len };
	struct bytes domain = user;
	bytes_skip(&domain, at != NULL ? local.len + 1 : user.len);
	struct bytes parts[] = {
		[USER_WHOLE] = user, [USER_LOCAL] = local, [USER_DOMAIN] = domain
	};
	enum user_part part;
	bool fits = true;
	while (fits &&
	       (part = take_user_part(&template, &parts[USER_LITERAL])) < USER_END) {
		fits = parts[part].len == 0 || buffer_append(out, parts[part]);
	}
	if (!fits || part == USER_BAD || out->len == before) {
		out->len = before;
		return false;
	}
	return true;
}
