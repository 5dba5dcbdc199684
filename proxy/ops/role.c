#include "proxy/ops/role.h"

#include "proxy/base/metrics.h"
#include "proxy/base/privilege.h"
#include "proxy/base/pulse.h"
#include "proxy/ops/source.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS 10000
#define ROLES (sizeof(roles) / sizeof(roles[0]))

static const struct {
	const char *name;
	SUSPENDS int (*live)(struct role *role);
} roles[] = {
	{ "worker", worker_live }, { "keeper", keeper_live }, { "web", web_live },
	{ "oauth", oauth_live },   { "trial", trial_live },
};

struct life {
	size_t index; // in roles
	int result;
};

/* START brings the configuration, the metrics and the pulse first. */
static bool unpack(struct role *role, struct channel_descriptors *all,
		   struct failure *failure)
{
	struct config_errors errors = { 0 };

	if (role->start.type != CONTROL_START || all->count < 3) {
		return failure_set(failure, FAILURE_PROTOCOL,
				   "the first message is no START");
	}
	role->config = source_from_descriptor(all->list[0], &errors);
	role->metrics = all->list[1];
	pulse_attach(all->list[2]);
	close(all->list[2]);
	role->descriptors.count = all->count - 3;
	memcpy(role->descriptors.list, all->list + 3,
	       role->descriptors.count * sizeof(all->list[0]));
	if (!role->config) {
		failure_set(failure, FAILURE_PERMANENT, "%.*s", (int)errors.text.len,
			    errors.text.data);
	}
	config_errors_release(&errors);
	return role->config != NULL;
}

SUSPENDS static bool receive_start(struct role *role, struct failure *failure)
{
	struct channel_descriptors *all = calloc(1, sizeof(*all));
	bool good;

	if (!all) {
		abort();
	}
	good = control_receive(role->channel, &role->start, all,
			       loop_deadline_ms(START_MS), failure) &&
	       unpack(role, all, failure);
	free(all);
	return good;
}

/* Workers, keeper and oauth role count. Without a table they serve all the same. */
static void count_for(const struct role *role)
{
	if (role->start.row != METRICS_MASTER_ROW && metrics_attach(role->metrics)) {
		metrics_use_row(role->start.row);
	}
}

/* Only while the loop turns. */
SUSPENDS static void beat(void *argument)
{
	(void)argument;
	do {
		pulse_beat();
	} while (task_sleep_until(loop_deadline_ms(PULSE_MS)));
}

SUSPENDS static void live(void *argument)
{
	struct life *life = argument;
	struct role *role = calloc(1, sizeof(*role));
	struct failure failure;

	if (!role) {
		abort();
	}
	role->channel = channel_new(CONTROL_FD);
	if (receive_start(role, &failure)) {
		log_setup(role->config->log_level, role->config->log_format);
		count_for(role);
		struct task *beating = task_start_child(beat, NULL);

		life->result = roles[life->index].live(role);
		task_cancel(beating);
		task_join(beating);
		config_free(role->config);
	} else {
		log_say(LOG_ERROR, "not started", "%s: %s", roles[life->index].name,
			failure.text);
		life->result = 1;
	}
	channel_close(role->channel);
	free(role);
}

SUSPENDS bool role_ready(struct role *role)
{
	const struct control_message ready = { .type = CONTROL_READY };
	struct failure ignored;

	privilege_forget();
	return control_send(role->channel, &ready, NULL, &ignored);
}

int role_run(const char *name)
{
	struct life life = { .index = 0 };

	while (life.index < ROLES && strcmp(roles[life.index].name, name) != 0) {
		life.index++;
	}
	if (life.index == ROLES) {
		fprintf(stderr,
			"popbridge: no role %s; roles are started by the service\n",
			name);
		return 2;
	}
	config_trust_files();
	signal(SIGTERM, SIG_IGN); // the master tells when to stop, also after Ctrl-C
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	loop_open();
	task_start(live, &life);
	loop_run();
	loop_close();
	return life.result;
}
