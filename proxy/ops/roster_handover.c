/*
 * An upgrade's two sides. The old program lists what it has; exec() ends all of its tasks
 * at once, so it does that only while no role is half started. The new one adopts the
 * processes and replaces them by its own, the keeper first: two never serve at a time.
 */
#include "proxy/base/memory.h"
#include "proxy/ops/roster_internal.h"
#include "proxy/ops/row.h"

#include <stdlib.h>
#include <string.h>

#define TAKE_OVER_MS 30000

/* The old one --------------------------------------------------------------------- */

static bool is_settled(const struct roster *roster)
{
	for (const struct process *process = process_first(); process;
	     process = process->next) {
		if (process->state == PROCESS_STARTING) {
			return false;
		}
	}
	for (size_t i = 0; i < roster->slot_count; i++) {
		const struct slot *slot = &roster->slots[i];

		if (!slot->process || slot->process->gone || slot->replace) {
			return false;
		}
	}
	return roster->keeper && !roster->keeper->gone && !roster->stopping;
}

static void list_sockets(const struct roster *roster, struct handover *out)
{
	const struct config *config = roster->setting.config;

	out->listener_count = config->listener_count;
	out->sockets =
		memory_new_array(out->listener_count * out->slot_count + 1, sizeof(int));
	for (size_t i = 0; i < out->listener_count * out->slot_count; i++) {
		out->sockets[i] = doors_socket(&roster->doors, config,
					       i / out->slot_count, i % out->slot_count);
	}
}

static void list_children(struct handover *out)
{
	for (struct process *process = process_first(); process;
	     process = process->next) {
		if (process->gone) {
			continue;
		}
		out->children = memory_resize(
			out->children, (out->child_count + 1) * sizeof(*out->children));
		out->children[out->child_count++] = (struct handover_child){
			.role = process->role,
			.pid = (uint32_t)process->pid,
			.channel = channel_descriptor(process->channel),
			.pulse = process->pulse,
			.row = process->row,
			.slot = process->slot,
			.leaves = process->state == PROCESS_LEAVING,
		};
	}
}

bool roster_hand_over(const struct roster *roster, struct handover *out)
{
	*out = (struct handover){
		.started_s = roster->started_s,
		.text_fd = roster->setting.text_fd,
		.metrics = roster->metrics,
		.census = roster->census,
		.history = roster->history,
		.slot_count = roster->slot_count,
	};
	memcpy(out->key, roster->key, sizeof(out->key));
	if (!is_settled(roster)) {
		return false;
	}
	list_sockets(roster, out);
	list_children(out);
	return true;
}

/* The new one --------------------------------------------------------------------- */

static void adopt(struct roster *roster, const struct handover_child *child)
{
	struct process *process = process_adopt(child->role, (pid_t)child->pid,
						child->channel, child->pulse);

	process->state = child->leaves ? PROCESS_LEAVING : PROCESS_SERVING;
	process->slot = child->slot;
	if (roster->metrics_are_new) {
		process->row = METRICS_ROWS; // it counts in a table nobody reads
	} else {
		process->row = child->row;
		row_claim(child->row);
	}
	if (child->leaves) {
		roster_see_off(roster, process);
	} else if (strcmp(child->role, "keeper") == 0) {
		roster->keeper = process;
	} else if (strcmp(child->role, "web") == 0) {
		roster->web.process = process;
	} else if (strcmp(child->role, "oauth") == 0) {
		roster->oauth.process = process;
	} else {
		roster->slots[child->slot].process = process;
		metrics_gauge_up(METRICS_WORKERS);
	}
}

SUSPENDS static bool await_keeper(struct roster *roster, uint64_t deadline_ms)
{
	struct failure ignored;

	while (!roster->keeper_failed &&
	       (!roster->keeper || roster->keeper->setting != roster->setting_number) &&
	       gate_wait(&roster->changed, deadline_ms, &ignored)) {
	}
	return roster->keeper && roster->keeper->setting == roster->setting_number;
}

static bool is_replacing(const struct roster *roster)
{
	for (size_t i = 0; i < roster->slot_count; i++) {
		if (!roster->slots[i].process || roster->slots[i].replace) {
			return true;
		}
	}
	return false;
}

SUSPENDS bool roster_take_over(struct roster *roster, const struct handover *handover)
{
	const uint64_t deadline_ms = loop_deadline_ms(TAKE_OVER_MS);
	struct failure ignored;

	roster->slots = memory_new_array(roster->slot_count, sizeof(struct slot));
	for (size_t i = 0; i < roster->slot_count; i++) {
		roster->slots[i] =
			(struct slot){ .roster = roster, .number = (uint32_t)i };
	}
	for (size_t i = 0; i < handover->child_count; i++) {
		adopt(roster, &handover->children[i]);
	}
	process_reap(); // who ended while nobody was there to hear it
	roster->keeper_task = task_start_child(roster_run_keeper, roster);
	const bool has_keeper = await_keeper(roster, deadline_ms);

	for (size_t i = 0; i < roster->slot_count; i++) {
		roster->slots[i].task =
			task_start_child(roster_run_slot, &roster->slots[i]);
	}
	while (is_replacing(roster) && !roster->stopping &&
	       gate_wait(&roster->changed, deadline_ms, &ignored)) {
	}
	roster_run_aides(roster);
	return has_keeper && roster_all_new(roster) && !is_replacing(roster);
}
