/*
 * The status page: one self-contained HTML document, no script, nothing loaded.
 */
#ifndef PROXY_WEB_PAGE_H
#define PROXY_WEB_PAGE_H

#include "proxy/web/view.h"

/* nonce: what the Content-Security-Policy lets the page's own style pass with. */
void page_write(const struct view *view, const char *nonce, struct buffer *out);

#endif
