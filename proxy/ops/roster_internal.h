/*
 * What the files of the roster share. Nobody else includes this.
 *
 * roster.c           the workers and their slots; start, reload, stop
 * roster_handover.c  an upgrade's two sides
 * roster_keeper.c    the keeper, and who knows it
 * roster_pulse.c     who hangs
 * roster_aide.c      the web role
 */
#ifndef PROXY_OPS_ROSTER_INTERNAL_H
#define PROXY_OPS_ROSTER_INTERNAL_H

#include "proxy/base/metrics.h"
#include "proxy/ops/roster.h"

/* roster.c */

/* START, READY. On failure the process is killed and freed. */
SUSPENDS bool roster_initiate(struct process *process,
			      const struct control_message *start,
			      const struct channel_descriptors *descriptors,
			      struct failure *failure);

/* What START brings to every role: to be released. */
struct channel_descriptors *roster_outfit(const struct roster *roster,
					  const struct process *process);

/* To what START brings; beyond the maximum nothing is added. */
void roster_add(struct channel_descriptors *descriptors, int fd);

void roster_log_death(const struct process *process, uint64_t since_ms);

/* It serves in the place of one that died at died_ms; 0: of none. */
void roster_log_return(const struct process *process, uint64_t died_ms);

/* DRAIN, then it is waited for by a task of its own. */
SUSPENDS void roster_let_go(struct roster *roster, struct process *process);

/* A process that was told to drain is waited for by a task of its own. */
void roster_see_off(struct roster *roster, struct process *process);

/* A task: keeps a worker running in the slot until roster->stopping. */
SUSPENDS void roster_run_slot(void *slot);

/* Does every worker that serves have the setting of now? */
bool roster_all_new(const struct roster *roster);

/* DRAIN, waited for; NULL afterwards. */
SUSPENDS void roster_end(struct process **process);

/* How long to wait after this death, where the wait after the one before was last_ms. */
uint64_t roster_next_delay(uint64_t last_ms, uint64_t lived_ms, bool served);

/* Waits; false as soon as *enough. */
SUSPENDS bool roster_back_off(struct roster *roster, const bool *enough,
			      uint64_t delay_ms);

/* roster_keeper.c */

/* A task: keeps a keeper running until roster->ending. */
SUSPENDS void roster_run_keeper(void *roster);
SUSPENDS void roster_stop_keeper(struct roster *roster);

/* Every worker that serves and does not know the keeper that serves. */
SUSPENDS void roster_introduce_all(struct roster *roster);

/* The keeper hears of the setting of now, unless it knows. */
SUSPENDS void roster_inform_keeper(struct roster *roster);

/* roster_aide.c */

/* Keeps them running where they are wanted. */
void roster_run_aides(struct roster *roster);
/* The setting is new. */
void roster_replace_aides(struct roster *roster);
SUSPENDS void roster_stop_aides(struct roster *roster);

/* A keeper or an oauth role is new: nothing happens where one of the two is missing. */
SUSPENDS void roster_introduce_oauth(struct roster *roster);
/* The same with the web role, where there is a consent page. */
SUSPENDS void roster_introduce_web(struct roster *roster);

#endif
