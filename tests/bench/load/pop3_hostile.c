/*
 * Clients that mean no good, until standard input ends; then one JSON object.
 *
 *     pop3_hostile unfinished HOST PORT TLS_PORT COUNT
 *     pop3_hostile flood HOST PORT TLS_PORT RATE
 *
 * unfinished  COUNT connections that never finish signing in and come again when they are
 *             cut: half stop within a TLS handshake, half within a command, and all send
 *             one octet more every two seconds
 * flood       RATE connections a second to both ports, which say nothing; the oldest go
 *             when there are 5,000
 */
#include "tests/bench/load/connection.h"
#include "tests/bench/load/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPEN_MAX_FLOOD 5000
#define ROUND_S 2.0
#define BEGUN_OCTETS 40 // sent at once

/* A TLS record that announces 512 octets of a ClientHello. */
static const unsigned char client_hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };

struct attacker {
	const char *host;
	uint16_t ports[2]; // plain, TLS
	long opened, refused, cut;
};

static bool is_over(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

static void wait_until(double when_s)
{
	while (when_s > now_s()) {
		poll(NULL, 0, 1);
	}
}

/* Does not wait for the connection. -1: refused at once. */
static int reach(struct attacker *attacker, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && inet_pton(AF_INET, attacker->host, &address.sin_addr) == 1 &&
	    (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
	     errno == EINPROGRESS)) {
		attacker->opened++;
		return fd;
	}
	attacker->refused++;
	if (fd >= 0) {
		close(fd);
	}
	return -1;
}

static bool was_cut(int fd)
{
	char answer[512];
	ssize_t len;

	do {
		len = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	} while (len > 0);
	return len == 0 || (errno != EAGAIN && errno != ENOTCONN);
}

/* One octet more, or the first ones. */
static void drip(int fd, bool is_tls, bool is_first)
{
	char begun[BEGUN_OCTETS];

	memset(begun, 'a', sizeof(begun));
	if (is_tls) {
		memcpy(begun, client_hello, sizeof(client_hello));
	} else {
		memcpy(begun, "USER ", 5);
	}
	(void)send(fd, is_first ? begun : "a", is_first ? sizeof(begun) : 1,
		   MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The connection with this number, a round later. */
static void come_again(struct attacker *attacker, int *fd, long number)
{
	if (*fd >= 0 && was_cut(*fd)) {
		close(*fd);
		*fd = -1;
		attacker->cut++;
	}
	if (*fd >= 0) {
		drip(*fd, number % 2, false);
		return;
	}
	*fd = reach(attacker, attacker->ports[number % 2]);
	if (*fd >= 0) {
		struct pollfd ready = { .fd = *fd, .events = POLLOUT };

		poll(&ready, 1, 100);
		drip(*fd, number % 2, true);
	}
}

static void unfinished(struct attacker *attacker, long count)
{
	int *connections = malloc((size_t)count * sizeof(*connections));
	const double start_s = now_s();

	if (!connections) {
		report_failure("out of memory", "");
	}
	for (long i = 0; i < count; i++) {
		connections[i] = -1;
	}
	/* Evenly spread, as strangers are. */
	for (long i = 0; i % 16 != 0 || !is_over(); i++) {
		come_again(attacker, &connections[i % count], i % count);
		wait_until(start_s + (double)i * ROUND_S / (double)count);
	}
	free(connections);
}

static void flood(struct attacker *attacker, double rate)
{
	static int open[OPEN_MAX_FLOOD];
	const double start_s = now_s();

	memset(open, -1, sizeof(open));
	for (long i = 0; i % 16 != 0 || !is_over(); i++) {
		int *place = &open[i % OPEN_MAX_FLOOD];

		if (*place >= 0) {
			attacker->cut += was_cut(*place);
			close(*place);
		}
		*place = reach(attacker, attacker->ports[i % 2]);
		wait_until(start_s + (double)i / rate);
	}
}

int main(int argc, char **argv)
{
	struct attacker attacker = { 0 };

	if (argc != 6) {
		fprintf(stderr, "usage: pop3_hostile unfinished|flood HOST PORT TLS_PORT "
				"NUMBER\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	attacker.host = argv[2];
	attacker.ports[0] = (uint16_t)strtol(argv[3], NULL, 10);
	attacker.ports[1] = (uint16_t)strtol(argv[4], NULL, 10);
	if (strcmp(argv[1], "flood") == 0) {
		flood(&attacker, strtod(argv[5], NULL));
	} else {
		unfinished(&attacker, strtol(argv[5], NULL, 10));
	}
	report_number("opened", (double)attacker.opened);
	report_number("refused", (double)attacker.refused);
	report_number("cut", (double)attacker.cut);
	report_end();
	return 0;
}
