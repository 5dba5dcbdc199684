#include "proxy/ops/process.h"

#include "proxy/base/memory.h"
#include "proxy/base/privilege.h"
#include "proxy/base/pulse.h"
#include "proxy/ops/row.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program that runs, even where its file has been replaced since. */
static int program = -1;
static char program_path[2 * PATH_MAX];

/* process::next: every child that is not freed. */
static struct process *processes;

/* As it was started, so that a link to the newest version is followed anew. */
static void find_path(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN); // NOLINT: it is a pointer
	size_t len = 0;

	if (name[0] != '/' && getcwd(program_path, PATH_MAX)) {
		len = strlen(program_path);
		program_path[len++] = '/';
	}
	snprintf(program_path + len, sizeof(program_path) - len, "%s", name);
}

const char *process_program_path(void)
{
	return program_path;
}

bool process_setup(const char *path, struct failure *failure)
{
	if (path) {
		snprintf(program_path, sizeof(program_path), "%s", path);
	} else {
		find_path();
	}
	program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (program < 0) {
		return failure_set(failure, FAILURE_PERMANENT, "/proc/self/exe: %s",
				   strerror(errno));
	}
	return true;
}

/* In the child, between fork and exec: system calls only. */
__attribute__((noreturn)) static void become(int of_program, const char *role,
					     int control, pid_t parent)
{
	char name[] = "popbridge";
	char option[] = "--role";
	char role_text[16];
	char *arguments[] = { name, option, role_text, NULL };
	char *environment[] = { NULL };
	sigset_t none;

	snprintf(role_text, sizeof(role_text), "%s", role);
	privilege_lend();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(1); // the master died before we could follow it
	}
	const int program_kept = fcntl(of_program, F_DUPFD, CONTROL_FD + 1);

	if (dup2(control, CONTROL_FD) != CONTROL_FD) {
		_exit(1);
	}
	fcntl(program_kept, F_SETFD, FD_CLOEXEC);
	const int nothing = open("/dev/null", O_RDWR);

	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		dup2(nothing, STDOUT_FILENO);
	}
	close_range(CONTROL_FD + 1, (unsigned)program_kept - 1, 0);
	close_range((unsigned)program_kept + 1, ~0u, 0);
	fexecve(program_kept, arguments, environment);
	_exit(127);
}

struct process *process_adopt(const char *role, pid_t pid, int channel, int pulse)
{
	struct process *process = memory_new(sizeof(*process));

	process->role = role;
	process->pid = pid;
	process->channel = channel_new(channel);
	process->pulse = pulse;
	process->next = processes;
	processes = process;
	return process;
}

struct process *process_spawn(const char *role, struct failure *failure)
{
	return process_spawn_of(program, role, failure);
}

static void close_if_open(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

struct process *process_spawn_of(int of_program, const char *role,
				 struct failure *failure)
{
	const pid_t parent = getpid();
	const int pulse = pulse_create();
	int ends[2];
	pid_t pid;

	if (pulse < 0 || !channel_pair(ends)) {
		failure_set(failure, FAILURE_TEMPORARY, "no channel: %s",
			    strerror(errno));
		close_if_open(pulse);
		return NULL;
	}
	pid = fork();
	if (pid == 0) {
		become(of_program, role, ends[1], parent);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		close(pulse);
		failure_set(failure, FAILURE_TEMPORARY, "no process: %s",
			    strerror(errno));
		return NULL;
	}
	return process_adopt(role, pid, ends[0], pulse);
}

struct process *process_first(void)
{
	return processes;
}

struct process *process_without_keeper(unsigned keeper)
{
	struct process *process = processes;

	while (process &&
	       (process->state == PROCESS_STARTING || process->gone ||
		process->keeper == keeper || strcmp(process->role, "worker") != 0)) {
		process = process->next;
	}
	return process;
}

struct process *process_find(pid_t pid)
{
	struct process *process = processes;

	while (process && process->pid != pid) {
		process = process->next;
	}
	return process;
}

void process_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *process = process_find(pid);

		if (process) { // as process 1 of a container we get strangers too
			process->gone = true;
			process->status = status;
			gate_open(&process->ended);
		}
	}
}

SUSPENDS bool process_wait(struct process *process, uint64_t deadline_ms)
{
	struct failure ignored;

	while (!process->gone) {
		if (!gate_wait(&process->ended, deadline_ms, &ignored)) {
			return process->gone;
		}
	}
	return true;
}

void process_kill(const struct process *process, int signal)
{
	if (!process->gone) {
		kill(process->pid, signal);
	}
}

const char *process_end_text(const struct process *process)
{
	static char text[64];

	if (WIFSIGNALED(process->status)) {
		snprintf(text, sizeof(text), "killed by signal %d",
			 WTERMSIG(process->status));
	} else {
		snprintf(text, sizeof(text), "exited with %d",
			 WEXITSTATUS(process->status));
	}
	return text;
}

SUSPENDS void process_free(struct process *process)
{
	struct process **link = &processes;

	while (*link != process) {
		link = &(*link)->next;
	}
	*link = process->next;
	row_give_back(process->row);
	channel_close(process->channel);
	close(process->pulse);
	free(process);
}
