#include "proxy/ops/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3 // SD_LISTEN_FDS_START
#define FDS_MAX 256

static uint32_t number_in(const char *variable)
{
	const char *value = getenv(variable);
	struct bytes text = bytes_of(value ? value : "");
	uint32_t number = 0;

	return bytes_take_u32(&text, &number) ? number : 0;
}

/* The variables may be meant for a parent of ours that did not unset them. */
static int inherited_count(void)
{
	const uint32_t count = number_in("LISTEN_FDS");

	return number_in("LISTEN_PID") == (uint32_t)getpid() && count <= FDS_MAX
		       ? (int)count
		       : 0;
}

static bool listens_on(int fd, const struct address *address)
{
	struct address bound = { .len = sizeof(bound.socket) };
	char ours[ADDRESS_TEXT_MAX];
	char theirs[ADDRESS_TEXT_MAX];

	if (getsockname(fd, (struct sockaddr *)&bound.socket, &bound.len) != 0 ||
	    bound.socket.ss_family != address->socket.ss_family) {
		return false;
	}
	address_text(address, ours);
	address_text(&bound, theirs);
	return strcmp(ours, theirs) == 0 && address_port(address) == address_port(&bound);
}

static bool share(int fd, size_t slots, int *sockets)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		return false;
	}
	for (size_t i = 0; i < slots; i++) {
		sockets[i] = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
		if (sockets[i] < 0) {
			while (i > 0) {
				close(sockets[--i]);
			}
			return false;
		}
	}
	return true;
}

bool activation_take(const struct address *address, size_t slots, int *sockets)
{
	const int count = inherited_count();

	for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		if (listens_on(fd, address)) {
			return share(fd, slots, sockets);
		}
	}
	return false;
}
