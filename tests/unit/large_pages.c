/*
 * Linked into a test: as far as a program can tell, a kernel with pages of 64 KiB, as
 * arm64 may have. What takes whole pages takes whole large ones, or fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE 65536

/* libc's own, behind ours of the same name. */
static void find(const char *name, void *function)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

long sysconf(int name)
{
	long (*real)(int);

	find("sysconf", &real);
	return name == _SC_PAGESIZE ? LARGE : real(name);
}

int mprotect(void *start, size_t bytes, int protection)
{
	int (*real)(void *, size_t, int);

	if (bytes % LARGE != 0) {
		errno = EINVAL;
		return -1;
	}
	find("mprotect", &real);
	return real(start, bytes, protection);
}

int madvise(void *start, size_t bytes, int advice)
{
	int (*real)(void *, size_t, int);

	if (bytes % LARGE != 0) {
		errno = EINVAL;
		return -1;
	}
	find("madvise", &real);
	return real(start, bytes, advice);
}
