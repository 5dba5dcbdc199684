/*
 * No source may fill the log: beyond so many lines in one second its lines are only
 * counted, and a line says how many they were.
 */
#ifndef PROXY_BASE_LOG_LIMIT_H
#define PROXY_BASE_LOG_LIMIT_H

#include <stdbool.h>

#define LOG_LIMIT_LINES 100

/* May this source write one more line now? Counts it. source: as it stands in the log. */
bool log_limit_allows(const char *source);

/*
 * Writes "lines suppressed" for every source whose second is over. True: there are some
 * whose second is not, so it should be called again a second later.
 */
bool log_limit_report(void);

#endif
