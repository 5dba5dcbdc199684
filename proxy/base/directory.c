#include "proxy/base/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What our image says, and what Docker and Podman leave in their containers. */
static bool in_container(void)
{
	return getenv("container") || access("/.dockerenv", F_OK) == 0 ||
	       access("/run/.containerenv", F_OK) == 0;
}

/* What is there may hold files of another user, too: of an earlier start as another one.
 */
static void advise(const char *directory, int error, struct failure *failure)
{
	const char *where =
		error == EROFS ? ", on a file system that is not read-only" : "";
	const char *mounted =
		in_container() ? " (outside of the container, with what is mounted there)"
			       : "";
	const unsigned user = geteuid();
	const unsigned group = getegid();

	if (error == ENOENT || access(directory, F_OK) != 0) {
		failure_set(failure, FAILURE_PERMANENT,
			    "cannot write in the state directory %s: %s; run: "
			    "install -d -m 700 -o %u -g %u %s%s%s",
			    directory, strerror(error), user, group, directory, where,
			    mounted);
	} else {
		failure_set(failure, FAILURE_PERMANENT,
			    "cannot write in the state directory %s: %s; run: "
			    "chown -R %u:%u %s && chmod -R u+rwX %s%s%s",
			    directory, strerror(error), user, group, directory, directory,
			    where, mounted);
	}
}

bool directory_unusable(const char *directory, int error, struct failure *failure)
{
	if (error != EACCES && error != EPERM && error != ENOENT && error != EROFS) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "cannot use the state directory %s: %s", directory,
				   strerror(error));
	}
	advise(directory, error, failure);
	return false;
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
