#include "proxy/web/consent_gate.h"

#include <string.h>
#include <strings.h>

#define HTTPS "https://"
#define USUAL_PORT ":443"
#define FORM "application/x-www-form-urlencoded"

bool gate_is_host(const char *url, const char *host)
{
	const char *ours = url + strlen(HTTPS);
	const size_t len = strlen(ours);

	if (!host || strncasecmp(host, ours, len) != 0) {
		return false;
	}
	return host[len] == '\0' ||
	       (strcmp(host + len, USUAL_PORT) == 0 &&
		!strchr(strchr(ours, ']') ? strchr(ours, ']') : ours, ':'));
}

bool gate_is_ours(const char *url, const char *origin, const char *fetch_site)
{
	if (fetch_site && strcmp(fetch_site, "same-origin") != 0) {
		return false;
	}
	return !origin || strcmp(origin, "null") == 0 || strcasecmp(origin, url) == 0;
}

bool gate_is_form(const char *content_type)
{
	const size_t len = strlen(FORM);

	return content_type && strncasecmp(content_type, FORM, len) == 0 &&
	       (content_type[len] == '\0' || content_type[len] == ';' ||
		content_type[len] == ' ');
}
