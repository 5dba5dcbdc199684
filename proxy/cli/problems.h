/*
 * `popbridge status --problems` and `--legacy`. Exit codes.
 */
#ifndef PROXY_CLI_PROBLEMS_H
#define PROXY_CLI_PROBLEMS_H

#include "proxy/cli/enquiry.h"

#define PROBLEMS_THERE_ARE 2 // the exit code

/* silent_s: who did not sign in for so long is listed too; 0: he is not. */
int problems_print(const struct enquiry_place *place, uint64_t silent_s, bool json);

/* Who signed in without TLS, or with an old one. */
int legacy_print(const struct enquiry_place *place, bool json);

#endif
