/*
 * A sign of life: a number in shared memory that a process makes another one every second
 * while it gets round to it, and that the process which started it looks at.
 */
#ifndef PROXY_BASE_PULSE_H
#define PROXY_BASE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

#define PULSE_MS 1000

/* A memory file. -1: errno says why. */
int pulse_create(void);

/* From now on this process beats there. The descriptor stays the caller's. */
bool pulse_attach(int fd);
void pulse_beat(void); // nothing where it is not attached

/* Another number than before: it lives. */
uint64_t pulse_read(int fd);

#endif
