/*
 * What lets a page's own style and script in, and nothing else: new for each page.
 */
#ifndef PROXY_WEB_NONCE_H
#define PROXY_WEB_NONCE_H

#define NONCE_BYTES 16
#define NONCE_TEXT (2 * NONCE_BYTES + 1)

void nonce_make(char out[NONCE_TEXT]);

#endif
