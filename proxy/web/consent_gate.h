/*
 * Who may ask the consent page, by the headers of a request. Pure; they are untrusted,
 * and NULL where they were not sent. url: of the page, an origin as browsers spell it.
 */
#ifndef PROXY_WEB_CONSENT_GATE_H
#define PROXY_WEB_CONSENT_GATE_H

#include <stdbool.h>

/* The prefix has browsers see to it that it is ours alone (RFC 6265bis 4.1.3.2). */
#define GATE_COOKIE "__Host-popbridge"

/* Host: the page's, so that no other name leads here (DNS rebinding). */
bool gate_is_host(const char *url, const char *host);

/*
 * Does a POST come from a page of ours? By Origin where it tells; our Referrer-Policy has
 * browsers send "null", and Sec-Fetch-Site tells then. Old browsers send neither: they
 * are let in, for a form has a secret word besides.
 */
bool gate_is_ours(const char *url, const char *origin, const char *fetch_site);

/* Content-Type of a form, as our pages send it. */
bool gate_is_form(const char *content_type);

#endif
