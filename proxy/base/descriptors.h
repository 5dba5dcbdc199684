/*
 * How many sessions the system's limit of open files leaves room for: a session needs
 * two descriptors, its client and its server.
 */
#ifndef PROXY_BASE_DESCRIPTORS_H
#define PROXY_BASE_DESCRIPTORS_H

#include <stdint.h>

/* The master, before it starts others: as many as the system lets us have. */
void descriptors_raise_limit(void);

/*
 * Sessions that one worker has descriptors for, once some are kept back: for listeners,
 * channels, name resolution, second tries at a connection, and so many parked ones.
 */
uint32_t descriptors_sessions(uint32_t parked);

#endif
