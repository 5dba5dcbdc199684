/*
 * How commands print what others wrote: nothing of it moves a terminal's cursor, and JSON
 * stays JSON.
 */
#ifndef PROXY_CLI_OUTPUT_H
#define PROXY_CLI_OUTPUT_H

#include "protocol/bytes.h"
#include "proxy/base/failure.h"

#include <stdio.h>

#define OUTPUT_TIME_MAX 32

/* "popbridge: TEXT" and the advice, to standard error. Returns 1, an exit code. */
int output_failure(const struct failure *failure);

/* Octets outside of printable ASCII become "?", UTF-8 stays. */
void output_text(FILE *file, struct bytes text);

/* In quotes. */
void output_json(FILE *file, struct bytes text);

/* "2026-11-24T15:04:05Z"; "never" for 0. */
const char *output_time(uint64_t unix_s, char out[OUTPUT_TIME_MAX]);
/* The same in quotes; null for 0. */
void output_json_time(FILE *file, uint64_t unix_s);

/* "7 h ago", "3 days ago". */
const char *output_age(uint64_t unix_s, char out[OUTPUT_TIME_MAX]);

#endif
