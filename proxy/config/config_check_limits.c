#include "proxy/config/config_check.h"
#include "proxy/config/config_values.h"

#include <stdio.h>
#include <string.h>

#define SECOND_MS ((uint64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define LEAST_MS ((uint64_t)10) // no deadline is shorter
#define DELAY_MAX_MS (5 * MINUTE_MS)
#define RATE_MAX ((uint64_t)1 << 30)
#define SESSIONS_MAX 1000000
#define ACCEPT_RATE_MAX 100000

static void check_duration(struct config_check *check, const char *key, const char *text,
			   uint64_t max_ms, uint64_t *out)
{
	uint64_t ms;
	const char *why;
	if (!config_given(check, key, text)) {
		return;
	}
	if (!config_duration_parse(bytes_of(text), &ms, &why)) {
		config_mistake(check, key, "%s, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (ms < LEAST_MS || ms > max_ms) {
		config_mistake(check, key, "is from 10ms to %lluh, not %s",
			       (unsigned long long)(max_ms / HOUR_MS),
			       config_quote(bytes_of(text)).text);
	} else {
		*out = ms;
	}
}

static void check_parking(struct config_check *check, const char *text, uint64_t *out)
{
	if (text != NULL && strcmp(text, "off") == 0) {
		*out = 0;
	} else {
		check_duration(check, "parking", text, HOUR_MS, out);
	}
}

static void check_rate(struct config_check *check, const char *text, uint64_t *out)
{
	uint64_t rate;
	const char *why;
	if (!config_given(check, "minimum-rate", text)) {
		return;
	}
	if (!config_size_parse(bytes_of(text), &rate, &why) || rate > RATE_MAX) {
		config_mistake(check, "minimum-rate",
			       "is octets a second from 0 (off) to 1024MiB, as in 1KiB, "
			       "not %s",
			       config_quote(bytes_of(text)).text);
		return;
	}
	*out = rate;
}

static void check_delay(struct config_check *check, const char *text,
			struct config_limits *limits)
{
	uint64_t min_ms, max_ms;
	const char *why;
	const char *key = "sign-in-delay";
	if (!config_given(check, key, text)) {
		return;
	}
	if (!config_delay_parse(bytes_of(text), &min_ms, &max_ms, &why)) {
		config_mistake(check, key, "%s, not %s", why,
			       config_quote(bytes_of(text)).text);
	} else if (max_ms > DELAY_MAX_MS) {
		config_mistake(check, key, "is at most 5m, not %s",
			       config_quote(bytes_of(text)).text);
	} else {
		limits->sign_in_delay_min_ms = min_ms;
		limits->sign_in_delay_max_ms = max_ms;
	}
}

void config_check_limits(struct config_check *check, const struct config_raw_limits *raw,
			 struct config_limits *limits)
{
	static const struct config_raw_limits nothing;
	raw = raw != NULL ? raw : &nothing;
	*limits = (struct config_limits){
		.sessions = 10000,
		.sessions_per_address = 64,
		.sessions_per_account = 20,
		.accept_rate = 2000,
		.accept_rate_per_address = 20,
		.idle_ms = 10 * MINUTE_MS,
		.sign_in_ms = 60 * SECOND_MS,
		.upstream_sign_in_ms = 55 * SECOND_MS,
		.drain_ms = 120 * SECOND_MS,
		.connect_ms = 10 * SECOND_MS,
		.tls_ms = 10 * SECOND_MS,
		.authenticate_ms = 30 * SECOND_MS,
		.command_ms = 60 * SECOND_MS,
		.parking_ms = 5 * MINUTE_MS,
		.parked = 256,
		.minimum_rate = 1024,
		.sign_in_delay_min_ms = 2 * SECOND_MS,
		.sign_in_delay_max_ms = 15 * SECOND_MS,
	};
	snprintf(check->at, sizeof check->at, "limits");
	config_count(check, "sessions", raw->sessions, SESSIONS_MAX, &limits->sessions);
	config_count(check, "sessions-per-address", raw->sessions_per_address,
		     SESSIONS_MAX, &limits->sessions_per_address);
	config_count(check, "sessions-per-account", raw->sessions_per_account,
		     SESSIONS_MAX, &limits->sessions_per_account);
	config_count(check, "accept-rate", raw->accept_rate, ACCEPT_RATE_MAX,
		     &limits->accept_rate);
	config_count(check, "accept-rate-per-address", raw->accept_rate_per_address,
		     ACCEPT_RATE_MAX, &limits->accept_rate_per_address);
	check_duration(check, "idle", raw->idle, DAY_MS, &limits->idle_ms);
	limits->write_stall_ms = limits->idle_ms;
	check_duration(check, "write-stall", raw->write_stall, DAY_MS,
		       &limits->write_stall_ms);
	check_duration(check, "sign-in", raw->sign_in, HOUR_MS, &limits->sign_in_ms);
	check_duration(check, "upstream-sign-in", raw->upstream_sign_in, HOUR_MS,
		       &limits->upstream_sign_in_ms);
	check_duration(check, "drain", raw->drain, HOUR_MS, &limits->drain_ms);
	check_duration(check, "connect", raw->connect, HOUR_MS, &limits->connect_ms);
	check_duration(check, "tls", raw->tls, HOUR_MS, &limits->tls_ms);
	check_duration(check, "authenticate", raw->authenticate, HOUR_MS,
		       &limits->authenticate_ms);
	check_duration(check, "command", raw->command, HOUR_MS, &limits->command_ms);
	check_parking(check, raw->parking, &limits->parking_ms);
	config_count(check, "parked", raw->parked, SESSIONS_MAX, &limits->parked);
	check_rate(check, raw->minimum_rate, &limits->minimum_rate);
	check_delay(check, raw->sign_in_delay, limits);
}
