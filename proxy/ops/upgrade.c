/*
 * All goes well: the program file is started as a trial, answers READY, and exec() puts
 * it in our place, with the descriptors of the hand-over open. What can go wrong: it is
 * not there, no popbridge, a broken one, or does not know our configuration or hand-over:
 * the trial fails and nothing has happened. It does not start after all although its
 * trial did: the process ends, and all roles with it, for systemd or the container to
 * restart.
 */
#include "proxy/ops/upgrade.h"

#include "proxy/base/memory.h"
#include "proxy/base/privilege.h"
#include "proxy/ops/roster_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "POPBRIDGE_HANDOVER"
#define PATH_OCTETS 1024
#define SETTLE_MS 15000
#define ARGUMENTS_MAX (128 * 1024)

static bool describe(const struct source *source, const struct roster *roster,
		     struct handover *out)
{
	const bool settled = roster_hand_over(roster, out);

	out->program = memory_copy_text(bytes_of(process_program_path()));
	out->path = source->path ? memory_copy_text(bytes_of(source->path)) : NULL;
	out->url = source->url ? memory_copy_text(bytes_of(source->url)) : NULL;
	out->is_text = source->text != NULL;
	return settled;
}

static bool not_settled(struct failure *failure)
{
	return failure_set(failure, FAILURE_TEMPORARY,
			   "not all roles run at the moment: try again when they do");
}

/* A role that was just being started has to be there first. */
SUSPENDS static bool settle(const struct source *source, struct roster *roster,
			    struct handover *out, struct failure *failure)
{
	const uint64_t deadline_ms = loop_deadline_ms(SETTLE_MS);
	struct failure ignored;

	while (!describe(source, roster, out)) {
		handover_release(out);
		if (roster->stopping ||
		    !gate_wait(&roster->changed, deadline_ms, &ignored)) {
			*out = (struct handover){ 0 };
			return not_settled(failure);
		}
	}
	return true;
}

SUSPENDS static bool try_program(int program, const struct roster *roster,
				 const struct handover *handover, struct failure *failure)
{
	const struct control_message start = { .type = CONTROL_START };
	const int text = handover_write(handover);
	struct channel_descriptors *all;
	struct process *trial =
		text >= 0 ? process_spawn_of(program, "trial", failure) : NULL;

	if (text < 0) {
		failure_set(failure, FAILURE_TEMPORARY, "no memory for the hand-over");
	}
	if (trial) {
		all = roster_outfit(roster, trial);
		roster_add(all, text);
		if (!roster_initiate(trial, &start, all, failure)) {
			failure_prefix(failure, "%s cannot take over", handover->program);
			trial = NULL;
		}
		free(all);
	}
	if (text >= 0) {
		close(text);
	}
	const bool good = trial != NULL;

	roster_end(&trial);
	return good;
}

/* Our command line again, so that nobody sees another. Owned, in one piece. */
static char **arguments(void)
{
	const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	char *text = memory_new(ARGUMENTS_MAX + 1);
	const ssize_t len = fd >= 0 ? read(fd, text, ARGUMENTS_MAX) : 0;
	char **list = memory_new_array(ARGUMENTS_MAX / 2, sizeof(char *));
	size_t count = 0;

	for (ssize_t at = 0; at < len && count < ARGUMENTS_MAX / 2 - 1;) {
		list[count++] = text + at;
		at += (ssize_t)strlen(text + at) + 1;
	}
	if (count == 0) {
		list[0] = text; // "": no arguments
	}
	if (fd >= 0) {
		close(fd);
	}
	return list;
}

/* Returns where it did not work. Nothing here waits: what is handed over stays true. */
static void become(int program, const struct handover *handover, struct failure *failure)
{
	char **list = arguments();
	char value[64];
	const int text = handover_write(handover);

	snprintf(value, sizeof(value), "%jd %d", (intmax_t)getpid(), text);
	if (text < 0 || fcntl(text, F_SETFD, 0) != 0 || !handover_keep(handover, true) ||
	    setenv(VARIABLE, value, 1) != 0) {
		failure_set(failure, FAILURE_TEMPORARY, "cannot hand over: %s",
			    strerror(errno));
	} else {
		privilege_keep_over_exec(true);
		fexecve(program, list, environ);
		failure_set(failure, FAILURE_PERMANENT, "cannot run %s: %s",
			    handover->program, strerror(errno));
	}
	privilege_keep_over_exec(false);
	unsetenv(VARIABLE);
	handover_keep(handover, false);
	if (text >= 0) {
		close(text);
	}
	free(list[0]);
	free(list);
}

SUSPENDS void upgrade(const struct source *source, struct roster *roster,
		      struct failure *failure)
{
	const int program = open(process_program_path(), O_PATH | O_CLOEXEC);
	struct handover handover;

	if (program < 0) {
		failure_set(failure, FAILURE_PERMANENT, "%s: %s", process_program_path(),
			    strerror(errno));
		return;
	}
	bool good = settle(source, roster, &handover, failure) &&
		    try_program(program, roster, &handover, failure);

	handover_release(&handover);
	if (good) {
		upgrade_hold_signals(true);
		task_sleep_until(loop_deadline_ms(1)); // those that came are heard
		if (describe(source, roster, &handover)) {
			become(program, &handover, failure);
		} else {
			not_settled(failure);
		}
		handover_release(&handover);
		upgrade_hold_signals(false);
	}
	close(program);
}

void upgrade_hold_signals(bool held)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		sigaddset(&set, all[i]);
	}
	sigprocmask(held ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int upgrade_inherited(void)
{
	const char *value = getenv(VARIABLE);
	struct bytes text = bytes_of(value ? value : "");
	uint32_t pid, fd;
	/* It is for this process only, not for one that inherited the environment. */
	const bool ours = bytes_take_u32(&text, &pid) && bytes_take_u32(&text, &fd) &&
			  pid == (uint32_t)getpid() && fd <= INT_MAX &&
			  fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;

	unsetenv(VARIABLE);
	return ours ? (int)fd : -1;
}

/* Written whole under another name first: who waits for it reads no half. */
void upgrade_report(const char *control, const char *format, ...)
{
	char path[PATH_OCTETS];
	char temporary[PATH_OCTETS + 8];
	va_list values;
	FILE *out;

	if (!control || snprintf(path, sizeof(path), "%s" UPGRADE_SUFFIX, control) >=
				(int)sizeof(path)) {
		return;
	}
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	out = fopen(temporary, "we");
	if (!out) {
		log_say(LOG_WARNING, "upgrade", "%s: %s", temporary, strerror(errno));
		return;
	}
	va_start(values, format);
	vfprintf(out, format, values);
	va_end(values);
	fputc('\n', out);
	if (fclose(out) != 0 || rename(temporary, path) != 0) {
		log_say(LOG_WARNING, "upgrade", "%s: %s", path, strerror(errno));
	}
}
