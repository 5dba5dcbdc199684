/*
 * Which rows of the metrics and the census are in use: one a living worker, the drained
 * ones included. Row 0 is the master's own.
 */
#ifndef PROXY_OPS_ROW_H
#define PROXY_OPS_ROW_H

#include "proxy/base/metrics.h"

/* METRICS_ROWS: none is free; metrics_use_row() takes that for "do not count". */
uint32_t row_take(void);

/* It is in use already, by a process that was adopted. */
void row_claim(uint32_t row);

/* Its process is gone. METRICS_MASTER_ROW and METRICS_ROWS are fine, and nothing. */
void row_give_back(uint32_t row);

#endif
