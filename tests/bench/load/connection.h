/*
 * A blocking connection to 127.0.0.1 with lines, plain or TLS, for the load generators.
 * Fields are for reading only.
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_mode {
	TLS_NONE,
	TLS_BY_COMMAND, // STLS, STARTTLS
	TLS_AT_ONCE,
};

struct connection {
	int fd;
	SSL *ssl;    // NULL: plain
	char *input; // owned
	size_t at, len;
};

double now_s(void); // monotonic

/* Once, before the first connection. "": certificates are not verified. */
void connection_trust(const char *ca_file);

/* A socket that is connected. source: the address to come from; 0: any. -1: none. */
int connection_socket(uint16_t port, uint32_t source);

/* After a failure too, the connection is to be closed. */
bool connection_open(struct connection *c, uint16_t port, enum tls_mode tls,
		     uint32_t source);
bool connection_start_tls(struct connection *c);
void connection_close(struct connection *c);

/* For a connection that will only idle, and when it has something to do again. */
void connection_drop_input(struct connection *c);
void connection_want_input(struct connection *c);

/* Waits for more input; what was not taken yet may move. False: the end. */
bool connection_fill(struct connection *c);
bool connection_send(struct connection *c, const char *text, size_t len);

/* One line without its end, cut to fit. */
bool connection_line(struct connection *c, char *out, size_t size);

#endif
