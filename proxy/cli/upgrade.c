/*
 * `popbridge upgrade`: the service that runs with this configuration becomes the program
 * file that is installed by now. It is found by the lock in the state directory: that is
 * the keeper's, and the keeper's parent is the master.
 */
#include "proxy/ops/upgrade.h"

#include "proxy/base/memory.h"
#include "proxy/cli/cli.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 100
#define FIND_TIMES 30 // a keeper that was killed is started again
#define WAIT_TIMES 900
#define LINE_MAX_BYTES 512
#define PATH_OCTETS 1024

struct upgrade_arguments {
	const char *path;
	uint32_t pid;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "pid", 'p', "PID", 0, "The service's process, where it has no state directory",
	  0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct upgrade_arguments *arguments = state->input;
	struct bytes text = bytes_of(value ? value : "");

	if (key == 'c') {
		arguments->path = value;
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
	.doc = "Lets a popbridge that runs with this configuration become the program "
	       "that is installed by now, without a refused connection: new sessions are "
	       "the new one's, those that run go on. Where the new program does not "
	       "work, "
	       "the old one stays. Says what came of it.",
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

static bool is_locked(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;

	if (fd >= 0) {
		close(fd);
	}
	return locked;
}

/* Process numbers in a file may be those of another container. */
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

static uint32_t look_for_master(const char *state)
{
	char path[PATH_OCTETS];
	char line[LINE_MAX_BYTES];
	struct bytes text;
	uint32_t keeper;
	ssize_t len;

	if (snprintf(path, sizeof(path), "%s/popbridge.lock", state) >=
		    (int)sizeof(path) ||
	    !read_small(path, line, &len) || !is_locked(path)) {
		return 0;
	}
	line[strcspn(line, "\n")] = '\0';
	text = bytes_of(line);
	return bytes_take_u32(&text, &keeper) && is_keeper(keeper) ? parent_of(keeper)
								   : 0;
}

static uint32_t find_master(const char *state)
{
	uint32_t master = 0;

	for (int i = 0; i < FIND_TIMES && master == 0; i++) {
		master = look_for_master(state);
		if (master == 0) {
			pause_ms(LOOK_MS);
		}
	}
	if (master == 0) {
		fprintf(stderr,
			"popbridge: no popbridge of this machine or container runs with "
			"the state directory %s\n",
			state);
	}
	return master;
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

static int upgrade_by_state(const char *state)
{
	const uint32_t master = find_master(state);
	char path[PATH_OCTETS];

	if (master == 0) {
		return 1;
	}
	snprintf(path, sizeof(path), "%s/" UPGRADE_FILE, state);
	if (unlink(path) != 0 && errno != ENOENT) {
		fprintf(stderr, "popbridge: %s: %s\n", path, strerror(errno));
		return 1;
	}
	return tell(master) ? wait_for_report(path, master) : 1;
}

int cli_upgrade(int argc, char **argv)
{
	struct upgrade_arguments arguments = { 0 };
	struct source source;
	struct config *config;
	int result = 1;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	if (arguments.pid > 0) {
		if (!tell(arguments.pid)) {
			return 1;
		}
		printf("process %" PRIu32 " was told; its log says what comes of it\n",
		       arguments.pid);
		return 0;
	}
	source = (struct source){ .path = arguments.path };
	config = cli_load(&source, NULL);
	if (!config) {
		return 1;
	}
	if (config->state) {
		result = upgrade_by_state(config->state);
	} else {
		fprintf(stderr, "popbridge: without a state directory the service cannot "
				"be found: give --pid\n");
	}
	config_free(config);
	return result;
}
