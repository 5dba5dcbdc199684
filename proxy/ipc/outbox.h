/*
 * Messages on their way out over a channel: put in by whoever has something to say, sent
 * in order, at once or by a task of its own, so that nobody waits to say it.
 */
#ifndef PROXY_IPC_OUTBOX_H
#define PROXY_IPC_OUTBOX_H

#include "proxy/ipc/keeper_message.h"
#include "proxy/rt/channel.h"

#define OUTBOX_MAX (64 * 1024 * 1024) // octets waiting: the reader has stopped to read

struct outbox_packet;

/* Zeroed is valid: not started. */
struct outbox {
	struct outbox_packet *first, *last; // outbox_packet::next, in order
	size_t waiting;                     // octets
	bool is_overrun;                    // something was dropped: end the channel
	struct channel *channel;            // borrowed
	struct task *task;
	struct gate more;
};

void outbox_start(struct outbox *outbox, struct channel *channel);

/* What waits is dropped; can be started again. */
SUSPENDS void outbox_stop(struct outbox *outbox);

/* False: the message cannot be spelt. Nothing happens where it is not started. */
bool outbox_put(struct outbox *outbox, const struct keeper_message *message);

#endif
