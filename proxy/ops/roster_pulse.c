/*
 * Roles that hang without dying: one whose loop does not turn for HANG_MS is killed, and
 * then replaced like any that died. When we did not run either, the whole machine stood
 * still, and nobody is to blame.
 */
#include "proxy/base/pulse.h"
#include "proxy/ops/roster_internal.h"

#include <signal.h>

#define HANG_MS 10000
#define LATE_MS 3000 // between two looks: PULSE_MS are meant

static void look(struct process *process, uint64_t now_ms, bool is_late)
{
	const uint64_t beats = pulse_read(process->pulse);

	if (is_late || process->beaten_ms == 0 || beats != process->beats) {
		process->beats = beats;
		process->beaten_ms = now_ms;
	} else if (now_ms - process->beaten_ms >= HANG_MS) {
		log_say(LOG_ERROR, "role hangs", "%s %d does not move: killed",
			process->role, (int)process->pid);
		process->beaten_ms = now_ms;
		process_kill(process, SIGKILL);
	}
}

SUSPENDS void roster_watch_pulses(void *argument)
{
	uint64_t last_ms = loop_now_ms();

	(void)argument;
	while (task_sleep_until(loop_deadline_ms(PULSE_MS))) {
		const uint64_t now_ms = loop_now_ms();

		for (struct process *process = process_first(); process;
		     process = process->next) {
			if (process->state != PROCESS_STARTING && !process->gone) {
				look(process, now_ms, now_ms - last_ms > LATE_MS);
			}
		}
		last_ms = now_ms;
	}
}
