#include "proxy/web/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_OCTETS 255

/* ":80", or nothing. */
static bool is_port(const char *text)
{
	if (*text == '\0') {
		return true;
	}
	return *text == ':' && text[1] != '\0' && strlen(text) <= 6 &&
	       text[1 + strspn(text + 1, "0123456789")] == '\0';
}

static bool is_numeric_6(const char *host)
{
	const char *end = strchr(host, ']');
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t len;

	if (!end || !is_port(end + 1)) {
		return false;
	}
	len = (size_t)(end - host - 1);
	if (len >= sizeof(text)) {
		return false;
	}
	memcpy(text, host + 1, len);
	text[len] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_named(const struct config_web *web, const char *name)
{
	for (size_t i = 0; i < web->host_name_count; i++) {
		if (strcasecmp(name, web->host_names[i]) == 0) {
			return true;
		}
	}
	return strcasecmp(name, "localhost") == 0;
}

bool host_is_ours(const struct config_web *web, const char *host)
{
	char name[NAME_MAX_OCTETS + 1];
	struct in_addr address;
	size_t len;

	if (!host) {
		return false;
	}
	if (host[0] == '[') {
		return is_numeric_6(host);
	}
	len = strcspn(host, ":");
	if (len > NAME_MAX_OCTETS || !is_port(host + len)) {
		return false;
	}
	memcpy(name, host, len);
	name[len] = '\0';
	return inet_pton(AF_INET, name, &address) == 1 || is_named(web, name);
}
