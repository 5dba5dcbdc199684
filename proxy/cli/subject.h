/*
 * What `popbridge explain`, `kick` and `forget` are told: whom or what it is about, and
 * how to say it.
 */
#ifndef PROXY_CLI_SUBJECT_H
#define PROXY_CLI_SUBJECT_H

#include "proxy/cli/enquiry.h"

struct subject {
	struct enquiry_place place;
	const char *name; // borrowed from the command line; not NULL once parsed
	bool json;
};

/* For a command's argp, with enquiry_options; its input is a struct subject. */
extern const struct argp_option subject_options[];
error_t subject_take(int key, char *value, struct argp_state *state);

#endif
