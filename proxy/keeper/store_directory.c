#include "proxy/keeper/store_directory.h"

#include "proxy/base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who has it, as he wrote it himself. */
static bool taken(const char *directory, int fd, struct failure *failure)
{
	char owner[32] = "";
	ssize_t len = pread(fd, owner, sizeof(owner) - 1, 0);

	owner[len > 0 ? (size_t)len : 0] = '\0';
	owner[strcspn(owner, "\n")] = '\0';
	failure_set(failure, FAILURE_PERMANENT,
		    "another popbridge (process %s) uses the state directory %s",
		    owner[0] ? owner : "unknown", directory);
	return failure_advise(failure, "stop it first, or give this one a state "
				       "directory of its own");
}

static bool lock(const char *directory, int fd, struct failure *failure)
{
	char owner[32];
	int len;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		return errno == EWOULDBLOCK
			       ? taken(directory, fd, failure)
			       : directory_unusable(directory, errno, failure);
	}
	len = snprintf(owner, sizeof(owner), "%jd\n", (intmax_t)getpid());
	/* Only for the message above: a full disk is no reason not to start. */
	if (ftruncate(fd, 0) == 0) {
		ssize_t ignored = pwrite(fd, owner, (size_t)len, 0);
		(void)ignored;
	}
	return true;
}

int store_directory_claim(const char *directory, struct failure *failure)
{
	char path[STORE_PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s/popbridge.lock", directory);
	int fd = -1;

	if (len < 0 || (size_t)len >= sizeof(path)) {
		directory_unusable(directory, ENAMETOOLONG, failure);
		return -1;
	}
	if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
		directory_unusable(directory, errno, failure);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		directory_unusable(directory, errno, failure);
		return -1;
	}
	if (!lock(directory, fd, failure)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool store_directory_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0) {
		close(fd);
	}
	return done;
}
