#include "proxy/base/directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What Docker and Podman leave in their containers. */
static bool in_container(void)
{
	return access("/.dockerenv", F_OK) == 0 ||
	       access("/run/.containerenv", F_OK) == 0;
}

bool directory_unusable(const char *directory, int error, struct failure *failure)
{
	const char *where =
		error == EROFS ? " on a file system that is not read-only" : "";
	const char *mounted = "";

	if (error != EACCES && error != EPERM && error != ENOENT && error != EROFS) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "cannot use the state directory %s: %s", directory,
				   strerror(error));
	}
	if (in_container()) {
		mounted = " (outside of the container: with what is mounted there)";
	}
	return failure_set(failure, FAILURE_PERMANENT,
			   "cannot write in the state directory %s: %s; run: "
			   "install -d -m 700 -o %u -g %u %s%s%s",
			   directory, strerror(error), (unsigned)geteuid(),
			   (unsigned)getegid(), directory, where, mounted);
}

bool directory_make(const char *directory, struct failure *failure)
{
	if (mkdir(directory, 0700) == 0) {
		return true;
	}
	/* EROFS and EACCES come before EEXIST on some file systems. */
	if (errno == EEXIST || access(directory, F_OK) == 0) {
		return access(directory, W_OK | X_OK) == 0 ||
		       directory_unusable(directory, errno, failure);
	}
	return directory_unusable(directory, errno, failure);
}
