/*
 * A role as a child process: fork and exec of this very program, a control channel, and
 * its end.
 */
#ifndef PROXY_OPS_PROCESS_H
#define PROXY_OPS_PROCESS_H

#include "proxy/ops/control.h"

#include <sys/types.h>

struct process {
	struct process *next; // in the list of all processes
	const char *role;     // "worker", "keeper", "web"
	pid_t pid;
	struct channel *channel; // owned
	uint32_t row;            // in the metrics; 0: none. Given back when freed
	unsigned setting;        // worker: the configuration it was started with
	unsigned keeper;         // worker: the keeper it was last introduced to; 0: none
	bool serving;            // READY was said
	bool gone;
	int status;        // of waitpid(), once gone
	struct gate ended; // opened when gone
};

/*
 * Starts the role; the environment is cleared, only standard error and the control
 * channel are passed. FAILURE_TEMPORARY: no more processes or descriptors.
 */
struct process *process_spawn(const char *role, struct failure *failure);

/* Call at start: remembers which program this is, for process_spawn(). */
bool process_setup(struct failure *failure);

/* A worker that serves and does not know this keeper. NULL: none. */
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
