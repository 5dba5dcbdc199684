/*
 * The keeper of the roster: always one, restarted when it dies, until the last worker is
 * gone. It is introduced to every worker, whichever of the two is the younger.
 */
#include "proxy/base/memory.h"
#include "proxy/config/config_unique_ids.h"
#include "proxy/ops/roster_internal.h"
#include "proxy/ops/row.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define RETIRE_MS 10000 // sign-ins wait meanwhile
#define JUDGE_MS 5000

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

SUSPENDS void roster_introduce_all(struct roster *roster)
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

/* A new keeper must know from its start who may hold locks: their ends go into START. */
SUSPENDS static void offer_all(struct roster *roster, struct channel_descriptors *ends)
{
	struct process *worker;

	while (ends->count < CHANNEL_DESCRIPTORS_MAX &&
	       (worker = process_without_keeper(roster->keeper_number))) {
		const int end = introduce(worker, roster->keeper_number);

		if (end >= 0) {
			roster_add(ends, end);
		}
	}
}

SUSPENDS static struct process *start_keeper(struct roster *roster,
					     struct failure *failure)
{
	struct control_message start = { .type = CONTROL_START,
					 .has_store = roster->store_fd >= 0,
					 .change = roster->change };
	struct process *process = process_spawn("keeper", failure);

	if (process) {
		struct channel_descriptors *all = roster_outfit(roster, process);

		process->setting = roster->setting_number;
		process->row = start.row = row_take();
		if (start.has_store) {
			roster_add(all, roster->store_fd);
		}
		const size_t ours = all->count;

		roster->keeper_number++;
		offer_all(roster, all);
		if (!roster_initiate(process, &start, all, failure)) {
			process = NULL;
		}
		for (size_t i = ours; i < all->count; i++) {
			close(all->list[i]);
		}
		free(all);
	}
	return process;
}

static void forget_store(struct roster *roster)
{
	if (roster->store_fd >= 0) {
		close(roster->store_fd);
		roster->store_fd = -1;
	}
}

/* Another program's keeper ends before ours starts, and leaves what it has in memory. */
SUSPENDS static void retire(struct roster *roster)
{
	const struct control_message drain = { .type = CONTROL_DRAIN };
	struct channel_descriptors *left = memory_new(sizeof(*left));
	struct control_message message;
	struct failure ignored;

	if (control_send(roster->keeper->channel, &drain, NULL, &ignored) &&
	    control_receive(roster->keeper->channel, &message, left,
			    loop_deadline_ms(RETIRE_MS), &ignored) &&
	    message.type == CONTROL_STORE && left->count == 1) {
		roster->store_fd = left->list[0];
	}
	free(left);
	if (!process_wait(roster->keeper, loop_deadline_ms(RETIRE_MS))) {
		process_kill(roster->keeper, SIGKILL);
		process_wait(roster->keeper, DEADLINE_NEVER);
	}
	process_free(roster->keeper);
	roster->keeper = NULL;
}

SUSPENDS static void watch_keeper(struct roster *roster)
{
	struct failure ignored;

	while (!roster->keeper->gone && !roster->ending) {
		gate_wait(&roster->keeper->ended, DEADLINE_NEVER, &ignored);
	}
}

SUSPENDS static void serve(struct roster *roster)
{
	roster_inform_keeper(roster);
	roster_introduce_all(roster);
	roster_introduce_oauth(roster);
	roster_introduce_web(roster);
	metrics_set(METRICS_KEEPERS, 1);
	watch_keeper(roster);
}

SUSPENDS static void bury(struct roster *roster, uint64_t since_ms)
{
	roster_log_death(roster->keeper, since_ms);
	metrics_set(METRICS_KEEPERS, 0);
	metrics_count(METRICS_KEEPER_RESTARTS);
	process_free(roster->keeper);
	roster->keeper = NULL;
}

SUSPENDS void roster_run_keeper(void *argument)
{
	struct roster *roster = argument;
	struct failure failure;
	uint64_t delay_ms = 0, died_ms = 0;

	if (roster->keeper) {
		retire(roster);
	}
	do {
		const uint64_t since_ms = loop_now_ms();

		roster->keeper = start_keeper(roster, &failure);
		roster->keeper_failed = !roster->keeper;
		gate_open(&roster->changed);
		if (roster->keeper_failed) {
			log_say(LOG_ERROR, "keeper not started", "%s", failure.text);
		} else {
			roster_log_return(roster->keeper, died_ms);
			forget_store(roster);
			roster->change = CONTROL_NOT_ASKED;
			serve(roster);
			died_ms = loop_now_ms();
		}
		if (roster->keeper && !roster->ending) {
			bury(roster, since_ms);
		}
		delay_ms = roster_next_delay(delay_ms, loop_now_ms() - since_ms,
					     !roster->keeper_failed);
	} while (roster_back_off(roster, &roster->ending, delay_ms));
}

SUSPENDS void roster_inform_keeper(struct roster *roster)
{
	const struct control_message message = { .type = CONTROL_SETTING };
	struct channel_descriptors one = { .count = 1 };
	struct failure ignored;

	if (roster->keeper && roster->keeper->setting != roster->setting_number) {
		roster->keeper->setting = roster->setting_number;
		one.list[0] = roster->setting.text_fd;
		control_send(roster->keeper->channel, &message, &one, &ignored);
	}
}

/* The keeper may go meanwhile: the answer comes over a channel of its own. */
SUSPENDS static bool ask_keeper(struct roster *roster, int text_fd, int ends[2],
				struct failure *failure)
{
	const struct control_message message = { .type = CONTROL_JUDGE };
	struct channel_descriptors both = { .list = { text_fd, ends[1] }, .count = 2 };
	const bool sent = roster->keeper &&
			  control_send(roster->keeper->channel, &message, &both, failure);

	close(ends[1]);
	return sent;
}

SUSPENDS static bool hear_verdict(int fd, struct failure *failure)
{
	struct channel *channel = channel_new(fd);
	char *text = memory_new(CHANNEL_MESSAGE_MAX);
	size_t len = 0;
	bool agrees = false;

	if (!channel_receive(channel, text, &len, NULL, loop_deadline_ms(JUDGE_MS),
			     failure) ||
	    len == 0) {
		failure_set(failure, FAILURE_TEMPORARY,
			    "the keeper does not say whether unique-ids stay as they "
			    "are; reload again");
	} else if (text[0] != CONTROL_YES) {
		failure_set(failure, FAILURE_PERMANENT, "%.*s", (int)len - 1, text + 1);
		failure_advise(failure, CONFIG_CHANGE_ADVICE);
	} else {
		agrees = true;
	}
	free(text);
	channel_close(channel);
	return agrees;
}

SUSPENDS bool roster_judge(struct roster *roster, int text_fd, struct failure *failure)
{
	int ends[2];

	if (!channel_pair(ends)) {
		return failure_set(failure, FAILURE_TEMPORARY, "no more descriptors");
	}
	if (!ask_keeper(roster, text_fd, ends, failure)) {
		close(ends[0]);
		return failure_set(failure, FAILURE_TEMPORARY,
				   "the keeper is away; reload again");
	}
	return hear_verdict(ends[0], failure);
}

SUSPENDS void roster_stop_keeper(struct roster *roster)
{
	roster->ending = true;
	gate_open(&roster->changed);
	if (roster->keeper) {
		gate_open(&roster->keeper->ended);
	}
	task_join(roster->keeper_task);
	roster_end(&roster->keeper);
	forget_store(roster);
}
