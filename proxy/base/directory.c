#include "proxy/base/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static bool is_empty(int fd)
{
	DIR *entries = fdopendir(dup(fd));
	size_t count = 0;

	while (entries && readdir(entries)) {
		count++;
	}
	if (entries) {
		closedir(entries);
	}
	return count <= 2; // . and ..
}

void directory_give(const char *directory, uid_t uid, gid_t gid)
{
	struct stat status;
	int fd;

	mkdir(directory, 0700);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return; // who needs it says what is wrong
	}
	if (fstat(fd, &status) == 0 && status.st_uid == 0 &&
	    (status.st_mode & S_IWOTH) == 0 && is_empty(fd)) {
		if (fchown(fd, uid, gid) != 0) {
			errno = 0; // the same
		}
	}
	close(fd);
}
