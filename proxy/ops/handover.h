/*
 * What a master hands to the program that takes its place in the same process: lines of
 * text in a memory file. Descriptors are numbers, good again once they were kept open
 * over the exec. The program may be another version's, so anything it does not know is
 * refused, by a trial of it before there is no way back.
 *
 * HANDOVER_VERSION is another one whenever old workers could not be served by new masters
 * and keepers: a change of this text, of control.h or of keeper_message.h that the other
 * side does not read. Then an upgrade is refused, and takes a restart.
 */
#ifndef PROXY_OPS_HANDOVER_H
#define PROXY_OPS_HANDOVER_H

#include "protocol/buffer.h"
#include "proxy/base/failure.h"
#include "proxy/ops/control.h"
#include "proxy/ops/source.h"

#define HANDOVER_VERSION 1
#define HANDOVER_MAX (1024 * 1024)

struct handover_child {
	const char *role; // static: "worker", "keeper", "web", "oauth"
	uint32_t pid;
	int channel;
	int pulse;
	uint32_t row;  // in the metrics
	uint32_t slot; // a worker's
	bool leaves;   // was told to drain
};

struct handover {
	char *program; // owned: where the program file is
	char *path;    // owned; as in struct source
	char *url;     // owned
	bool is_text;  // the source is a text, that of the configuration
	uint64_t started_s;
	unsigned char key[CONTROL_KEY_BYTES];
	int text_fd, metrics, census, history;
	size_t slot_count;
	size_t listener_count;
	int *sockets;                    // owned; slot_count for each listener
	struct handover_child *children; // owned
	size_t child_count;
};

/* False: it does not fit. */
bool handover_encode(const struct handover *handover, struct buffer *out);

/* FAILURE_PROTOCOL: not such a text, or another version's. Released by the caller in
 * either case. */
bool handover_decode(struct bytes text, struct handover *out, struct failure *failure);

void handover_release(struct handover *handover);

/* All its descriptors survive an exec, or none. False: one of them is not open. */
bool handover_keep(const struct handover *handover, bool kept);

/* To and from a memory file. -1: it does not fit. The reader closes nothing. */
int handover_write(const struct handover *handover);
bool handover_read(int fd, struct handover *out, struct failure *failure);

#endif
