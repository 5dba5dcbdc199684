/*
 * How often an account may sign in (LOGIN-DELAY, RFC 2449 section 6.5): a token bucket
 * each, over a table of fixed size. Pure decisions; the clock is passed in.
 *
 * One token comes back each delay, LOGIN_DELAY_BURST are the most. So a client that
 * checks for mail a few times in a row is let in, and the average holds. An account whose
 * bucket is full again is forgotten; where the table is full, the fullest bucket is.
 */
#ifndef PROXY_KEEPER_LOGIN_DELAY_H
#define PROXY_KEEPER_LOGIN_DELAY_H

#include "protocol/bytes.h"

#include <stdint.h>

#define LOGIN_DELAY_BURST 3

struct login_delay;

struct login_delay *login_delay_new(void);
void login_delay_free(struct login_delay *delays); // NULL is fine

/* 0: it may, and has signed in. Else the milliseconds until it may, and nothing changed.
 */
uint32_t login_delay_ask(struct login_delay *delays, struct bytes account,
			 uint64_t delay_ms, uint64_t now_ms);

#endif
