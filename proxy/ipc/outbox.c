/*
 * All goes well: a packet is sent before outbox_put() returns, so that what is said next
 * to somebody else comes later. The reader is slow: packets wait here, up to a maximum,
 * beyond which the reader is as good as dead. The reader is gone: sending stops; whoever
 * receives from the same channel notices and ends it.
 */
#include "proxy/ipc/outbox.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

#define PACKET_MAX (2 * KEEPER_TEXT_MAX + KEEPER_SET_MAX + 256)

struct outbox_packet {
	struct outbox_packet *next;
	struct buffer text; // owned
};

/* There may be a secret in it. */
static void free_packet(struct outbox_packet *packet)
{
	memory_wipe(packet->text.data, packet->text.size);
	buffer_release(&packet->text);
	free(packet);
}

static void drop_first(struct outbox *outbox)
{
	struct outbox_packet *packet = outbox->first;

	outbox->first = packet->next;
	if (!outbox->first) {
		outbox->last = NULL;
	}
	outbox->waiting -= packet->text.len;
	free_packet(packet);
}

static SUSPENDS void send_all(void *argument)
{
	struct outbox *outbox = argument;
	struct failure ignored;
	bool ok = true;

	while (ok) {
		if (!outbox->first) {
			ok = gate_wait(&outbox->more, DEADLINE_NEVER, &ignored);
			continue;
		}
		ok = channel_send(outbox->channel, buffer_bytes(&outbox->first->text),
				  NULL, DEADLINE_NEVER, &ignored);
		if (ok) {
			drop_first(outbox);
		}
	}
}

void outbox_start(struct outbox *outbox, struct channel *channel)
{
	*outbox = (struct outbox){ .channel = channel };
	outbox->task = task_start_child(send_all, outbox);
}

SUSPENDS void outbox_stop(struct outbox *outbox)
{
	if (!outbox->task) {
		return;
	}
	task_cancel(outbox->task);
	task_join(outbox->task);
	while (outbox->first) {
		drop_first(outbox);
	}
	*outbox = (struct outbox){ 0 };
}

bool outbox_put(struct outbox *outbox, const struct keeper_message *message)
{
	struct outbox_packet *packet = memory_new(sizeof(*packet));

	buffer_init(&packet->text, PACKET_MAX);
	if (!keeper_message_encode(message, &packet->text)) {
		free_packet(packet);
		return false;
	}
	if (outbox->task && !outbox->first &&
	    channel_send_at_once(outbox->channel, buffer_bytes(&packet->text))) {
		free_packet(packet);
		return true;
	}
	if (!outbox->task || outbox->waiting + packet->text.len > OUTBOX_MAX) {
		outbox->is_overrun = outbox->task != NULL;
		free_packet(packet);
		return true;
	}
	outbox->waiting += packet->text.len;
	if (outbox->last) {
		outbox->last->next = packet;
	} else {
		outbox->first = packet;
	}
	outbox->last = packet;
	gate_open(&outbox->more);
	return true;
}
