/*
 * The status page's style sheet. Inside of proxy/web only.
 */
#ifndef PROXY_WEB_PAGE_STYLE_H
#define PROXY_WEB_PAGE_STYLE_H

extern const char page_style[];

#endif
