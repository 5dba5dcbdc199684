/*
 * The section log.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"

#include <stdio.h>

/* Patterns as in routes[].match. */
static void check_trace(struct config_check *check, const struct config_raw_log *raw,
			struct config *config)
{
	char key[24];

	config->log_trace = memory_new_array(raw->trace_count, sizeof(char *));
	for (unsigned i = 0; i < raw->trace_count; i++) {
		snprintf(key, sizeof(key), "trace[%u]", i);
		if (config_given(check, key, raw->trace[i])) {
			config->log_trace[config->log_trace_count++] =
				memory_copy_text(bytes_of(raw->trace[i]));
		}
	}
}

void config_check_log(struct config_check *check, const struct config_raw_log *raw,
		      struct config *config)
{
	static const char *const formats[] = {
		[LOG_LOGFMT] = "logfmt", [LOG_JSON] = "json"
	};
	static const char *const levels[] = { [LOG_ERROR] = "error",
					      [LOG_WARNING] = "warning",
					      [LOG_INFO] = "info",
					      [LOG_DEBUG] = "debug" };
	static const char *const addresses[] = { "full", "truncated", "hashed" };
	static const struct config_raw_log nothing;
	raw = raw != NULL ? raw : &nothing;
	snprintf(check->at, sizeof check->at, "log");
	config->log_format = (enum log_format)config_word(check, "format", raw->format,
							  formats, 2, LOG_LOGFMT);
	config->log_level = (enum log_level)config_word(check, "level", raw->level,
							levels, 4, LOG_INFO);
	config->log_addresses = (enum config_addresses)config_word(
		check, "addresses", raw->addresses, addresses, 3, CONFIG_ADDRESSES_FULL);
	check_trace(check, raw, config);
}
