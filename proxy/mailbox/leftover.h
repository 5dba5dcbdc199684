/*
 * Messages that we flagged \Deleted and had to leave (without-uidplus: leave), so that
 * they do not count as other people's the next time. In memory, shared by the sessions
 * of a worker; bounded, forgotten when it ends or is replaced: then they count as
 * foreign, and QUIT answers -ERR until the flags are gone or without-uidplus is
 * `careful`.
 */
#ifndef PROXY_MAILBOX_LEFTOVER_H
#define PROXY_MAILBOX_LEFTOVER_H

#include "protocol/imap_set.h"

struct leftovers;

struct leftovers *leftovers_new(void);
void leftovers_free(struct leftovers *leftovers); // NULL is fine

/* maildrop: its canonical name. set: as for commands. */
void leftovers_add(struct leftovers *leftovers, struct bytes maildrop,
		   uint32_t uidvalidity, struct bytes set);

bool leftovers_contain(const struct leftovers *leftovers, struct bytes maildrop,
		       uint32_t uidvalidity, uint32_t imap_uid);

#endif
