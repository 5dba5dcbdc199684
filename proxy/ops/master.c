#include "proxy/ops/master.h"

#include "proxy/base/census.h"
#include "proxy/base/descriptors.h"
#include "proxy/base/directory.h"
#include "proxy/base/memory.h"
#include "proxy/base/privilege.h"
#include "proxy/ops/files.h"
#include "proxy/ops/roster.h"
#include "proxy/ops/upgrade.h"
#include "proxy/rt/tls_self_signed.h"
#include "proxy/session/service.h"
#include "proxy/web/history.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static const int obeyed[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, 0 };
static const int reaped[] = { SIGCHLD, 0 };

#define EXPOSED_MAX 65536
#define FILES_MS 2000 // between two looks at the certificates

struct master {
	const struct source *source;
	struct roster roster;
	const struct handover *handover; // borrowed; NULL: nobody was here before
	bool reload_wanted, upgrade_wanted;
	struct gate asked;
	uint64_t files_seen; // of the certificates in use
	int result;
};

static uint32_t worker_count(const struct config *config)
{
	return config->workers > 0 ? config->workers : 1;
}

bool master_can_use(const struct config *config, struct failure *failure)
{
	struct service service;

	if (config->self_signed && !tls_self_signed_ensure(config->state, failure)) {
		return false;
	}
	if (!service_init(&service, config, failure)) {
		return false;
	}
	service_release(&service);
	return true;
}

/* Better said now than found out on a busy day; a tenth less is nobody's worry. */
static void compare_limits(const struct roster *roster)
{
	const uint64_t room =
		(uint64_t)roster->slot_count * service_capacity(roster->setting.config);

	if (room < (uint64_t)roster->setting.config->limits.sessions * 9 / 10) {
		log_say(LOG_WARNING, "too few descriptors",
			"limits.sessions is %" PRIu32 ", but the limit of open files "
			"leaves room for %" PRIu64 " in %zu workers; raise it "
			"(LimitNOFILE, ulimit -n) or lower limits.sessions",
			roster->setting.config->limits.sessions, room,
			roster->slot_count);
	}
}

/* It works, but not only for us. */
static void warn_of_exposed(const struct config *config)
{
	struct buffer text = { .max = EXPOSED_MAX };
	struct bytes rest;

	config_describe_exposed(config, "", &text);
	rest = buffer_bytes(&text);
	while (rest.len > 0) {
		const char *end = memchr(rest.at, '\n', rest.len);
		const size_t len = end ? (size_t)(end - rest.at) : rest.len;

		log_say(LOG_WARNING, "secret exposed", "%.*s", (int)len, rest.at);
		bytes_skip(&rest, end ? len + 1 : len);
	}
	buffer_release(&text);
}

static void take_setting(struct roster *roster, struct config *config, int text_fd)
{
	if (roster->setting.config) {
		config_free(roster->setting.config);
		close(roster->setting.text_fd);
	}
	roster->setting = (struct setting){ config, text_fd };
	roster->setting_number++;
	roster->drain_ms = (uint32_t)config->limits.drain_ms;
	log_setup(config->log_level, config->log_format);
	for (size_t i = 0; i < config->route_count; i++) {
		metrics_add_route(config->routes[i].match, config->routes[i].server);
	}
	compare_limits(roster);
	warn_of_exposed(config);
	metrics_set(METRICS_RELOAD_BROKEN, 0);
	metrics_set(METRICS_FILES_BROKEN, 0);
}

static void log_not_reloaded(const char *why, size_t len)
{
	metrics_count(METRICS_RELOADS_REFUSED);
	metrics_set(METRICS_RELOAD_BROKEN, 1);
	log_say(LOG_ERROR, "not reloaded", "the old configuration stays: %.*s", (int)len,
		why);
}

static void log_failure(const struct failure *failure)
{
	char text[sizeof(failure->text) + 160];
	const int len = snprintf(text, sizeof(text), "%s%s%s", failure->text,
				 failure->advice ? "; " : "",
				 failure->advice ? failure->advice : "");

	log_not_reloaded(text, len > 0 ? (size_t)len : 0);
}

static bool is_elsewhere(const char *path, const char *other)
{
	return path && other ? strcmp(path, other) != 0 : path != other;
}

/* SIGHUP: anything wrong, and the old configuration stays. */
SUSPENDS static void reload(struct master *master)
{
	static const char not_all[] =
		"for the workers that could not be replaced; see above";
	struct config_errors errors = { 0 };
	struct failure failure;
	int text_fd = -1;
	struct config *config = source_load(master->source, &text_fd, &errors);

	if (!config) {
		log_not_reloaded(errors.text.data, errors.text.len);
	} else if (!master_can_use(config, &failure) ||
		   !roster_judge(&master->roster, text_fd, &failure) ||
		   !doors_open(&master->roster.doors, config, master->roster.slot_count,
			       &failure)) {
		log_failure(&failure);
		config_free(config);
		close(text_fd);
	} else {
		if (is_elsewhere(config->state, master->roster.setting.config->state)) {
			log_say(LOG_WARNING, "reload",
				"another state directory takes a restart");
		}
		if (is_elsewhere(config->user, master->roster.setting.config->user)) {
			log_say(LOG_WARNING, "reload", "another user takes a restart");
		}
		if (worker_count(config) != master->roster.slot_count) {
			log_say(LOG_WARNING, "reload",
				"another number of workers takes a restart");
		}
		take_setting(&master->roster, config, text_fd);
		if (roster_replace_workers(&master->roster)) {
			doors_log(&master->roster.doors, master->roster.setting.config);
			metrics_count(METRICS_RELOADS);
			log_say(LOG_INFO, "reloaded",
				"new sessions use the new configuration");
		} else {
			log_not_reloaded(not_all, sizeof(not_all) - 1);
		}
	}
	config_errors_release(&errors);
}

/* SIGUSR2: comes back only where another program did not take over. */
SUSPENDS static void try_upgrade(struct master *master)
{
	struct failure failure = { .text = "" };

	log_say(LOG_INFO, "upgrading", "%s", process_program_path());
	upgrade(master->source, &master->roster, &failure);
	metrics_count(METRICS_UPGRADES_REFUSED);
	log_say(LOG_ERROR, "not upgraded", "the old program stays: %s", failure.text);
	upgrade_report(master->roster.setting.config->control, "%s", failure.text);
}

/* One after the other; what is asked for meanwhile is not lost. */
SUSPENDS static void change_when_asked(void *argument)
{
	struct master *master = argument;
	struct failure ignored;

	while (!master->roster.stopping) {
		if (master->reload_wanted) {
			master->reload_wanted = false;
			master->files_seen = files_mark(master->roster.setting.config);
			reload(master);
		} else if (master->upgrade_wanted) {
			master->upgrade_wanted = false;
			try_upgrade(master);
		} else {
			gate_wait(&master->asked, DEADLINE_NEVER, &ignored);
		}
	}
}

static void ask_for(struct master *master, bool *wanted)
{
	*wanted = true;
	gate_open(&master->asked);
}

/*
 * A certificate that was renewed is used without being asked. Files are written one after
 * the other, so a pair that does not fit yet is left alone until it does.
 */
SUSPENDS static void watch_files(void *argument)
{
	struct master *master = argument;
	struct failure failure;
	uint64_t bad = 0;

	master->files_seen = files_mark(master->roster.setting.config);
	while (task_sleep_until(loop_deadline_ms(FILES_MS))) {
		const uint64_t mark = files_mark(master->roster.setting.config);

		if (mark == master->files_seen) {
			metrics_set(METRICS_FILES_BROKEN, 0);
		} else if (master_can_use(master->roster.setting.config, &failure)) {
			log_say(LOG_INFO, "certificates changed", "workers are replaced");
			master->files_seen = mark;
			ask_for(master, &master->reload_wanted);
		} else if (mark != bad) {
			log_say(LOG_WARNING, "certificates changed",
				"the old ones stay: %s", failure.text);
			metrics_set(METRICS_FILES_BROKEN, 1);
			bad = mark;
		}
	}
}

/* Until somebody says stop; a reload under way does not make us deaf to it. */
SUSPENDS static void obey_signals(struct master *master)
{
	struct task *changer = task_start_child(change_when_asked, master);
	struct task *watcher = task_start_child(watch_files, master);
	struct task *pulses = task_start_child(roster_watch_pulses, &master->roster);
	int number;

	while ((number = signal_wait(obeyed)) == SIGHUP || number == SIGUSR2) {
		ask_for(master, number == SIGHUP ? &master->reload_wanted
						 : &master->upgrade_wanted);
	}
	master->roster.stopping = true; // a reload under way gives up
	gate_open(&master->roster.changed);
	task_cancel(pulses);
	task_cancel(watcher);
	task_cancel(changer);
	task_join(pulses);
	task_join(watcher);
	task_join(changer);
}

/* The master's other tasks wait for their processes at gates that this opens. */
SUSPENDS static void reap(void *argument)
{
	(void)argument;
	while (signal_wait(reaped) == SIGCHLD) {
		process_reap();
	}
}

/* The other program's roles make room for ours. */
SUSPENDS static void take_over(struct master *master)
{
	static const char not_all[] =
		"the new program runs, but not all roles could be replaced: see the log";
	const char *control = master->roster.setting.config->control;

	if (roster_take_over(&master->roster, master->handover)) {
		metrics_count(METRICS_UPGRADES);
		log_say(LOG_INFO, "upgraded", "popbridge " POPBRIDGE_VERSION);
		upgrade_report(control, UPGRADE_DONE "popbridge " POPBRIDGE_VERSION);
	} else {
		metrics_count(METRICS_UPGRADES_REFUSED);
		log_say(LOG_ERROR, "not upgraded", not_all);
		upgrade_report(control, not_all);
	}
}

SUSPENDS static void run(void *argument)
{
	struct master *master = argument;
	struct failure failure;
	struct task *reaper = task_start_child(reap, NULL);
	const bool started = master->handover || roster_start(&master->roster, &failure);

	if (started) {
		if (master->handover) {
			take_over(master);
		} else {
			doors_log(&master->roster.doors, master->roster.setting.config);
			log_say(LOG_INFO, "ready", "popbridge " POPBRIDGE_VERSION);
		}
		obey_signals(master);
		metrics_set(METRICS_DRAIN_UNTIL_S,
			    (uint64_t)time(NULL) + master->roster.drain_ms / 1000);
		log_say(LOG_INFO, "stopping", "sessions have %" PRIu32 " ms to end",
			master->roster.drain_ms);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
	} else {
		log_say(LOG_ERROR, "not started", "%s", failure.text);
	}
	roster_stop(&master->roster);
	task_cancel(reaper);
	task_join(reaper);
	master->result = started ? 0 : 1;
}

/* Without it there would be no metrics, and no descriptor for START. */
static void begin_counting(struct roster *roster)
{
	if (roster->metrics < 0 || !metrics_attach(roster->metrics)) {
		roster->metrics_are_new = true; // or another version's: it begins anew
		if (!metrics_create(&roster->metrics) ||
		    !metrics_attach(roster->metrics)) {
			log_say(LOG_ERROR, "not started", "no memory for the metrics");
			exit(1);
		}
	}
	if ((roster->census < 0 || !census_attach(roster->census)) &&
	    (!census_create(&roster->census) || !census_attach(roster->census))) {
		log_say(LOG_ERROR, "not started", "no memory for counting sessions");
		exit(1);
	}
	if (roster->metrics_are_new || !history_fits(roster->history)) {
		roster->history = history_create();
	}
	metrics_use_row(METRICS_MASTER_ROW);
	metrics_set(METRICS_STARTED_S, roster->started_s);
	metrics_set(METRICS_WORKERS_WANTED, roster->slot_count);
}

static int run_to_the_end(struct master *master, bool can_start)
{
	if (can_start) {
		signal_expect(obeyed);
		signal_expect(reaped);
		upgrade_hold_signals(false); // here: every task has a mask of its own
		task_start(run, master);
		loop_run();
	}
	loop_close();
	doors_close(&master->roster.doors); // of a start that was refused
	close(master->roster.census);
	close(master->roster.metrics);
	close(master->roster.history);
	close(master->roster.setting.text_fd);
	config_free(master->roster.setting.config);
	return master->result;
}

/* Nothing needs root any more, once the ports are bound. */
static bool settle_down(struct roster *roster, struct failure *failure)
{
	const struct config *config = roster->setting.config;
	struct privilege_user user;

	privilege_never_gain();
	if (geteuid() != 0) {
		return true;
	}
	if (!privilege_find(config->user, &user, failure)) {
		return false;
	}
	if (user.uid == 0) { // as the configuration wants it
		return true;
	}
	if (!config->user && strcmp(user.name, "nobody") == 0) {
		log_say(LOG_WARNING, "runs as nobody",
			"there is no user popbridge, and nobody is whoever else runs as "
			"nobody; run: adduser --system --group --no-create-home "
			"popbridge, or set user:, and restart");
	}
	if (config->state) {
		directory_give(config->state, user.uid, user.gid);
	}
	if (!doors_open(&roster->doors, config, roster->slot_count, failure)) {
		return false;
	}
	if (!privilege_become(&user, failure)) { // root in name only, as in a container
		log_say(LOG_WARNING, "root", "%s; runs as root", failure->text);
	}
	return true;
}

int master_run(const struct source *source, struct config *config, int text_fd,
	       bool accept_new_unique_ids)
{
	struct master master = { .source = source, .result = 1 };
	struct failure failure;

	master.roster = (struct roster){ .metrics = -1,
					 .census = -1,
					 .history = -1,
					 .store_fd = -1,
					 .change = accept_new_unique_ids ? CONTROL_ACCEPT
									 : CONTROL_REFUSE,
					 .slot_count = worker_count(config),
					 .started_s = (uint64_t)time(NULL) };
	descriptors_raise_limit();
	begin_counting(&master.roster);
	take_setting(&master.roster, config, text_fd);
	if (getrandom(master.roster.key, CONTROL_KEY_BYTES, 0) != CONTROL_KEY_BYTES) {
		abort();
	}
	loop_open();
	const bool can_start = process_setup(NULL, &failure) &&
			       settle_down(&master.roster, &failure) &&
			       master_can_use(config, &failure);

	if (!can_start) {
		log_say(LOG_ERROR, "not started", "%s", failure.text);
	}
	return run_to_the_end(&master, can_start);
}

int master_resume(const struct source *source, const struct handover *handover,
		  struct config *config)
{
	struct master master = { .source = source, .handover = handover, .result = 1 };
	struct failure failure;

	master.roster = (struct roster){ .metrics = handover->metrics,
					 .census = handover->census,
					 .history = handover->history,
					 .store_fd = -1,
					 .slot_count = handover->slot_count,
					 .started_s = handover->started_s };
	memcpy(master.roster.key, handover->key, CONTROL_KEY_BYTES);
	begin_counting(&master.roster);
	take_setting(&master.roster, config, handover->text_fd);
	doors_adopt(&master.roster.doors, config, handover->slot_count,
		    handover->sockets);
	privilege_never_gain(); // what was kept over the exec is no role's
	loop_open();
	const bool can_start = process_setup(handover->program, &failure);

	if (!can_start) {
		log_say(LOG_ERROR, "not started", "%s", failure.text);
	}
	return run_to_the_end(&master, can_start);
}
