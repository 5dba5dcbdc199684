/*
 * What the master and its roles say to each other over descriptor 3 of a role. Both are
 * the same program, so a message is a struct; but after an upgrade an old worker hears a
 * newer master, so fields stay where they are and new ones come behind them: a shorter
 * message is read as if zeros followed, and of a longer one what is known.
 */
#ifndef PROXY_OPS_CONTROL_H
#define PROXY_OPS_CONTROL_H

#include "proxy/rt/channel.h"

#define CONTROL_FD 3
#define CONTROL_VERSION 1
#define CONTROL_KEY_BYTES 32

enum control_type {
	/* master to role */
	CONTROL_START = 1, // descriptors: the configuration's text, the metrics, the
			   // pulse, then a worker's census and listeners, a keeper's
			   // ways to the workers, the web role's history or the trial's
			   // hand-over
	CONTROL_KEEPER, // descriptor: a worker's new way to the keeper, or a keeper's to
			// a worker
	CONTROL_DRAIN,  // milliseconds: accept no more, end by then
	/* role to master */
	CONTROL_READY, // started: serves from now on
	/* master to role */
	CONTROL_SETTING, // descriptor: a new configuration's text, for the keeper
	/* role to master */
	CONTROL_STORE, // descriptor: what a keeper that leaves kept in memory
	/* master to role */
	CONTROL_TOKENS, // descriptor: a keeper's new way to the oauth role, or its to a
			// keeper
	CONTROL_JUDGE,  // descriptors: a configuration's text, and a channel: may the
			// keeper's accounts have it? -> one packet over that channel,
			// CONTROL_YES or CONTROL_NO and why not
	CONTROL_PAGE,   // the same with the web role, for the consent page
};

#define CONTROL_YES 'y'
#define CONTROL_NO 'n'

/* A keeper at its START, about other unique-ids than known accounts have. */
enum control_change { CONTROL_NOT_ASKED, CONTROL_REFUSE, CONTROL_ACCEPT };

struct control_message {
	uint32_t version;
	uint32_t type;
	uint32_t slot;                        // START: the worker's
	uint32_t milliseconds;                // DRAIN
	unsigned char key[CONTROL_KEY_BYTES]; // START: for keyed hashes, one per start
	uint32_t row;                         // START: the worker's in the metrics
	uint32_t has_store; // START: 1: behind the pulse is the store of CONTROL_STORE
	uint32_t change;    // START: enum control_change
};

#define CONTROL_FIRST_BYTES offsetof(struct control_message, has_store) // version 1's

SUSPENDS bool control_send(struct channel *channel, const struct control_message *message,
			   const struct channel_descriptors *descriptors,
			   struct failure *failure);

/* FAILURE_PROTOCOL: not such a message; its descriptors are closed. */
SUSPENDS bool control_receive(struct channel *channel, struct control_message *message,
			      struct channel_descriptors *descriptors,
			      uint64_t deadline_ms, struct failure *failure);

#endif
