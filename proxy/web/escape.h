/*
 * Text from outside, made harmless for where it is put. What no UTF-8 is, and control
 * octets, become "?".
 */
#ifndef PROXY_WEB_ESCAPE_H
#define PROXY_WEB_ESCAPE_H

#include "protocol/buffer.h"

/* Between tags and in double-quoted attributes. */
void escape_html(struct buffer *out, const char *text);
/* With its quotes. */
void escape_json(struct buffer *out, const char *text);
/* An OpenMetrics label value, with its quotes. */
void escape_label(struct buffer *out, const char *text);

#endif
