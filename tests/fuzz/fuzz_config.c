/*
 * Any text as a configuration file: no crash, no leak, and either a configuration or a
 * message, never both. What was understood can be described and routes users.
 */
#include "proxy/config/config_raw.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct config *config, struct bytes user)
{
	struct buffer out = { .max = (size_t)1 << 20 };
	config_describe(config, &out);
	if (out.len == 0) {
		abort();
	}
	buffer_clear(&out);
	const struct config_route *route = config_route_for(config, user);
	if (route != NULL && config_upstream_user(route, user, &out) == (out.len == 0)) {
		abort();
	}
	buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { (const char *)data, size };
	struct config_errors errors;
	struct config *config = config_parse(text, "f.yaml", &errors);
	if ((config == NULL) != (errors.count > 0)) {
		abort();
	}
	if (config != NULL) {
		use(config, text);
	}
	config_free(config);
	config_errors_release(&errors);
	free(config_find_control(text));
	return 0;
}
