/*
 * A role as a child process: fork and exec of this very program, a control channel, and
 * its end.
 */
#ifndef PROXY_OPS_PROCESS_H
#define PROXY_OPS_PROCESS_H

#include "proxy/ops/control.h"

#include <sys/types.h>

enum process_state {
	PROCESS_STARTING,
	PROCESS_SERVING, // READY was said
	PROCESS_LEAVING, // DRAIN was said
};

struct process {
	struct process *next; // in the list of all processes
	enum process_state state;
	const char *role; // "worker", "keeper", "web"
	pid_t pid;
	struct channel *channel; // owned
	uint32_t row;            // in the metrics; 0: none. Given back when freed
	unsigned setting;        // worker: the configuration it was started with
	unsigned keeper;         // worker: the keeper it was last introduced to; 0: none
	uint32_t slot;           // worker: its place
	int pulse;               // owned
	uint64_t beats;          // last seen there
	uint64_t beaten_ms;      // when they became another number; 0: not looked at
	bool gone;
	int status;        // of waitpid(), once gone
	struct gate ended; // opened when gone
};

/*
 * Starts the role; the environment is cleared, only standard error and the control
 * channel are passed. FAILURE_TEMPORARY: no more processes or descriptors.
 */
struct process *process_spawn(const char *role, struct failure *failure);

/* The same of another program (an O_PATH descriptor, the caller's). */
struct process *process_spawn_of(int program, const char *role, struct failure *failure);

/* A child that was started by this process while another program ran in it. Takes its
 * descriptors over. */
struct process *process_adopt(const char *role, pid_t pid, int channel, int pulse);

/*
 * Call at start: remembers which program this is, for process_spawn(). path: where its
 * file is; NULL: where it was started from.
 */
bool process_setup(const char *path, struct failure *failure);

/* Where a newer one may lie by now. Absolute. */
const char *process_program_path(void);

/* All of them: process::next. */
struct process *process_first(void);

/* A worker, leaving or not, that does not know this keeper. NULL: none. */
struct process *process_without_keeper(unsigned keeper);

/* NULL: there is none any more. */
struct process *process_find(pid_t pid);

/* After SIGCHLD: notes who ended. */
void process_reap(void);

/* Waits until it has ended. False: the deadline passed or the task was cancelled. */
SUSPENDS bool process_wait(struct process *process, uint64_t deadline_ms);

void process_kill(const struct process *process, int signal);

/* "exited with 1", "killed by signal 11". Static until the next call. */
const char *process_end_text(const struct process *process);

/* Only once gone. Closes the channel. */
SUSPENDS void process_free(struct process *process);

#endif
