#include "tests/bench/load/made_mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 78 // a line of 76 characters and CR LF
#define HEADER 4 // of them are the header; the empty line is in the next
#define BLOCKS_MIN 8
#define OCTETS_MAX 1000000000UL
#define MESSAGES_MAX 10000000UL

bool made_mailbox_parse(const char *user, struct made_mailbox *out)
{
	char *end;
	const unsigned long messages = strtoul(user, &end, 10);
	const unsigned long octets = *end == 'x' ? strtoul(end + 1, &end, 10) : 0;

	if (*end != '-' || messages > MESSAGES_MAX || octets < BLOCKS_MIN * BLOCK ||
	    octets > OCTETS_MAX || strlen(user) >= MADE_MAIL_USER_MAX) {
		return false;
	}
	snprintf(out->user, sizeof(out->user), "%s", user);
	out->messages = (uint32_t)messages;
	out->blocks = (uint32_t)octets / BLOCK;
	return true;
}

uint32_t made_mail_octets(const struct made_mailbox *mailbox, uint32_t imap_uid)
{
	return (mailbox->blocks + imap_uid % 3) * BLOCK;
}

/* Some lines begin with a dot, as in real mail. */
static void write_block(const struct made_mailbox *mailbox, uint32_t imap_uid,
			uint32_t number, char out[BLOCK])
{
	static const char *const before[] = { "From: a", "To: a", "Subject: a",
					      "Message-ID: a", "\r\n" };
	char text[BLOCK + 1];
	const int len = snprintf(text, sizeof(text), "%s%u %s %u ",
				 number <= HEADER  ? before[number]
				 : number % 7 == 0 ? "."
						   : "",
				 number, mailbox->user, imap_uid);

	memset(out, 'a' + (int)(number % 26), BLOCK - 2);
	memcpy(out, text, len < BLOCK - 2 ? (size_t)len : BLOCK - 2);
	memcpy(out + BLOCK - 2, "\r\n", 2);
}

void made_mail_read(const struct made_mailbox *mailbox, uint32_t imap_uid,
		    uint32_t offset, size_t len, char *out)
{
	char block[BLOCK];

	while (len > 0) {
		const uint32_t skip = offset % BLOCK;
		const size_t part = len < BLOCK - skip ? len : BLOCK - skip;

		write_block(mailbox, imap_uid, offset / BLOCK, block);
		memcpy(out, block + skip, part);
		offset += (uint32_t)part;
		out += part;
		len -= part;
	}
}
