/*
 * What the files of a worker's end share. Nobody else includes this.
 *
 * keeper_client.c           the connection to the keeper, and questions without an answer
 * keeper_client_maildrop.c  maildrop locks, and what was left in maildrops
 * keeper_client_sign_in.c   sign-ins, and what came of sessions
 * keeper_client_proof.c     passwords of registered accounts
 * keeper_client_index.c     indexes of folders, and what unique-ids are made by
 * keeper_client_operator.c  what an operator wants to know, and wants done
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
	struct keeper_message message; // its texts are owned by lock and text
	uint32_t number;               // the answer
	char *set;                     // owned; the answer of ASK_LEFT
	struct buffer piece;           // the answer of ASK_INDEX
	struct keeper_answer *proof;   // owned; the answer of PROVE
	struct keeper_lock *lock;      // owned while open; NULL: it is about no lock
	char *text;                    // owned
	struct secret secret;          // PROVE
	struct gate answered;
};

/* Sessions that an operator wants ended. */
struct kick {
	struct kick *next;
	uint32_t request;
	enum keeper_kick_what what;
	char *account; // owned
	size_t account_len;
};

/* A CREDENTIAL, with texts of its own. */
struct keeper_answer {
	struct keeper_credential credential;
	struct failure failure;
};

#define KEEPER_ADVICES_MAX 16

struct keeper_client {
	uint32_t slot;
	unsigned char key[KEEPER_HASH_BYTES];
	char *advices[KEEPER_ADVICES_MAX]; // owned; what the keeper has advised so far
	int next_fd;                       // a keeper to connect to; -1: none
	bool is_connected;                 // and everything is declared
	bool is_gone;                      // this connection is over
	bool is_ending;
	bool offers_apop;
	uint32_t last_request;
	struct question *questions; // question::next
	struct keeper_lock *held;   // keeper_lock::next
	struct channel *channel;
	struct outbox outbox;
	struct gate changed; // next_fd, is_gone, is_ending
	struct task *task;
	char *packet;       // CHANNEL_MESSAGE_MAX
	struct kick *kicks; // kick::next, the newest first
	size_t kick_count;
	struct gate kicked;         // kicks has one more
	uint64_t failures_since_ms; // a second of telling failures
	unsigned failures;          // told in it
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

/* IPv4 is mapped into IPv6, so that one client has one address on every listener. */
void keeper_address_octets(const struct address *address,
			   unsigned char out[KEEPER_ADDRESS_BYTES]);

/* keeper_client_proof.c */

struct keeper_answer *keeper_answer_copy(struct keeper_client *client,
					 const struct keeper_message *message);
void keeper_answer_free(struct keeper_answer *answer);

/* keeper_client_maildrop.c */

void keeper_lock_free(struct keeper_lock *lock);

/* keeper_client_operator.c */

void keeper_kick_add(struct keeper_client *client, const struct keeper_message *message);
void keeper_kicks_free(struct keeper_client *client);

#endif
