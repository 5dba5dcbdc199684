#include "tests/bench/load/connection.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)256 * 1024)
#define PATIENCE_S 300

static SSL_CTX *context;

double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void connection_trust(const char *ca_file)
{
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	/* A whole handshake each time: what polls rarely keeps no tickets. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); // thousands may idle
	if (!*ca_file) {
		return;
	}
	if (SSL_CTX_load_verify_file(context, ca_file) != 1) {
		fprintf(stderr, "%s: not usable as CA file\n", ca_file);
		exit(2);
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
}

bool connection_start_tls(struct connection *c)
{
	c->ssl = SSL_new(context);
	return c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 &&
	       SSL_set_tlsext_host_name(c->ssl, "localhost") == 1 &&
	       SSL_connect(c->ssl) == 1;
}

static void set_options(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* From an address of this machine's 127.0.0.0/8; the kernel picks the port late, so that
 * one port serves connections from many addresses. */
static bool come_from(int fd, uint32_t source)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(source),
	};
	const int one = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

int connection_socket(uint16_t port, uint32_t source)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    ((source && !come_from(fd, source)) ||
	     connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool connection_open(struct connection *c, uint16_t port, enum tls_mode tls,
		     uint32_t source)
{
	*c = (struct connection){ .fd = -1 };
	connection_want_input(c);
	c->fd = connection_socket(port, source);
	if (c->fd < 0) {
		return false;
	}
	set_options(c->fd);
	return tls != TLS_AT_ONCE || connection_start_tls(c);
}

void connection_close(struct connection *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0) {
		close(c->fd);
	}
	free(c->input);
	*c = (struct connection){ .fd = -1 };
}

void connection_drop_input(struct connection *c)
{
	free(c->input);
	c->input = NULL;
}

void connection_want_input(struct connection *c)
{
	c->at = c->len = 0;
	c->input = malloc(INPUT_MAX);
	if (!c->input) {
		abort();
	}
}

bool connection_fill(struct connection *c)
{
	ssize_t len;

	if (c->at > 0) {
		memmove(c->input, c->input + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	if (c->len == INPUT_MAX) {
		return false;
	}
	if (c->ssl) {
		len = SSL_read(c->ssl, c->input + c->len, (int)(INPUT_MAX - c->len));
	} else {
		len = read(c->fd, c->input + c->len, INPUT_MAX - c->len);
	}
	if (len > 0) {
		c->len += (size_t)len;
	}
	return len > 0;
}

bool connection_send(struct connection *c, const char *text, size_t len)
{
	while (len > 0) {
		const ssize_t sent = c->ssl ? SSL_write(c->ssl, text, (int)len)
					    : send(c->fd, text, len, MSG_NOSIGNAL);

		if (sent <= 0) {
			return false;
		}
		text += sent;
		len -= (size_t)sent;
	}
	return true;
}

static void copy_line(const char *line, size_t len, char *out, size_t size)
{
	if (len > 0 && line[len - 1] == '\r') {
		len--;
	}
	if (len >= size) {
		len = size - 1;
	}
	memcpy(out, line, len);
	out[len] = '\0';
}

bool connection_line(struct connection *c, char *out, size_t size)
{
	size_t searched = 0;

	for (;;) {
		const char *line = c->input + c->at;
		const size_t len = c->len - c->at;
		const char *end = memchr(line + searched, '\n', len - searched);

		if (end) {
			copy_line(line, (size_t)(end - line), out, size);
			c->at += (size_t)(end - line) + 1;
			return true;
		}
		searched = len;
		if (!connection_fill(c)) {
			return false;
		}
	}
}
