/*
 * The master's listening sockets: for each address one for each worker slot, bound once
 * and kept, so that connections queued for a worker that died wait for its successor.
 */
#ifndef PROXY_OPS_DOORS_H
#define PROXY_OPS_DOORS_H

#include "proxy/config/config.h"

struct doors {
	struct door_sockets *list; // owned
	size_t count;
	size_t slots;
};

/*
 * Binds what config listens on and is not bound yet, closes what it does not listen on
 * any more. On failure what was bound before is untouched.
 */
bool doors_open(struct doors *doors, const struct config *config, size_t slots,
		struct failure *failure);

/* Bound by another program: for each listener of config one for each slot. */
void doors_adopt(struct doors *doors, const struct config *config, size_t slots,
		 const int *sockets);

/* The socket of config's listener `index` for this slot; the doors keep it. */
int doors_socket(const struct doors *doors, const struct config *config, size_t index,
		 size_t slot);

/* One line in the log for each address. */
void doors_log(const struct doors *doors, const struct config *config);

void doors_close(struct doors *doors);

#endif
