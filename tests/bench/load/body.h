/*
 * The octets of messages as they come in, walked line by line. POP3 and IMAP bodies cost
 * the same to walk, so that their throughput can be compared.
 */
#ifndef BENCH_BODY_H
#define BENCH_BODY_H

#include "tests/bench/load/connection.h"

#include <openssl/evp.h>

enum body_place {
	BODY_LINE_START,
	BODY_IN_LINE,
	BODY_BEHIND_DOT,
	BODY_BEHIND_DOT_CR,
};

struct body {
	uint64_t octets;    // of all bodies, without the stuffing
	double first_s;     // when the first octet came
	EVP_MD_CTX *digest; // over all bodies; NULL: none
	enum body_place place;
};

void body_init(struct body *body, bool with_digest);

/* Up to the lone dot. False: the connection broke off. */
bool body_take_stuffed(struct body *body, struct connection *c);
/* len octets. */
bool body_take_literal(struct body *body, struct connection *c, uint64_t len);

/* Frees the digest. out: 64 hex digits, "" without digest. */
void body_finish(struct body *body, char out[65]);

#endif
