/*
 * Where a configuration comes from, and its text: what a role is given is exactly what
 * the master has checked, not what stands in the file by now.
 */
#ifndef PROXY_OPS_SOURCE_H
#define PROXY_OPS_SOURCE_H

#include "proxy/config/config.h"

struct source {
	const char *path; // borrowed; NULL: url
	const char *url;  // borrowed
	const char *text; // borrowed; the YAML itself, path is then only its name
};

/*
 * Read and check. On success *text_fd is a memory file with the text, for
 * source_from_descriptor(); the caller closes it.
 */
struct config *source_load(const struct source *source, int *text_fd,
			   struct config_errors *errors);

/* In a role. The descriptor is closed. */
struct config *source_from_descriptor(int text_fd, struct config_errors *errors);

/* The text in it as source::text, put into *text; NULL: it does not fit. The descriptor
 * stays open. */
const char *source_text(int text_fd, struct buffer *text);

#endif
