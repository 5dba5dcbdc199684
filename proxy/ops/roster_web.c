/*
 * The web role of the roster: nobody's mail depends on it, so whatever happens to it, the
 * service goes on.
 */
#include "proxy/base/memory.h"
#include "proxy/ops/roster_internal.h"

#include <stdlib.h>

SUSPENDS static struct process *start_web(struct roster *roster, struct failure *failure)
{
	const struct control_message start = { .type = CONTROL_START };
	struct process *process = process_spawn("web", failure);

	if (process) {
		struct channel_descriptors *all = roster_outfit(roster, process);

		roster_add(all, roster->history);
		if (!roster_initiate(process, &start, all, failure)) {
			process = NULL;
		}
		free(all);
	}
	return process;
}

/* Until it is gone or did not start, the setting is new, or the service stops. */
SUSPENDS static void watch_web(struct roster *roster)
{
	struct failure ignored;

	while (!roster->replace_web && !roster->stopping &&
	       (roster->web ? !roster->web->gone : !roster->setting.config->web.wanted)) {
		gate_wait(roster->web ? &roster->web->ended : &roster->changed,
			  DEADLINE_NEVER, &ignored);
	}
}

/* The new one first where there is to be one: both may listen for a while. */
SUSPENDS static void replace_web(struct roster *roster)
{
	struct process *old = roster->web;
	struct failure failure;

	roster->replace_web = false;
	roster->web = NULL;
	if (roster->setting.config->web.wanted) {
		roster->web = start_web(roster, &failure);
		if (!roster->web) {
			log_say(LOG_ERROR, "web not started", "%s", failure.text);
		}
		gate_open(&roster->changed);
	}
	if (old) {
		roster_let_go(roster, old);
	}
}

SUSPENDS static void bury(struct roster *roster, uint64_t since_ms)
{
	roster_log_death(roster->web, since_ms);
	metrics_count(METRICS_WEB_RESTARTS);
	process_free(roster->web);
	roster->web = NULL;
}

SUSPENDS void roster_run_web(void *argument)
{
	struct roster *roster = argument;
	uint64_t delay_ms = 0;

	do {
		const uint64_t since_ms = loop_now_ms();

		replace_web(roster);
		const bool served = roster->web != NULL;

		watch_web(roster);
		if (roster->web && roster->web->gone && !roster->stopping) {
			bury(roster, since_ms);
		}
		delay_ms = roster_next_delay(delay_ms, loop_now_ms() - since_ms, served);
		roster_back_off(roster, &roster->replace_web, delay_ms);
	} while (!roster->stopping);
}

SUSPENDS void roster_stop_web(struct roster *roster)
{
	roster->replace_web = true; // or it might wait before it looks
	gate_open(&roster->changed);
	if (roster->web) {
		gate_open(&roster->web->ended);
	}
	task_join(roster->web_task);
	roster_end(&roster->web);
}
