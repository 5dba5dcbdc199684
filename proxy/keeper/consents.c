#include "proxy/keeper/consents.h"

#include "proxy/base/log.h"
#include "proxy/base/metrics.h"

#define SOON_S ((uint64_t)3 * 24 * 3600) // some providers give a week in all
#define HOUR_S 3600

static void warn(const struct registry_consents *now, uint64_t now_s)
{
	struct log_line line;

	if (log_begin(&line, LOG_WARNING, "consent ends")) {
		log_string(&line, "user", now->first_account);
		log_number(&line, "hours",
			   now->first_end_s > now_s ? (now->first_end_s - now_s) / HOUR_S
						    : 0);
		log_number(&line, "accounts", now->ending);
		log_string(&line, "advice",
			   "run: popbridge account consent USER; popbridge account list "
			   "shows all ends");
		log_end(&line);
	}
}

void consents_look(struct consents *consents, struct store *store, uint64_t now_s)
{
	struct registry_consents now;

	registry_count_consents(store, now_s + SOON_S, &now);
	metrics_set(METRICS_CONSENTS_NEEDED, now.needed);
	metrics_consent(now.first_end_s);
	if (now.ending > 0 && (now.first_end_s != consents->said_end_s ||
			       now.ending > consents->said_count)) {
		warn(&now, now_s);
	}
	consents->said_end_s = now.ending > 0 ? now.first_end_s : 0;
	consents->said_count = now.ending;
}
