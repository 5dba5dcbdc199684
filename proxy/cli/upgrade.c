/*
 * `popbridge upgrade`: the service that runs with this configuration becomes the program
 * file that is installed by now. It is found by its control socket: whom the kernel names
 * as its owner is the keeper, and the keeper's parent is the master.
 */
#include "proxy/ops/upgrade.h"

#include "proxy/cli/cli.h"
#include "proxy/cli/enquiry.h"
#include "proxy/cli/output.h"
#include "proxy/rt/local.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 100
#define FIND_TIMES 30 // a keeper that was killed is started again
#define WAIT_TIMES 900
#define LINE_MAX_BYTES 512
#define CONNECT_S 3
#define PATH_OCTETS 1024

struct upgrade_arguments {
	struct enquiry_place place;
	uint32_t pid;
};

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0,
	  "The service's process, where it has no control socket: it is told, but what "
	  "comes of it stands only in its log",
	  0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct upgrade_arguments *arguments = state->input;
	struct bytes text = bytes_of(value ? value : "");

	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = &arguments->place;
	} else if (key == 'p') {
		if (!bytes_take_u32(&text, &arguments->pid) || text.len > 0 ||
		    arguments->pid < 1 || arguments->pid > INT_MAX) {
			argp_error(state, "--pid %s: not a process number", value);
		}
	} else {
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.children = enquiry_options,
	.doc = "Lets a popbridge that runs with this configuration become the program "
	       "that is installed by now, without a refused connection: new sessions are "
	       "the new one's, those that run go on. Where the new program does not "
	       "work, the old one stays. Says what came of it.",
};

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* The first octets of a small file, with a NUL. False: it cannot be read. */
static bool read_small(const char *path, char out[LINE_MAX_BYTES], ssize_t *len)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	*len = fd >= 0 ? read(fd, out, LINE_MAX_BYTES - 1) : -1;
	out[*len > 0 ? *len : 0] = '\0';
	if (fd >= 0) {
		close(fd);
	}
	return *len >= 0;
}

/* Whoever listens at a socket may be anybody. */
static bool is_keeper(uint32_t pid)
{
	static const char role[] = "\0--role\0keeper";
	char path[64];
	char line[LINE_MAX_BYTES];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cmdline", pid);
	return read_small(path, line, &len) &&
	       memmem(line, (size_t)len, role, sizeof(role) - 1) != NULL;
}

/* 0: unknown. */
static uint32_t parent_of(uint32_t pid)
{
	char path[64];
	char line[LINE_MAX_BYTES];
	struct bytes rest;
	uint32_t parent;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
	if (!read_small(path, line, &len) || !strrchr(line, ')')) {
		return 0;
	}
	rest = bytes_of(strrchr(line, ')') + 1); // " S 123 ..."
	bytes_skip(&rest, 1);
	bytes_take_word(&rest);
	return bytes_take_u32(&rest, &parent) ? parent : 0;
}

/* 0: nobody answers there, or it is no keeper that we can see. */
static uint32_t look_for_keeper(const char *control, struct failure *failure)
{
	struct ucred owner = { .pid = 0 };
	socklen_t len = sizeof(owner);
	const int fd = local_connect(control, CONNECT_S, failure);

	if (fd < 0) {
		return 0;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &len);
	close(fd);
	if (owner.pid > 0 && is_keeper((uint32_t)owner.pid)) {
		return (uint32_t)owner.pid;
	}
	failure_set(failure, FAILURE_PERMANENT,
		    "the service at %s is not one of this machine's or container's "
		    "processes",
		    control);
	failure_advise(failure, "run this where it runs, or send its master SIGUSR2");
	return 0;
}

static uint32_t find_master(const char *control, struct failure *failure)
{
	uint32_t keeper = 0;

	for (int i = 0; i < FIND_TIMES && keeper == 0; i++) {
		keeper = look_for_keeper(control, failure);
		if (keeper == 0) {
			pause_ms(LOOK_MS);
		}
	}
	return keeper > 0 ? parent_of(keeper) : 0;
}

static bool tell(uint32_t master)
{
	if (kill((pid_t)master, SIGUSR2) == 0) {
		return true;
	}
	fprintf(stderr, "popbridge: process %" PRIu32 ": %s%s\n", master, strerror(errno),
		errno == EPERM ? "; run this as root or as the service's user" : "");
	return false;
}

/* The exit code. */
static int wait_for_report(const char *path, uint32_t master)
{
	char line[LINE_MAX_BYTES];
	ssize_t len;

	for (int i = 0; i < WAIT_TIMES; i++) {
		if (read_small(path, line, &len) && len > 0) {
			const bool done =
				strncmp(line, UPGRADE_DONE, strlen(UPGRADE_DONE)) == 0;

			fprintf(done ? stdout : stderr, "%s%s",
				done ? "upgraded: now it is "
				     : "popbridge: not upgraded, the service goes on as "
				       "before: ",
				done ? line + strlen(UPGRADE_DONE) : line);
			return done ? 0 : 1;
		}
		if (kill((pid_t)master, 0) != 0 && errno == ESRCH) {
			fprintf(stderr, "popbridge: the service has ended meanwhile; its "
					"log says why\n");
			return 1;
		}
		pause_ms(LOOK_MS);
	}
	fprintf(stderr,
		"popbridge: no answer from process %" PRIu32 "; its log says why\n",
		master);
	return 1;
}

static int upgrade_at(const char *control)
{
	struct failure failure;
	const uint32_t master = find_master(control, &failure);
	char path[PATH_OCTETS];

	if (master == 0) {
		return output_failure(&failure);
	}
	snprintf(path, sizeof(path), "%s" UPGRADE_SUFFIX, control);
	if (unlink(path) != 0 && errno != ENOENT) {
		fprintf(stderr, "popbridge: %s: %s\n", path, strerror(errno));
		return 1;
	}
	return tell(master) ? wait_for_report(path, master) : 1;
}

static int upgrade_blindly(uint32_t master)
{
	if (!tell(master)) {
		return 1;
	}
	printf("process %" PRIu32
	       " was told. Whether it is upgraded cannot be known from "
	       "here: its log says \"upgraded\", or \"not upgraded\" and why. With "
	       "control or state in the configuration, and without --pid, this command "
	       "waits and says so itself.\n",
	       master);
	return 0;
}

int cli_upgrade(int argc, char **argv)
{
	struct upgrade_arguments arguments = { .pid = 0 };
	struct config *config = NULL;
	char *control = NULL;
	int result = 1;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (arguments.pid > 0) {
		return upgrade_blindly(arguments.pid);
	}
	enquiry_find(&arguments.place, &control, &config);
	if (control) {
		result = upgrade_at(control);
	} else {
		fprintf(stderr,
			"popbridge: the configuration has neither control nor state, so "
			"the service cannot be found; give --pid\n");
	}
	free(control);
	if (config) {
		config_free(config);
	}
	return result;
}
