/*
 * The roles that run: who is started, watched, replaced and seen off. The master decides
 * when, this knows how.
 */
#ifndef PROXY_OPS_ROSTER_H
#define PROXY_OPS_ROSTER_H

#include "proxy/ops/control.h"
#include "proxy/ops/doors.h"
#include "proxy/ops/handover.h"
#include "proxy/ops/process.h"

/* What the roles of now are started with; replaced whole by a reload. */
struct setting {
	struct config *config; // owned
	int text_fd;           // owned
};

/* A worker's place: its process changes, its sockets stay. */
struct slot {
	struct roster *roster;
	uint32_t number;
	struct process *process; // NULL: between two
	struct task *task;       // a child: roster_run_slot()
	bool replace;            // start another one, then let this one drain
};

/* A role that helps: its process changes. */
struct aide {
	struct roster *roster;
	const char *role;
	struct process *process; // NULL: none, or between two
	struct task *task;       // a child: runs it
	bool replace;            // the setting is new
};

struct roster {
	struct setting setting;
	struct doors doors;
	struct slot *slots; // owned
	size_t slot_count;
	unsigned setting_number;    // counts the settings
	unsigned keeper_number;     // counts the keepers
	bool keeper_failed;         // the last one did not start
	int store_fd;               // owned: of a keeper that left; -1: none
	enum control_change change; // for the next keeper to judge
	struct process *keeper;     // NULL: between two
	struct task *keeper_task;   // a child
	struct aide web, oauth;
	struct gate changed; // opened when a role is ready or gone
	size_t leaving;      // drained ones that still run
	unsigned char key[CONTROL_KEY_BYTES];
	int metrics;
	int history;          // of the charts
	bool metrics_are_new; // not the table the processes that are adopted count in
	uint64_t started_s;   // Unix time
	int census;
	uint32_t drain_ms;
	bool stopping; // the workers are to end
	bool ending;   // they have: the keeper may go
};

/* Binds the ports and starts everything. FAILURE_PERMANENT: a port, a first start. */
SUSPENDS bool roster_start(struct roster *roster, struct failure *failure);

/*
 * The same for who was handed sockets and processes: replaces keeper, workers and web
 * role by those of this program. The old workers serve until their successors do. False:
 * not all were replaced.
 */
SUSPENDS bool roster_take_over(struct roster *roster, const struct handover *handover);

/*
 * What another program needs to take over. False: a role is just being started, so not
 * now. Released by the caller in either case.
 */
bool roster_hand_over(const struct roster *roster, struct handover *out);

/*
 * May known accounts have the configuration of this text? The keeper knows.
 * FAILURE_PERMANENT: no, and why. FAILURE_TEMPORARY: it does not say.
 */
SUSPENDS bool roster_judge(struct roster *roster, int text_fd, struct failure *failure);

/* setting is new: every worker is replaced, one after the other. False: not all were. */
SUSPENDS bool roster_replace_workers(struct roster *roster);

/* A task: kills roles that do not move any more. */
SUSPENDS void roster_watch_pulses(void *roster);

/* DRAIN to all, wait, kill who stays. */
SUSPENDS void roster_stop(struct roster *roster);

#endif
