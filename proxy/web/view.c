#include "proxy/web/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define DAY_S (24 * 60 * 60)

const char *const view_step_names[METRICS_STEPS] = {
	[METRICS_STEP_CONNECT] = "connect",   [METRICS_STEP_TLS] = "tls",
	[METRICS_STEP_GREETING] = "greeting", [METRICS_STEP_ID] = "id",
	[METRICS_STEP_SIGN_IN] = "sign-in",   [METRICS_STEP_FOLDER] = "folder",
	[METRICS_STEP_BODY] = "body",         [METRICS_STEP_COMMIT] = "commit",
};

uint64_t view_recent(const struct view *view, const uint64_t *counted)
{
	const size_t offset = (size_t)((const char *)counted - (const char *)view->now);
	const char *before = (const char *)history_before(view->history);

	return *counted - *(const uint64_t *)(const void *)(before + offset);
}

uint64_t view_sessions(const struct view *view)
{
	uint64_t count = 0;

	for (size_t i = 0; i < METRICS_STATES; i++) {
		count += view->now->sessions[i];
	}
	return count;
}

const char *view_state_words(enum metrics_state state)
{
	switch (state) {
	case METRICS_STATE_AUTHORIZATION:
		return "not signed in yet";
	case METRICS_STATE_SIGNING_IN:
		return "signing in";
	case METRICS_STATE_TRANSACTION:
		return "reading mail";
	case METRICS_STATE_UPDATE:
		return "removing mail";
	case METRICS_STATE_NONE:
	case METRICS_STATES:
		break;
	}
	return "";
}

const char *view_failure_words(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_AUTH:
		return "Wrong user name or password";
	case FAILURE_TEMPORARY:
		return "The IMAP server could not do it just then";
	case FAILURE_PERMANENT:
		return "Not allowed as things are set up (TLS, certificate, account, "
		       "folder)";
	case FAILURE_IN_USE:
		return "The mailbox was open in another session";
	case FAILURE_TIMEOUT:
		return "The IMAP server took too long";
	case FAILURE_CANCELLED:
		return "Cut off because the service was ending";
	case FAILURE_PEER_GONE:
		return "The connection to the IMAP server was lost";
	case FAILURE_PROTOCOL:
		return "The IMAP server answered nonsense";
	case FAILURE_TOO_SOON:
		return "Signed in again sooner than login-delay allows";
	}
	return "";
}

const char *view_end_words(enum session_end end)
{
	switch (end) {
	case SESSION_QUIT:
		return "Ended as it should, with QUIT";
	case SESSION_QUIT_UNCOMMITTED:
		return "QUIT, but deleted messages could not be removed";
	case SESSION_QUIT_EARLY:
		return "QUIT before signing in";
	case SESSION_CLIENT_GONE:
		return "The client left without QUIT";
	case SESSION_IDLE:
		return "The client said nothing for too long";
	case SESSION_WRITE_STALL:
		return "The client stopped reading";
	case SESSION_SIGN_IN_TIMEOUT:
		return "The client took too long to sign in";
	case SESSION_ERRORS:
		return "The client made too many mistakes";
	case SESSION_INJECTION:
		return "The client sent commands ahead of TLS";
	case SESSION_TLS_FAILED:
		return "TLS with the client failed";
	case SESSION_PROXY_REFUSED:
		return "No valid PROXY header from the balancer";
	case SESSION_UPSTREAM:
		return "The IMAP server was lost";
	case SESSION_TRUNCATED:
		return "A message broke off and was not delivered";
	case SESSION_CANCELLED:
		return "Ended because the service was ending";
	case SESSION_TAKEN_OVER:
		return "Gave way to a newer session of the same user";
	case SESSION_KICKED:
		return "Ended by an operator";
	case SESSION_REFUSED:
		return "Refused: too many sessions";
	case SESSION_TOO_FAST:
		return "Refused: too many connections in too little time";
	case SESSION_DROPPED:
		return "Not signed in for long, and the room was needed";
	}
	return session_end_name(end);
}

/* Inside the bucket the steps are taken as spread evenly. */
static uint64_t inside(size_t bucket, uint64_t rank, uint64_t in_bucket)
{
	const uint64_t low = bucket == 0 ? 0 : metrics_bounds_ms[bucket - 1];

	if (bucket == METRICS_BUCKETS - 1) {
		return low; // or more
	}
	return low +
	       ((metrics_bounds_ms[bucket] - low) * rank + in_bucket - 1) / in_bucket;
}

bool view_percentile(const struct view *view, const struct metrics_histogram *histogram,
		     unsigned percent, uint64_t *ms)
{
	uint64_t counts[METRICS_BUCKETS];
	uint64_t total = 0;
	uint64_t rank;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		counts[i] = view_recent(view, &histogram->buckets[i]);
		total += counts[i];
	}
	if (total == 0) {
		return false;
	}
	rank = (total * percent + 99) / 100;
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		if (rank <= counts[i]) {
			*ms = inside(i, rank, counts[i]);
			return true;
		}
		rank -= counts[i];
	}
	return false;
}

void view_write_duration(struct buffer *out, uint64_t seconds)
{
	const uint64_t days = seconds / DAY_S;
	const uint64_t hours = seconds % DAY_S / 3600;
	const uint64_t minutes = seconds % 3600 / 60;

	if (days > 0) {
		buffer_printf(out, "%" PRIu64 " d %" PRIu64 " h", days, hours);
	} else if (hours > 0) {
		buffer_printf(out, "%" PRIu64 " h %" PRIu64 " min", hours, minutes);
	} else if (minutes > 0) {
		buffer_printf(out, "%" PRIu64 " min", minutes);
	} else {
		buffer_printf(out, "%" PRIu64 " s", seconds);
	}
}

void view_write_octets(struct buffer *out, uint64_t octets)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	uint64_t tenths = octets * 10;
	size_t unit = 0;

	if (octets < 1024) {
		buffer_printf(out, "%" PRIu64 " B", octets);
		return;
	}
	for (; octets >= 1024 && unit < last; unit++) {
		tenths = octets * 10 / 1024;
		octets /= 1024;
	}
	if (tenths < 1000) {
		buffer_printf(out, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
			      units[unit]);
	} else {
		buffer_printf(out, "%" PRIu64 " %s", tenths / 10, units[unit]);
	}
}

void view_write_count(struct buffer *out, uint64_t count)
{
	char digits[24];
	const size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0) {
			buffer_append(out, bytes_of("\u202f")); // narrow, does not break
		}
		buffer_append(out, (struct bytes){ &digits[i], 1 });
	}
}

void view_write_clock(struct buffer *out, uint64_t unix_s)
{
	const time_t time = (time_t)unix_s;
	struct tm utc;
	char text[8];

	if (gmtime_r(&time, &utc) && strftime(text, sizeof(text), "%H:%M", &utc) > 0) {
		buffer_append(out, bytes_of(text));
	}
}

int64_t view_days_left(const struct view *view, uint64_t until_s)
{
	const int64_t left_s = (int64_t)until_s - (int64_t)view->now_s;

	return left_s >= 0 ? left_s / DAY_S : -1 - (-left_s - 1) / DAY_S;
}
