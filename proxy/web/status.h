/*
 * The same as the status page, for programs and for terminals.
 */
#ifndef PROXY_WEB_STATUS_H
#define PROXY_WEB_STATUS_H

#include "proxy/web/view.h"

void status_write_json(const struct view *view, struct buffer *out);
void status_write_text(const struct view *view, struct buffer *out);

/* The body of /ready: {"status":"ok","reasons":[]}. */
void status_write_health(const struct health *health, struct buffer *out);

#endif
