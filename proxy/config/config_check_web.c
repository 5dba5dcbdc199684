/*
 * The web section: where health, metrics and the status page are served.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_values.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_ADDRESS "127.0.0.1:9110"

static bool is_host_name(const char *name)
{
	const size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' &&
		    name[i] != '.') {
			return false;
		}
	}
	return len > 0 && len <= CONFIG_HOST_MAX;
}

static void check_host_names(struct config_check *check, const struct config_raw_web *raw,
			     struct config_web *web)
{
	char key[32];

	web->host_names = memory_new_array(raw->host_names_count, sizeof(char *));
	for (unsigned i = 0; i < raw->host_names_count; i++) {
		const char *name = raw->host_names[i] ? raw->host_names[i] : "";

		snprintf(key, sizeof(key), "host-names[%u]", i);
		if (!is_host_name(name)) {
			config_mistake(check, key,
				       "a host name is letters, digits, - and ., without "
				       "port, not %s",
				       config_quote(bytes_of(name)).text);
		}
		web->host_names[web->host_name_count++] =
			memory_copy_text(bytes_of(name));
	}
}

static void check_not_a_listener(struct config_check *check, const struct config *config)
{
	const struct address *address = &config->web.address;
	char ours[ADDRESS_TEXT_MAX];
	char theirs[ADDRESS_TEXT_MAX];

	address_text(address, ours);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct address *other = &config->listeners[i].address;

		if (address_port(address) == 0 ||
		    address_port(address) != address_port(other)) {
			continue;
		}
		address_text(other, theirs);
		if (strcmp(ours, theirs) == 0) {
			config_mistake(check, "address", "is that of listen[%zu], too",
				       i);
		}
	}
}

void config_check_web(struct config_check *check, const struct config_raw_web *raw,
		      struct config *config)
{
	struct config_web *web = &config->web;
	const char *text = raw && raw->address ? raw->address : DEFAULT_ADDRESS;
	const char *why;

	if (!raw) {
		return;
	}
	web->wanted = true;
	snprintf(check->at, sizeof(check->at), "web");
	if (!config_address_parse(bytes_of(text), &web->address, &why)) {
		config_mistake(check, "address", "%s, not %s", why,
			       config_quote(bytes_of(text)).text);
		return;
	}
	check_not_a_listener(check, config);
	check_host_names(check, raw, web);
}
