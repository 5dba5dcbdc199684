/*
 * The control socket: an operator's commands ask, the keeper answers. Each connection is
 * a task; it asks one thing after the other.
 *
 * admin.c          connections, and who answers what
 * admin_answers.c   the answers
 * admin_accounts.c  registered accounts
 * admin_devices.c   their device passwords
 * admin_consent.c   a person's consent
 */
#ifndef PROXY_KEEPER_ADMIN_H
#define PROXY_KEEPER_ADMIN_H

#include "proxy/ipc/admin_message.h"
#include "proxy/keeper/keeper_internal.h"

/* One connection, and what its answers are made with. */
struct admin_client {
	struct admin_client *next; // admin::clients
	struct admin *admin;
	struct keeper *keeper;
	const struct config *config; // of now; read it anew after every wait
	struct channel *channel;
	struct task *task;
	char *packet; // CHANNEL_MESSAGE_MAX
	struct buffer out;
	struct admin_collected *collected; // admin_accounts.c: an import's, until its end
};

/* Ends the connections, takes the socket's name away. NULL is fine. */
SUSPENDS void admin_close(struct admin *admin);

/* KEEPER_KICKED */
void admin_kicked(struct keeper *keeper, const struct keeper_message *message);

/* One row, or the end. False: the operator is gone. */
SUSPENDS bool admin_say(struct admin_client *client, const struct admin_message *message);

/* The end of an answer. */
SUSPENDS bool admin_end(struct admin_client *client, uint64_t count);
SUSPENDS bool admin_fail(struct admin_client *client, const struct failure *failure);

/* Ends what a user has in all workers; how many sessions that were. */
SUSPENDS uint64_t admin_kick(struct admin *admin, struct bytes user,
			     enum keeper_kick_what what);

/* "192.0.2.1", for a row. */
struct bytes admin_address_words(const unsigned char octets[KEEPER_ADDRESS_BYTES],
				 char out[ADDRESS_TEXT_MAX]);

/* Does its provider let the gateway itself in, so that nobody need consent? */
bool admin_needs_no_consent(const struct admin_client *client,
			    const struct registered *registered);

/* False: there is no such account. */
bool admin_find(struct admin_client *client, struct bytes user, struct registered *out);
SUSPENDS bool admin_refuse(struct admin_client *client, const char *why);
SUSPENDS bool admin_not_written(struct admin_client *client);

/* admin_devices.c */

SUSPENDS bool admin_say_devices(struct admin_client *client, struct bytes account);
SUSPENDS bool admin_add_device(struct admin_client *client,
			       const struct admin_message *message);
SUSPENDS bool admin_remove_device(struct admin_client *client,
				  const struct admin_message *message);

/* Seals an account's passwords for APOP with the key of now. */
bool admin_reseal_devices(struct admin_client *client, struct bytes account,
			  struct failure *failure);

/* admin_accounts.c, admin_consent.c: what admin_answer() leaves to them */

SUSPENDS bool admin_answer_accounts(struct admin_client *client,
				    const struct admin_message *message);
void admin_drop_collected(struct admin_client *client);
SUSPENDS bool admin_consent(struct admin_client *client, struct bytes user);
SUSPENDS bool admin_invite(struct admin_client *client, struct bytes user);
SUSPENDS bool admin_grant(struct admin_client *client, struct bytes user,
			  struct bytes refresh_token);

/* admin_answers.c. False: the operator is gone. */

SUSPENDS bool admin_answer(struct admin_client *client,
			   const struct admin_message *message);

#endif
