/*
 * An IMAP server with TLS for more sessions than Dovecot's processes fit on one machine.
 *
 *     imap_stand_in PORT CERTIFICATE KEY
 *
 * All goes well: handshake, greeting, a command, its answer, the next command; one
 * thread, one epoll, buffers only while they hold something. What can go wrong: the peer
 * leaves, or says what cannot be parsed; then the connection is closed. It is a measuring
 * instrument for one machine: it has no time limits.
 */
#include "tests/bench/load/imap_answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 128
#define LINE_MAX_OCTETS ((size_t)16 * 1024)
#define PIECE ((size_t)16 * 1024)
#define UNSENT_MAX (64 * 1024) // in the kernel, for one that is not read
#define PIECES_MAX 8           // in one turn

struct client {
	int fd;
	SSL *ssl;
	uint32_t watched;
	bool is_ready; // TLS is there
	struct imap_answers answers;
	char *input; // owned: commands not yet obeyed; NULL: none
	size_t input_len;
	char *output; // owned: what the socket did not take; NULL: nothing
	size_t output_len;
};

static SSL_CTX *context;
static int epoll_fd;
static char scratch[PIECE];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void hang_up(struct client *client)
{
	close(client->fd); // epoll forgets it
	SSL_free(client->ssl);
	imap_answers_release(&client->answers);
	free(client->input);
	free(client->output);
	free(client);
}

static void watch(struct client *client, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = client };

	if (client->watched != events) {
		epoll_ctl(epoll_fd, client->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
			  client->fd, &event);
		client->watched = events;
	}
}

/* After a TLS call that did nothing: what to wait for. False: the connection is over. */
static bool watch_for_tls(struct client *client, int result)
{
	const int error = SSL_get_error(client->ssl, result);

	if (error == SSL_ERROR_WANT_READ) {
		watch(client, EPOLLIN);
	} else if (error == SSL_ERROR_WANT_WRITE) {
		watch(client, EPOLLOUT);
	} else {
		return false;
	}
	return true;
}

static void keep(char **kept, size_t *kept_len, const char *text, size_t len)
{
	char *more = realloc(*kept, *kept_len + len);

	if (!more) {
		die("memory");
	}
	memcpy(more + *kept_len, text, len);
	*kept = more;
	*kept_len += len;
}

static void drop(char **kept, size_t *kept_len, size_t len)
{
	*kept_len -= len;
	if (*kept_len == 0) {
		free(*kept);
		*kept = NULL;
	} else if (len > 0) {
		memmove(*kept, *kept + len, *kept_len);
	}
}

enum verdict { GO_ON, WAIT, OVER };

static enum verdict flush(struct client *client)
{
	while (client->output) {
		ERR_clear_error();
		const int sent =
			SSL_write(client->ssl, client->output, (int)client->output_len);

		if (sent <= 0) {
			return watch_for_tls(client, sent) ? WAIT : OVER;
		}
		drop(&client->output, &client->output_len, (size_t)sent);
	}
	return GO_ON;
}

/* The current answer, as far as the socket takes it. */
static enum verdict answer(struct client *client)
{
	enum verdict verdict = flush(client);

	for (int i = 0; verdict == GO_ON; i++) {
		const size_t len = imap_answers_next(&client->answers, scratch, PIECE);

		if (len == 0) {
			return client->answers.leaving ? OVER : GO_ON;
		}
		keep(&client->output, &client->output_len, scratch, len);
		verdict = flush(client);
		if (i == PIECES_MAX && verdict == GO_ON) {
			watch(client, EPOLLOUT); // others have their turn
			return WAIT;
		}
	}
	return verdict;
}

/* The next whole command line. False: there is none. */
static bool obey_next(struct client *client)
{
	char *end = client->input ? memchr(client->input, '\n', client->input_len) : NULL;

	if (!end) {
		return false;
	}
	const size_t len = (size_t)(end - client->input) + 1;

	*end = '\0';
	if (end > client->input && end[-1] == '\r') {
		end[-1] = '\0';
	}
	imap_answers_command(&client->answers, client->input);
	drop(&client->input, &client->input_len, len);
	return true;
}

static enum verdict hear(struct client *client)
{
	ERR_clear_error();
	const int len = SSL_read(client->ssl, scratch, sizeof(scratch));

	if (len <= 0) {
		return watch_for_tls(client, len) ? WAIT : OVER;
	}
	keep(&client->input, &client->input_len, scratch, (size_t)len);
	return client->input_len > LINE_MAX_OCTETS ? OVER : GO_ON;
}

static enum verdict shake_hands(struct client *client)
{
	ERR_clear_error();
	const int result = SSL_accept(client->ssl);

	if (result != 1) {
		return watch_for_tls(client, result) ? WAIT : OVER;
	}
	client->is_ready = true;
	return GO_ON;
}

static void serve(struct client *client)
{
	enum verdict verdict = client->is_ready ? GO_ON : shake_hands(client);

	while (verdict == GO_ON) {
		verdict = answer(client);
		if (verdict == GO_ON && !obey_next(client)) {
			verdict = hear(client);
		}
	}
	if (verdict == OVER) {
		hang_up(client);
	}
}

static void take_in(int listener)
{
	const int one = 1;
	const int unsent = UNSENT_MAX;
	const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		return;
	}
	struct client *client = calloc(1, sizeof(*client));
	SSL *ssl = SSL_new(context);

	if (!client || !ssl) {
		die("memory");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	SSL_set_fd(ssl, fd);
	*client = (struct client){ .fd = fd, .ssl = ssl };
	imap_answers_init(&client->answers);
	serve(client);
}

static int listen_on(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int one = 1;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4096) < 0) {
		die("listen");
	}
	return fd;
}

static void prepare_tls(const char *certificate, const char *key)
{
	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
					  SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct epoll_event accepting = { .events = EPOLLIN };

	if (argc != 4) {
		fprintf(stderr, "usage: imap_stand_in PORT CERTIFICATE KEY\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	prepare_tls(argv[2], argv[3]);
	const int listener = listen_on((uint16_t)strtol(argv[1], NULL, 10));

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &accepting);
	for (;;) {
		const int count = epoll_wait(epoll_fd, events, BATCH, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr) {
				serve(events[i].data.ptr);
			} else {
				take_in(listener);
			}
		}
	}
}
