#include "proxy/web/nonce.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void nonce_make(char out[NONCE_TEXT])
{
	unsigned char random[NONCE_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		abort();
	}
	for (int i = 0; i < NONCE_BYTES; i++) {
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	}
}
