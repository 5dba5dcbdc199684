/*
 * Consents that end: counted, and told of before they do.
 */
#ifndef PROXY_KEEPER_CONSENTS_H
#define PROXY_KEEPER_CONSENTS_H

#include "proxy/keeper/registry.h"

/* Zeroed is valid: nothing was said yet. */
struct consents {
	uint64_t said_end_s, said_count; // what the last log line was about
};

/* Once a minute or so: the metrics, and a log line where it has something new to say. */
void consents_look(struct consents *consents, struct store *store, uint64_t now_s);

#endif
