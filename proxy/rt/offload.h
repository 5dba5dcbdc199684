/*
 * Work that blocks (a slow hash, libcurl), on libuv's threads while the task waits.
 */
#ifndef PROXY_RT_OFFLOAD_H
#define PROXY_RT_OFFLOAD_H

#include "proxy/rt/task.h"

/*
 * Runs work(argument) on another thread and returns when it has ended, cancelled or not:
 * what blocks has a limit of its own. The work gets copies of what it needs and touches
 * nothing that the loop's thread has. At most four run at a time, the others queue.
 */
SUSPENDS void offload(void (*work)(void *argument), void *argument);

#endif
