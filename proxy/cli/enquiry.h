/*
 * A command's end of the control socket: asks the service that runs, reads rows until the
 * end. Blocks.
 */
#ifndef PROXY_CLI_ENQUIRY_H
#define PROXY_CLI_ENQUIRY_H

#include "proxy/base/failure.h"
#include "proxy/config/config.h"
#include "proxy/ipc/admin_message.h"

#include <argp.h>

/* Which service: by its socket, or by its configuration. */
struct enquiry_place {
	const char *config;  // NULL: the usual one
	const char *control; // NULL: where the configuration says
};

/* --config and --control, for a command's argp; the child's input is an enquiry_place. */
extern const struct argp_child enquiry_options[];

struct enquiry {
	int fd;
	char *packet; // owned; what the last row's texts point into
};

/*
 * FAILURE_PERMANENT: no control socket is configured, or it is not ours to ask.
 * FAILURE_TEMPORARY: nobody answers there. Nothing is open then.
 */
bool enquiry_open(struct enquiry *enquiry, const struct enquiry_place *place,
		  struct failure *failure);
/* The socket's path is known. */
bool enquiry_open_at(struct enquiry *enquiry, const char *control,
		     struct failure *failure);
void enquiry_close(struct enquiry *enquiry);

/*
 * The path of the control socket and, where it is not broken, the configuration; each is
 * owned by the caller, NULL where there is none. Mistakes are not printed, but that there
 * are some is.
 */
void enquiry_find(const struct enquiry_place *place, char **control,
		  struct config **config);

/* The next answers may take a minute each. */
void enquiry_be_patient(const struct enquiry *enquiry);

bool enquiry_ask(struct enquiry *enquiry, const struct admin_message *message,
		 struct failure *failure);

/*
 * The next row; ADMIN_END is one, and the last. False: the service refused
 * (ADMIN_FAILED), or broke off.
 */
bool enquiry_next(struct enquiry *enquiry, struct admin_message *row,
		  struct failure *failure);

/* Asks what has no rows but the end: its count. */
bool enquiry_count(struct enquiry *enquiry, const struct admin_message *message,
		   uint64_t *count, struct failure *failure);

#endif
