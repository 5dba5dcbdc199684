/*
 * A worker: accepts on the listeners of its slot, and runs the sessions.
 *
 * All goes well: START, READY, sessions, DRAIN, the last session ends. What can go wrong:
 * the master dies (the kernel kills us with it), the keeper is replaced (a new channel
 * comes, and the locks held are declared to it).
 */
#include "proxy/base/census.h"
#include "proxy/base/memory.h"
#include "proxy/base/privilege.h"
#include "proxy/ops/role.h"
#include "proxy/rt/listener.h"
#include "proxy/session/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_MAX 1024 // no flood keeps us from ending
#define COMPLAIN_MS 1000
#define INDEXES_OCTETS (16u * 1024 * 1024)

/* One listening socket and the task that accepts on it. */
struct door {
	struct service *service;
	const struct config_listener *settings; // borrowed
	struct listener *listener;              // owned
	struct task *task;                      // a child
};

struct worker {
	struct role *role;
	struct service service;
	struct door *doors; // owned
	size_t door_count;
};

/* A connection on its way from the door to its own task. */
struct visitor {
	struct service *service;
	const struct config_listener *settings;
	struct stream *stream;
};

SUSPENDS static void run_session(void *argument)
{
	const struct visitor visitor = *(struct visitor *)argument;

	free(argument);
	session_run(visitor.service, visitor.settings, visitor.stream);
}

static void let_in(struct door *door, struct stream *stream)
{
	struct visitor *visitor = memory_new(sizeof(*visitor));

	*visitor = (struct visitor){ door->service, door->settings, stream };
	task_start(run_session, visitor);
}

/* Each session needs descriptors: without them, clients wait in the kernel's queue. */
static void complain(struct service *service)
{
	metrics_count(METRICS_ACCEPT_PAUSES);
	if (loop_now_ms() >= service->next_complaint_ms) {
		service->next_complaint_ms = loop_now_ms() + COMPLAIN_MS;
		log_say(LOG_WARNING, "accepting paused",
			"this worker has descriptors for %" PRIu32 " sessions, and as "
			"many; raise the limit of open files (LimitNOFILE, ulimit -n)",
			service->capacity);
	}
}

/* False: cancelled. */
SUSPENDS static bool wait_for_room(struct service *service)
{
	struct failure ignored;

	if (service->session_count >= service->capacity) {
		complain(service);
	}
	while (service->session_count >= service->capacity) {
		if (!gate_wait(&service->session_ended, DEADLINE_NEVER, &ignored)) {
			return false;
		}
	}
	return true;
}

SUSPENDS static void run_door(void *argument)
{
	struct door *door = argument;
	struct failure failure;
	struct stream *stream;

	while (wait_for_room(door->service) &&
	       (stream = listener_accept(door->listener, &failure))) {
		let_in(door, stream);
	}
	/* Where the configuration has lost the listener, its queue ends with us. */
	for (size_t i = 0;
	     i < QUEUE_MAX && (stream = listener_accept_queued(door->listener)); i++) {
		let_in(door, stream);
	}
	listener_close(door->listener);
}

/* START brings the census, then the listeners' sockets in the configuration's order. */
static void open_doors(struct worker *worker)
{
	const struct config *config = worker->role->config;
	const struct channel_descriptors *sockets = &worker->role->descriptors;

	worker->doors = memory_new_array(config->listener_count, sizeof(struct door));
	for (size_t i = 0; i < config->listener_count && i + 1 < sockets->count; i++) {
		struct door *door = &worker->doors[worker->door_count++];

		door->service = &worker->service;
		door->settings = &config->listeners[i];
		door->listener = listener_adopt(sockets->list[i + 1]);
		door->task = task_start_child(run_door, door);
	}
}

SUSPENDS static void close_doors(struct worker *worker)
{
	for (size_t i = 0; i < worker->door_count; i++) {
		task_cancel(worker->doors[i].task);
		task_join(worker->doors[i].task);
	}
	free(worker->doors);
}

/* Sessions may go on for this long; then they end without UPDATE, a commit excepted. */
SUSPENDS static void drain(struct worker *worker, uint64_t ms)
{
	const uint64_t deadline_ms = loop_deadline_ms(ms);
	struct failure ignored;

	while (worker->service.session_count > 0 &&
	       gate_wait(&worker->service.session_ended, deadline_ms, &ignored)) {
	}
	session_cancel_all(&worker->service);
	while (worker->service.session_count > 0) {
		gate_wait(&worker->service.session_ended, DEADLINE_NEVER, &ignored);
	}
}

/* What the master says, until it says DRAIN. Gives the milliseconds. */
SUSPENDS static uint64_t obey(struct worker *worker)
{
	struct channel_descriptors *descriptors = memory_new(sizeof(*descriptors));
	struct control_message message;
	struct failure failure;
	uint64_t drain_ms = 0;

	while (control_receive(worker->role->channel, &message, descriptors,
			       DEADLINE_NEVER, &failure)) {
		if (message.type == CONTROL_KEEPER && descriptors->count == 1) {
			keeper_client_connect(worker->service.keeper,
					      descriptors->list[0]);
		} else if (message.type == CONTROL_DRAIN) {
			drain_ms = message.milliseconds;
			break;
		}
	}
	free(descriptors);
	return drain_ms;
}

/* Goes on hearing of keepers while the last sessions end. */
SUSPENDS static void listen_on(void *argument)
{
	obey(argument);
}

/* Ends the sessions that operators want ended, and drops what is kept of them. */
SUSPENDS static void obey_kicks(void *argument)
{
	struct worker *worker = argument;
	struct keeper_client *keeper = worker->service.keeper;
	struct keeper_kick kick;

	while (keeper_next_kick(keeper, &kick)) {
		const struct bytes account = buffer_bytes(&kick.account);
		uint32_t ended = 0;

		switch (kick.what) {
		case KEEPER_KICK_SESSIONS:
			ended = session_kick(&worker->service, account);
			break;
		case KEEPER_KICK_REMAINS:
			indexes_forget(worker->service.indexes, account);
			break;
		}
		parking_kick(worker->service.parking, account);
		recent_kick(worker->service.recent, account);
		keeper_kicked(keeper, &kick, ended);
		buffer_release(&kick.account);
	}
}

SUSPENDS static void serve(struct worker *worker)
{
	struct task *tending = task_start_child(admission_tend, &worker->service);
	struct task *kicking = task_start_child(obey_kicks, worker);
	struct task *listening;
	uint64_t drain_ms;

	privilege_forget(); // before the first client
	open_doors(worker);
	role_ready(worker->role);
	drain_ms = obey(worker);
	close_doors(worker);
	parking_end(worker->service.parking);
	listening = task_start_child(listen_on, worker);
	drain(worker, drain_ms);
	indexes_end(worker->service.indexes);
	task_cancel(listening);
	task_join(listening);
	task_cancel(tending);
	task_join(tending);
	task_cancel(kicking);
	task_join(kicking);
}

/* No limit holds without it. */
static bool join_census(const struct role *role, struct failure *failure)
{
	if (role->descriptors.count > 0) {
		const int fd = role->descriptors.list[0];
		const bool good = census_attach(fd) && census_use_row(role->start.row);

		close(fd);
		if (good) {
			return true;
		}
	}
	return failure_set(failure, FAILURE_PERMANENT,
			   "no place to count sessions in: too many workers drain");
}

SUSPENDS int worker_live(struct role *role)
{
	struct worker worker = { .role = role };
	struct failure failure;

	memory_keep_some();
	if (!join_census(role, &failure) ||
	    !service_init(&worker.service, role->config, &failure)) {
		log_say(LOG_ERROR, "not started", "worker %u: %s", role->start.slot,
			failure.text);
		return 1;
	}
	service_share(&worker.service, role->start.key);
	worker.service.census_key = role->start.key;
	worker.service.keeper = keeper_client_new(role->start.slot, role->start.key);
	/* Where the keeper keeps nothing, it is not worth the way. */
	worker.service.indexes = indexes_new(
		INDEXES_OCTETS, role->config->state ? worker.service.keeper : NULL);
	worker.service.parking =
		parking_new(role->config->limits.parking_ms, role->config->limits.parked);
	worker.service.recent = recent_new();
	serve(&worker);
	recent_free(worker.service.recent);
	parking_free(worker.service.parking);
	indexes_free(worker.service.indexes);
	keeper_client_free(worker.service.keeper);
	service_release(&worker.service);
	return 0;
}
