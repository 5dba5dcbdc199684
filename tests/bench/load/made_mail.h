/*
 * Mail that nobody stores: every octet of a message follows from the mailbox's name and
 * the UID, so the server that gives it and the client that checks it need not agree on
 * anything else. A mailbox's name says what is in it: 100x2000-0042 has 100 messages of
 * about 2,000 octets, 1x50000000-7 one of 50 MB.
 */
#ifndef BENCH_MADE_MAIL_H
#define BENCH_MADE_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MADE_MAIL_USER_MAX 48

struct made_mailbox {
	char user[MADE_MAIL_USER_MAX];
	uint32_t messages; // UIDs 1 to this
	uint32_t blocks;   // how long they are; a little longer by UID
};

/* False: not such a name. */
bool made_mailbox_parse(const char *user, struct made_mailbox *out);

/* The whole message's octets; it ends with CR LF. */
uint32_t made_mail_octets(const struct made_mailbox *mailbox, uint32_t imap_uid);

/* len octets from an offset within the message. */
void made_mail_read(const struct made_mailbox *mailbox, uint32_t imap_uid,
		    uint32_t offset, size_t len, char *out);

#endif
