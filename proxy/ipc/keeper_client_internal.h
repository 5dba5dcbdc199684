/*
 * What the files of a worker's end share. Nobody else includes this.
 *
 * keeper_client.c          the connection to the keeper, and questions without an answer
 * keeper_client_lock.c     maildrop locks
 * keeper_client_sign_in.c  sign-ins, and what came of sessions
 */
#ifndef PROXY_IPC_KEEPER_CLIENT_INTERNAL_H
#define PROXY_IPC_KEEPER_CLIENT_INTERNAL_H

#include "proxy/ipc/keeper_client.h"
#include "proxy/ipc/outbox.h"

struct keeper_lock {
	struct keeper_lock *next;     // keeper_client::held
	struct keeper_lock **at;      // what points to it there
	struct keeper_client *client; // NULL: no keeper by intention
	char *key;                    // owned
	struct task *holder;
	bool is_taken_over;
};

enum question_state { QUESTION_OPEN, QUESTION_ANSWERED, QUESTION_GIVEN_UP };

/* Something asked and not yet answered. */
struct question {
	struct question *next; // keeper_client::questions
	struct question **at;  // what points to it there
	enum question_state state;
	struct keeper_message message; // its texts are owned by lock and account
	uint32_t number;               // the answer
	struct keeper_lock *lock;      // owned while open; NULL: it is about a sign-in
	char *account;                 // owned
	struct gate answered;
};

struct keeper_client {
	uint32_t slot;
	unsigned char key[KEEPER_HASH_BYTES];
	int next_fd;       // a keeper to connect to; -1: none
	bool is_connected; // and everything is declared
	bool is_gone;      // this connection is over
	bool is_ending;
	uint32_t last_request;
	struct question *questions; // question::next
	struct keeper_lock *held;   // keeper_lock::next
	struct channel *channel;
	struct outbox outbox;
	struct gate changed; // next_fd, is_gone, is_ending
	struct task *task;
	char *packet; // CHANNEL_MESSAGE_MAX
};

void keeper_client_say(struct keeper_client *client,
		       const struct keeper_message *message);

/* Waits for the answer. False: it is given up, and not the caller's any more. */
SUSPENDS bool keeper_question_ask(struct keeper_client *client, struct question *question,
				  uint64_t deadline_ms, struct failure *failure);
void keeper_question_free(struct question *question);

/* Nobody answered: what that means depends on whether there was anybody. */
bool keeper_unanswered(const struct keeper_client *client, bool waits_for_holder,
		       struct failure *failure);

/* keeper_client_lock.c */

void keeper_lock_free(struct keeper_lock *lock);

#endif
