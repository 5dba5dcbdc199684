/*
 * The aides of the roster, the web and oauth roles: nobody's running session depends on
 * them, so whatever happens to one, the service goes on.
 */
#include "proxy/base/memory.h"
#include "proxy/ops/roster_internal.h"
#include "proxy/ops/row.h"

#include <stdlib.h>
#include <unistd.h>

static bool is_wanted(const struct aide *aide)
{
	const struct config *config = aide->roster->setting.config;

	return aide == &aide->roster->web ? config->web.wanted || config->consent.wanted
					  : config->provider_count > 0;
}

/*
 * Keeper and aide get a channel between them, whichever of the two is new. What the last
 * channel had not carried is asked, or told, again.
 */
SUSPENDS static void introduce(struct roster *roster, const struct aide *aide,
			       enum control_type type)
{
	const struct control_message message = { .type = type };
	struct channel_descriptors one = { .count = 1 };
	struct failure ignored;
	int ends[2];

	if (!roster->keeper || !aide->process || !channel_pair(ends)) {
		return;
	}
	one.list[0] = ends[0];
	control_send(aide->process->channel, &message, &one, &ignored);
	one.list[0] = ends[1];
	if (roster->keeper) { // it may have gone meanwhile
		control_send(roster->keeper->channel, &message, &one, &ignored);
	}
	close(ends[0]);
	close(ends[1]);
}

SUSPENDS void roster_introduce_oauth(struct roster *roster)
{
	introduce(roster, &roster->oauth, CONTROL_TOKENS);
}

SUSPENDS void roster_introduce_web(struct roster *roster)
{
	if (roster->setting.config->consent.wanted) {
		introduce(roster, &roster->web, CONTROL_PAGE);
	}
}

SUSPENDS static struct process *start_aide(struct aide *aide, struct failure *failure)
{
	struct control_message start = { .type = CONTROL_START };
	struct process *process = process_spawn(aide->role, failure);

	if (process) {
		struct channel_descriptors *all = roster_outfit(aide->roster, process);

		if (aide == &aide->roster->web) {
			roster_add(all, aide->roster->history);
		} else {
			process->row = start.row = row_take();
		}
		if (!roster_initiate(process, &start, all, failure)) {
			process = NULL;
		}
		free(all);
	}
	return process;
}

/* Until it is gone or did not start, the setting is new, or the service stops. */
SUSPENDS static void watch_aide(struct aide *aide)
{
	struct roster *roster = aide->roster;
	struct failure ignored;

	while (!aide->replace && !roster->stopping &&
	       (aide->process ? !aide->process->gone : !is_wanted(aide))) {
		gate_wait(aide->process ? &aide->process->ended : &roster->changed,
			  DEADLINE_NEVER, &ignored);
	}
}

/* The new one first where there is to be one: both may serve for a while. */
SUSPENDS static void replace_aide(struct aide *aide)
{
	struct process *old = aide->process;
	struct failure failure;

	aide->replace = false;
	aide->process = NULL;
	if (is_wanted(aide)) {
		aide->process = start_aide(aide, &failure);
		if (!aide->process) {
			log_say(LOG_ERROR, "role not started", "%s: %s", aide->role,
				failure.text);
		}
		gate_open(&aide->roster->changed);
	}
	if (aide == &aide->roster->oauth) {
		roster_introduce_oauth(aide->roster);
	} else {
		roster_introduce_web(aide->roster);
	}
	if (old) {
		roster_let_go(aide->roster, old);
	}
}

SUSPENDS static void bury(struct aide *aide, uint64_t since_ms)
{
	roster_log_death(aide->process, since_ms);
	metrics_count(aide == &aide->roster->web ? METRICS_WEB_RESTARTS
						 : METRICS_OAUTH_RESTARTS);
	process_free(aide->process);
	aide->process = NULL;
}

SUSPENDS static void run_aide(void *argument)
{
	struct aide *aide = argument;
	struct roster *roster = aide->roster;
	uint64_t delay_ms = 0, died_ms = 0;

	do {
		const uint64_t since_ms = loop_now_ms();

		replace_aide(aide);
		const bool served = aide->process != NULL;

		if (served) {
			roster_log_return(aide->process, died_ms);
			died_ms = 0;
		}
		watch_aide(aide);
		if (aide->process && aide->process->gone && !roster->stopping) {
			bury(aide, since_ms);
			died_ms = loop_now_ms();
		}
		delay_ms = roster_next_delay(delay_ms, loop_now_ms() - since_ms, served);
		roster_back_off(roster, &aide->replace, delay_ms);
	} while (!roster->stopping);
}

void roster_run_aides(struct roster *roster)
{
	roster->web.roster = roster->oauth.roster = roster;
	roster->web.role = "web";
	roster->oauth.role = "oauth";
	roster->oauth.task = task_start_child(run_aide, &roster->oauth);
	roster->web.task = task_start_child(run_aide, &roster->web);
}

static void hasten(struct aide *aide)
{
	aide->replace = true;
	gate_open(aide->process ? &aide->process->ended : &aide->roster->changed);
}

void roster_replace_aides(struct roster *roster)
{
	hasten(&roster->oauth);
	hasten(&roster->web);
}

SUSPENDS static void stop_aide(struct aide *aide)
{
	if (!aide->task) {
		return;
	}
	hasten(aide); // or it might wait before it looks
	gate_open(&aide->roster->changed);
	task_join(aide->task);
	roster_end(&aide->process);
}

SUSPENDS void roster_stop_aides(struct roster *roster)
{
	stop_aide(&roster->web);
	stop_aide(&roster->oauth);
}
