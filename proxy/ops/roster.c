/*
 * All goes well: a role starts, says READY, and runs until it is told to DRAIN. What can
 * go wrong: it dies (another is started, later and later if it dies at once), it does not
 * start (likewise), it does not end (killed).
 */
#include "proxy/ops/roster.h"

#include "proxy/base/memory.h"
#include "proxy/ops/row.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_MS 15000
#define GRACE_MS 25000 // after the drain limit, for the last commits
#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_MAX_MS 30000
#define STEADY_MS 10000 // who lived this long did not die of its start

/* START, READY. On failure the process is killed and freed. */
SUSPENDS static bool initiate(struct process *process,
			      const struct control_message *start,
			      const struct channel_descriptors *descriptors,
			      struct failure *failure)
{
	struct control_message answer;

	if (control_send(process->channel, start, descriptors, failure) &&
	    control_receive(process->channel, &answer, NULL, loop_deadline_ms(READY_MS),
			    failure) &&
	    answer.type == CONTROL_READY) {
		return true;
	}
	process_kill(process, SIGKILL);
	process_wait(process, DEADLINE_NEVER);
	failure_prefix(failure, "%s %s", process->role, process_end_text(process));
	process_free(process);
	return false;
}

static void add(struct channel_descriptors *descriptors, int fd)
{
	if (descriptors->count < CHANNEL_DESCRIPTORS_MAX) {
		descriptors->list[descriptors->count++] = fd;
	}
}

/*
 * Makes a channel between keeper and worker: the worker hears of it here, the keeper's
 * end is returned (-1: none). Processes may go while we wait, so they are looked up
 * again.
 */
SUSPENDS static int introduce(struct process *worker, unsigned keeper)
{
	const struct control_message message = { .type = CONTROL_KEEPER };
	struct channel_descriptors one = { .count = 1 };
	struct failure ignored;
	int ends[2];

	worker->keeper = keeper;
	if (!channel_pair(ends)) {
		return -1;
	}
	one.list[0] = ends[0];
	const bool sent = control_send(worker->channel, &message, &one, &ignored);

	close(ends[0]);
	if (!sent) {
		close(ends[1]);
		return -1;
	}
	return ends[1];
}

/* Every worker that serves and does not know the keeper that serves. */
SUSPENDS static void introduce_all(struct roster *roster)
{
	const struct control_message message = { .type = CONTROL_KEEPER };
	struct channel_descriptors one = { .count = 1 };
	struct process *worker;
	struct failure ignored;

	while (roster->keeper &&
	       (worker = process_without_keeper(roster->keeper_number))) {
		one.list[0] = introduce(worker, roster->keeper_number);
		if (one.list[0] >= 0 && roster->keeper) {
			control_send(roster->keeper->channel, &message, &one, &ignored);
		}
		if (one.list[0] >= 0) {
			close(one.list[0]);
		}
	}
}

SUSPENDS static struct process *start_worker(struct slot *slot, struct failure *failure)
{
	struct roster *roster = slot->roster;
	const struct config *config = roster->setting.config;
	struct control_message start = { .type = CONTROL_START, .slot = slot->number };
	struct channel_descriptors *all = memory_new(sizeof(*all));
	struct process *process = process_spawn("worker", failure);

	if (!process) {
		free(all);
		return NULL;
	}
	process->row = start.row = row_take();
	process->setting = roster->setting_number;
	memcpy(start.key, roster->key, CONTROL_KEY_BYTES);
	add(all, roster->setting.text_fd);
	add(all, roster->metrics);
	for (size_t i = 0; i < config->listener_count; i++) {
		add(all, doors_socket(&roster->doors, config, i, slot->number));
	}
	if (initiate(process, &start, all, failure)) {
		metrics_gauge_up(METRICS_WORKERS);
		process->serving = true;
		introduce_all(roster);
	} else {
		process = NULL;
	}
	free(all);
	return process;
}

static void log_death(const struct process *process, uint64_t since_ms)
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
		log_death(process, leaver.since_ms);
	}
	process_free(process);
	leaver.roster->leaving--;
	gate_open(&leaver.roster->changed);
}

SUSPENDS static void let_go(struct roster *roster, struct process *process)
{
	const struct control_message drain = { .type = CONTROL_DRAIN,
					       .milliseconds = roster->drain_ms };
	struct leaver *leaver = memory_new(sizeof(*leaver));
	struct failure ignored;

	roster->leaving++;
	control_send(process->channel, &drain, NULL, &ignored);
	*leaver = (struct leaver){ roster, process, loop_now_ms() };
	task_start(see_off, leaver);
}

/* Waits longer each time a role dies young. False: the service stops. */
SUSPENDS static bool back_off(struct roster *roster, uint64_t *delay_ms,
			      uint64_t lived_ms)
{
	const uint64_t until_ms = loop_deadline_ms(*delay_ms);
	struct failure ignored;

	while (!roster->stopping && loop_now_ms() < until_ms &&
	       gate_wait(&roster->changed, until_ms, &ignored)) {
	}
	if (lived_ms >= STEADY_MS) {
		*delay_ms = BACK_OFF_FIRST_MS;
	} else if (*delay_ms < BACK_OFF_MAX_MS) {
		*delay_ms *= 2;
	}
	return !roster->stopping;
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
		let_go(slot->roster, slot->process);
		slot->process = successor;
	} else {
		log_say(LOG_ERROR, "worker not replaced", "%s", failure.text);
	}
	gate_open(&slot->roster->changed);
}

SUSPENDS static void bury(struct slot *slot, uint64_t since_ms)
{
	log_death(slot->process, since_ms);
	process_free(slot->process);
	metrics_gauge_down(METRICS_WORKERS);
	metrics_count(METRICS_WORKER_RESTARTS);
	slot->process = NULL;
	slot->replace = false;
	gate_open(&slot->roster->changed);
}

SUSPENDS static void run_slot(void *argument)
{
	struct slot *slot = argument;
	struct roster *roster = slot->roster;
	uint64_t delay_ms = BACK_OFF_FIRST_MS;
	struct failure failure;
	uint64_t since_ms;

	do {
		since_ms = loop_now_ms();
		slot->process = start_worker(slot, &failure);
		if (!slot->process) {
			log_say(LOG_ERROR, "worker not started", "%s", failure.text);
			gate_open(&roster->changed);
			continue;
		}
		slot->replace = slot->process->setting != roster->setting_number;
		gate_open(&roster->changed);
		for (watch(slot);
		     slot->replace && !roster->stopping && !slot->process->gone;
		     watch(slot)) {
			replace(slot);
		}
		if (roster->stopping) {
			break;
		}
		bury(slot, since_ms);
	} while (back_off(roster, &delay_ms, loop_now_ms() - since_ms));
	if (slot->process) {
		metrics_gauge_down(METRICS_WORKERS);
		let_go(roster, slot->process);
		slot->process = NULL;
	}
}

/* A new keeper must know from its start who may hold locks: their ends go into START. */
SUSPENDS static void offer_all(struct roster *roster, struct channel_descriptors *ends)
{
	struct process *worker;

	while (ends->count < CHANNEL_DESCRIPTORS_MAX &&
	       (worker = process_without_keeper(roster->keeper_number))) {
		const int end = introduce(worker, roster->keeper_number);

		if (end >= 0) {
			add(ends, end);
		}
	}
}

SUSPENDS static struct process *start_keeper(struct roster *roster,
					     struct failure *failure)
{
	const struct control_message start = { .type = CONTROL_START };
	struct channel_descriptors *all = memory_new(sizeof(*all));
	struct process *process = process_spawn("keeper", failure);

	if (process) {
		add(all, roster->setting.text_fd);
		add(all, roster->metrics);
		roster->keeper_number++;
		offer_all(roster, all);
		if (!initiate(process, &start, all, failure)) {
			process = NULL;
		}
		for (size_t i = 2; i < all->count; i++) {
			close(all->list[i]);
		}
	}
	free(all);
	return process;
}

SUSPENDS static void watch_keeper(struct roster *roster)
{
	struct failure ignored;

	while (!roster->keeper->gone && !roster->stopping) {
		gate_wait(&roster->keeper->ended, DEADLINE_NEVER, &ignored);
	}
}

SUSPENDS static void run_keeper(void *argument)
{
	struct roster *roster = argument;
	uint64_t delay_ms = BACK_OFF_FIRST_MS;
	struct failure failure;
	uint64_t since_ms;

	do {
		since_ms = loop_now_ms();
		roster->keeper = start_keeper(roster, &failure);
		roster->keeper_failed = !roster->keeper;
		gate_open(&roster->changed);
		if (!roster->keeper) {
			log_say(LOG_ERROR, "keeper not started", "%s", failure.text);
			continue;
		}
		introduce_all(roster);
		metrics_set(METRICS_KEEPERS, 1);
		watch_keeper(roster);
		if (roster->stopping) {
			break;
		}
		log_death(roster->keeper, since_ms);
		metrics_set(METRICS_KEEPERS, 0);
		metrics_count(METRICS_KEEPER_RESTARTS);
		process_free(roster->keeper);
		roster->keeper = NULL;
	} while (back_off(roster, &delay_ms, loop_now_ms() - since_ms));
}

SUSPENDS static struct process *start_web(struct roster *roster, struct failure *failure)
{
	const struct control_message start = { .type = CONTROL_START };
	struct channel_descriptors *all = memory_new(sizeof(*all));
	struct process *process = process_spawn("web", failure);

	if (process) {
		add(all, roster->setting.text_fd);
		add(all, roster->metrics);
		if (!initiate(process, &start, all, failure)) {
			process = NULL;
		}
	}
	free(all);
	return process;
}

/* Until it is gone, the setting is new, or the service stops. */
SUSPENDS static void watch_web(struct roster *roster)
{
	struct failure ignored;

	while (!(roster->web && roster->web->gone) && !roster->replace_web &&
	       !roster->stopping) {
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
	}
	if (old) {
		let_go(roster, old);
	}
}

/* Nobody's mail depends on it: whatever happens to it, the service goes on. */
SUSPENDS static void run_web(void *argument)
{
	struct roster *roster = argument;
	uint64_t delay_ms = BACK_OFF_FIRST_MS;
	uint64_t since_ms;

	do {
		since_ms = loop_now_ms();
		replace_web(roster);
		watch_web(roster);
		if (roster->web && roster->web->gone && !roster->stopping) {
			log_death(roster->web, since_ms);
			metrics_count(METRICS_WEB_RESTARTS);
			process_free(roster->web);
			roster->web = NULL;
		}
	} while (roster->replace_web
			 ? !roster->stopping
			 : back_off(roster, &delay_ms, loop_now_ms() - since_ms));
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
	roster->keeper_task = task_start_child(run_keeper, roster);
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
		roster->slots[i].task = task_start_child(run_slot, &roster->slots[i]);
	}
	while (!all_run(roster) && gate_wait(&roster->changed, deadline_ms, failure)) {
	}
	roster->web_task = task_start_child(run_web, roster);
	return all_run(roster);
}

/* Does every worker that serves have the setting of now? */
static bool all_new(const struct roster *roster)
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
	roster->replace_web = true;
	gate_open(roster->web ? &roster->web->ended : &roster->changed);
	return all_new(roster);
}

SUSPENDS static void stop_process(struct process **process)
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

SUSPENDS static void stop_keeper(struct roster *roster)
{
	gate_open(&roster->changed);
	if (roster->keeper) {
		gate_open(&roster->keeper->ended);
	}
	task_join(roster->keeper_task);
	stop_process(&roster->keeper);
}

SUSPENDS static void stop_web(struct roster *roster)
{
	gate_open(&roster->changed);
	if (roster->web) {
		gate_open(&roster->web->ended);
	}
	task_join(roster->web_task);
	stop_process(&roster->web);
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
	if (roster->web_task) {
		stop_web(roster);
	}
	if (roster->keeper_task) {
		stop_keeper(roster);
	}
	while (roster->leaving > 0) { // a web role that was just replaced
		gate_wait(&roster->changed, DEADLINE_NEVER, &ignored);
	}
	free(roster->slots);
}
