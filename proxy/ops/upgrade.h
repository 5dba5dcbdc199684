/*
 * An upgrade in place: the program file, by now another one, takes this process over,
 * with the listening sockets and the roles that run. So nobody outside sees another
 * process.
 */
#ifndef PROXY_OPS_UPGRADE_H
#define PROXY_OPS_UPGRADE_H

#include "proxy/ops/roster.h"

/*
 * Tries the program file, then becomes it. Returns only where that did not work, with
 * everything as before.
 */
SUSPENDS void upgrade(const struct source *source, struct roster *roster,
		      struct failure *failure);

/* The hand-over this process was given by the program before; -1: none. Once. */
int upgrade_inherited(void);

/*
 * What came of it, for `popbridge upgrade`: a line in a file beside the control socket
 * (NULL: nowhere), UPGRADE_DONE or a reason.
 */
#define UPGRADE_SUFFIX ".upgrade"
#define UPGRADE_DONE "done "
void upgrade_report(const char *control, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Signals that come between the two programs wait for the second one. */
void upgrade_hold_signals(bool held);

#endif
