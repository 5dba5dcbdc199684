/*
 * How the consent page looks, and the one thing that its script does.
 */
#ifndef PROXY_WEB_CONSENT_STYLE_H
#define PROXY_WEB_CONSENT_STYLE_H

extern const char consent_style[];
extern const char consent_script[];

#endif
