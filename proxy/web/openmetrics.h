/*
 * The metrics as OpenMetrics text (openmetrics.io, version 1.0.0).
 */
#ifndef PROXY_WEB_OPENMETRICS_H
#define PROXY_WEB_OPENMETRICS_H

#include "proxy/web/view.h"

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

void openmetrics_write(const struct view *view, struct buffer *out);

#endif
