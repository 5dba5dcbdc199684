/*
 * One IMAP connection of the stand-in: command lines in, answers out, piece by piece. The
 * mailboxes are those of made_mail.h: fixed, so they are read-only, and what would change
 * them is refused. What it does not know is answered BAD. No I/O here.
 */
#ifndef BENCH_IMAP_ANSWERS_H
#define BENCH_IMAP_ANSWERS_H

#include "tests/bench/load/made_mail.h"

#define ANSWER_PIECE_MIN 1024 // the least room that a piece of an answer needs

struct imap_answers {
	struct made_mailbox mailbox; // empty user: nobody has signed in
	bool leaving;                // LOGOUT was said: close when all is sent
	bool awaits_credential;      // the next line is AUTHENTICATE's
	struct answer *current;      // owned; NULL: ready for a command
	char tag[32];
};

/* The greeting is the first answer. */
void imap_answers_init(struct imap_answers *answers);
void imap_answers_release(struct imap_answers *answers);

/* One command, its CR LF taken off. Only when there is no current answer. */
void imap_answers_command(struct imap_answers *answers, char *line);

/* The next piece of the answer, size at least ANSWER_PIECE_MIN. 0: there is no more. */
size_t imap_answers_next(struct imap_answers *answers, char *out, size_t size);

#endif
