/*
 * All goes well: a role starts, says READY, and runs until it is told to DRAIN. What can
 * go wrong: it dies (another is started, later and later if it dies at once), it does not
 * start (likewise), it does not end (killed).
 */
#include "proxy/base/memory.h"
#include "proxy/ops/roster_internal.h"
#include "proxy/ops/row.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_MS 15000
#define GRACE_MS 25000 // after the drain limit, for the last commits
#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_SERVED_MS 250 // at most, for who became READY: clients wait for it
#define BACK_OFF_MAX_MS 30000
#define STEADY_MS 1000 // who served this long did not die of its start

/* START, READY. On failure the process is killed and freed. */
SUSPENDS bool roster_initiate(struct process *process,
			      const struct control_message *start,
			      const struct channel_descriptors *descriptors,
			      struct failure *failure)
{
	struct control_message answer;

	if (control_send(process->channel, start, descriptors, failure) &&
	    control_receive(process->channel, &answer, NULL, loop_deadline_ms(READY_MS),
			    failure) &&
	    answer.type == CONTROL_READY) {
		process->state = PROCESS_SERVING;
		return true;
	}
	process_kill(process, SIGKILL);
	process_wait(process, DEADLINE_NEVER);
	failure_prefix(failure, "%s %s", process->role, process_end_text(process));
	process_free(process);
	return false;
}

void roster_add(struct channel_descriptors *descriptors, int fd)
{
	if (descriptors->count < CHANNEL_DESCRIPTORS_MAX) {
		descriptors->list[descriptors->count++] = fd;
	}
}

struct channel_descriptors *roster_outfit(const struct roster *roster,
					  const struct process *process)
{
	struct channel_descriptors *all = memory_new(sizeof(*all));

	roster_add(all, roster->setting.text_fd);
	roster_add(all, roster->metrics);
	roster_add(all, process->pulse);
	return all;
}

SUSPENDS static struct process *start_worker(struct slot *slot, struct failure *failure)
{
	struct roster *roster = slot->roster;
	const struct config *config = roster->setting.config;
	struct control_message start = { .type = CONTROL_START, .slot = slot->number };
	struct process *process = process_spawn("worker", failure);
	struct channel_descriptors *all;

	if (!process) {
		return NULL;
	}
	process->row = start.row = row_take();
	process->slot = slot->number;
	process->setting = roster->setting_number;
	memcpy(start.key, roster->key, CONTROL_KEY_BYTES);
	all = roster_outfit(roster, process);
	roster_add(all, roster->census);
	for (size_t i = 0; i < config->listener_count; i++) {
		roster_add(all, doors_socket(&roster->doors, config, i, slot->number));
	}
	if (roster_initiate(process, &start, all, failure)) {
		metrics_gauge_up(METRICS_WORKERS);
		roster_introduce_all(roster);
	} else {
		process = NULL;
	}
	free(all);
	return process;
}

void roster_log_death(const struct process *process, uint64_t since_ms)
{
	struct log_line line;

	if (log_begin(&line, LOG_ERROR, "role died")) {
		log_string(&line, "role", process->role);
		log_number(&line, "pid", (uint64_t)process->pid);
		log_string(&line, "how", process_end_text(process));
		log_seconds(&line, "after", loop_now_ms() - since_ms);
		log_end(&line);
	}
}

void roster_log_return(const struct process *process, uint64_t died_ms)
{
	struct log_line line;

	if (died_ms > 0 && log_begin(&line, LOG_INFO, "role is back")) {
		log_string(&line, "role", process->role);
		log_number(&line, "pid", (uint64_t)process->pid);
		log_seconds(&line, "after", loop_now_ms() - died_ms);
		log_end(&line);
	}
}

/* A process that was told to drain: waited for, then killed. */
struct leaver {
	struct roster *roster;
	struct process *process;
	uint64_t since_ms;
};

SUSPENDS static void see_off(void *argument)
{
	const struct leaver leaver = *(struct leaver *)argument;
	struct process *process = leaver.process;

	free(argument);
	if (!process_wait(process,
			  loop_deadline_ms(leaver.roster->drain_ms + GRACE_MS))) {
		log_say(LOG_WARNING, "role killed", "%s %d did not end in time",
			process->role, (int)process->pid);
		process_kill(process, SIGKILL);
		process_wait(process, DEADLINE_NEVER);
	} else if (process->status != 0) {
		roster_log_death(process, leaver.since_ms);
	}
	process_free(process);
	leaver.roster->leaving--;
	gate_open(&leaver.roster->changed);
}

SUSPENDS void roster_let_go(struct roster *roster, struct process *process)
{
	const struct control_message drain = { .type = CONTROL_DRAIN,
					       .milliseconds = roster->drain_ms };
	struct failure ignored;

	control_send(process->channel, &drain, NULL, &ignored);
	process->state = PROCESS_LEAVING;
	roster_see_off(roster, process);
}

void roster_see_off(struct roster *roster, struct process *process)
{
	struct leaver *leaver = memory_new(sizeof(*leaver));

	roster->leaving++;
	*leaver = (struct leaver){ roster, process, loop_now_ms() };
	task_start(see_off, leaver);
}

uint64_t roster_next_delay(uint64_t last_ms, uint64_t lived_ms, bool served)
{
	const uint64_t most_ms = served ? BACK_OFF_SERVED_MS : BACK_OFF_MAX_MS;

	if (served && lived_ms >= STEADY_MS) {
		return 0;
	}
	if (last_ms == 0) {
		return BACK_OFF_FIRST_MS;
	}
	return last_ms * 2 < most_ms ? last_ms * 2 : most_ms;
}

SUSPENDS bool roster_back_off(struct roster *roster, const bool *enough,
			      uint64_t delay_ms)
{
	const uint64_t until_ms = loop_deadline_ms(delay_ms);
	struct failure ignored;

	while (!*enough && loop_now_ms() < until_ms &&
	       gate_wait(&roster->changed, until_ms, &ignored)) {
	}
	return !*enough;
}

/* Until it is gone, to be replaced, or the service stops. */
SUSPENDS static void watch(struct slot *slot)
{
	struct failure ignored;

	while (!slot->process->gone && !slot->replace && !slot->roster->stopping) {
		gate_wait(&slot->process->ended, DEADLINE_NEVER, &ignored);
	}
}

/* The new one first, so that somebody always accepts. */
SUSPENDS static void replace(struct slot *slot)
{
	struct failure failure;
	struct process *successor = start_worker(slot, &failure);

	slot->replace = successor && successor->setting != slot->roster->setting_number;
	if (successor) {
		metrics_gauge_down(METRICS_WORKERS);
		roster_let_go(slot->roster, slot->process);
		slot->process = successor;
	} else {
		log_say(LOG_ERROR, "worker not replaced", "%s", failure.text);
	}
	gate_open(&slot->roster->changed);
}

SUSPENDS static void bury(struct slot *slot, uint64_t since_ms)
{
	roster_log_death(slot->process, since_ms);
	process_free(slot->process);
	metrics_gauge_down(METRICS_WORKERS);
	metrics_count(METRICS_WORKER_RESTARTS);
	slot->process = NULL;
	slot->replace = false;
	gate_open(&slot->roster->changed);
}

/* Until the slot's process is gone or the service stops. */
SUSPENDS static void keep_serving(struct slot *slot)
{
	const struct roster *roster = slot->roster;

	slot->replace = slot->process->setting != roster->setting_number;
	for (watch(slot); slot->replace && !roster->stopping && !slot->process->gone;
	     watch(slot)) {
		replace(slot);
	}
}

SUSPENDS void roster_run_slot(void *argument)
{
	struct slot *slot = argument;
	struct roster *roster = slot->roster;
	struct failure failure;
	uint64_t delay_ms = 0, died_ms = 0;

	do {
		const uint64_t since_ms = loop_now_ms();

		if (!slot->process) { // else it was adopted
			slot->process = start_worker(slot, &failure);
		}
		const bool served = slot->process != NULL;

		gate_open(&roster->changed);
		if (served) {
			roster_log_return(slot->process, died_ms);
			keep_serving(slot);
			died_ms = loop_now_ms();
		} else {
			log_say(LOG_ERROR, "worker not started", "%s", failure.text);
		}
		if (served && !roster->stopping) {
			bury(slot, since_ms);
		}
		delay_ms = roster_next_delay(delay_ms, loop_now_ms() - since_ms, served);
	} while (roster_back_off(roster, &roster->stopping, delay_ms));
	if (slot->process) {
		metrics_gauge_down(METRICS_WORKERS);
		roster_let_go(roster, slot->process);
		slot->process = NULL;
	}
}

static bool all_run(const struct roster *roster)
{
	for (size_t i = 0; i < roster->slot_count; i++) {
		if (!roster->slots[i].process) {
			return false;
		}
	}
	return true;
}

SUSPENDS bool roster_start(struct roster *roster, struct failure *failure)
{
	const uint64_t deadline_ms = loop_deadline_ms(READY_MS);

	if (!doors_open(&roster->doors, roster->setting.config, roster->slot_count,
			failure)) {
		return false;
	}
	roster->slots = memory_new_array(roster->slot_count, sizeof(struct slot));
	roster->keeper_task = task_start_child(roster_run_keeper, roster);
	while (!roster->keeper && !roster->keeper_failed &&
	       gate_wait(&roster->changed, deadline_ms, failure)) {
	}
	if (!roster->keeper) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "the keeper did not start");
	}
	for (size_t i = 0; i < roster->slot_count; i++) {
		roster->slots[i] =
			(struct slot){ .roster = roster, .number = (uint32_t)i };
		roster->slots[i].task =
			task_start_child(roster_run_slot, &roster->slots[i]);
	}
	while (!all_run(roster) && gate_wait(&roster->changed, deadline_ms, failure)) {
	}
	roster_run_aides(roster);
	return all_run(roster);
}

bool roster_all_new(const struct roster *roster)
{
	for (size_t i = 0; i < roster->slot_count; i++) {
		const struct process *process = roster->slots[i].process;

		if (process && process->setting != roster->setting_number) {
			return false;
		}
	}
	return true;
}

SUSPENDS bool roster_replace_workers(struct roster *roster)
{
	struct failure ignored;

	roster_inform_keeper(roster);
	for (size_t i = 0; i < roster->slot_count; i++) {
		struct slot *slot = &roster->slots[i];

		if (!slot->process) {
			continue; // its next start takes the new setting anyway
		}
		slot->replace = true;
		gate_open(&slot->process->ended);
		while (slot->replace && !roster->stopping) {
			gate_wait(&roster->changed, loop_deadline_ms(READY_MS), &ignored);
		}
	}
	roster_replace_aides(roster);
	return roster_all_new(roster);
}

SUSPENDS void roster_end(struct process **process)
{
	const struct control_message drain = { .type = CONTROL_DRAIN };
	struct failure ignored;

	if (!*process) {
		return;
	}
	control_send((*process)->channel, &drain, NULL, &ignored);
	if (!process_wait(*process, loop_deadline_ms(GRACE_MS))) {
		process_kill(*process, SIGKILL);
		process_wait(*process, DEADLINE_NEVER);
	}
	process_free(*process);
	*process = NULL;
}

SUSPENDS void roster_stop(struct roster *roster)
{
	struct failure ignored;

	roster->stopping = true;
	gate_open(&roster->changed);
	for (size_t i = 0; i < roster->slot_count; i++) {
		if (roster->slots && roster->slots[i].process) {
			gate_open(&roster->slots[i].process->ended);
		}
	}
	for (size_t i = 0; i < roster->slot_count; i++) {
		if (roster->slots && roster->slots[i].task) {
			task_join(roster->slots[i].task);
		}
	}
	doors_close(&roster->doors); // or clients would connect and wait in vain
	while (roster->leaving > 0) {
		gate_wait(&roster->changed, DEADLINE_NEVER, &ignored);
	}
	roster_stop_aides(roster);
	if (roster->keeper_task) {
		roster_stop_keeper(roster);
	}
	while (roster->leaving > 0) { // an aide that was just replaced
		gate_wait(&roster->changed, DEADLINE_NEVER, &ignored);
	}
	free(roster->slots);
}
