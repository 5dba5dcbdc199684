/*
 * One end of a socketpair between two roles (SOCK_SEQPACKET): whole messages, with
 * descriptors where asked for. Not for the network.
 */
#ifndef PROXY_RT_CHANNEL_H
#define PROXY_RT_CHANNEL_H

#include "protocol/bytes.h"
#include "proxy/rt/task.h"

#define CHANNEL_MESSAGE_MAX (64 * 1024)
#define CHANNEL_DESCRIPTORS_MAX 240

struct channel;

/* Both ends, non-blocking, close-on-exec. False: errno says why. */
bool channel_pair(int ends[2]);

/* Takes the descriptor over. */
struct channel *channel_new(int fd);

/* Stays the channel's. */
int channel_descriptor(const struct channel *channel);

/* Descriptors that came with a message: the receiver owns them. */
struct channel_descriptors {
	int list[CHANNEL_DESCRIPTORS_MAX];
	size_t count;
};

/*
 * One message into text (CHANNEL_MESSAGE_MAX octets). FAILURE_PEER_GONE: the other role
 * is gone. FAILURE_PROTOCOL: longer than allowed. FAILURE_TIMEOUT, FAILURE_CANCELLED.
 * descriptors NULL: any that come are closed. One receiver at a time.
 */
SUSPENDS bool channel_receive(struct channel *channel, char *text, size_t *len,
			      struct channel_descriptors *descriptors,
			      uint64_t deadline_ms, struct failure *failure);

/* Sends a copy of the descriptors; the caller keeps his. Several tasks may send. */
SUSPENDS bool channel_send(struct channel *channel, struct bytes message,
			   const struct channel_descriptors *descriptors,
			   uint64_t deadline_ms, struct failure *failure);

/* Sends it if that is possible at once; false: not sent, for whatever reason. */
bool channel_send_at_once(struct channel *channel, struct bytes message);

/* NULL is fine. */
SUSPENDS void channel_close(struct channel *channel);

#endif
