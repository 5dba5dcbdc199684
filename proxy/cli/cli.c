#include "proxy/cli/cli.h"

#include <stdio.h>

struct config *cli_load(const char *path, const char *url)
{
	struct config_errors errors = { 0 };
	struct config *config;

	if (url) {
		config = config_from_url(url, &errors);
	} else {
		config = config_load(path ? path : CLI_DEFAULT_CONFIG, &errors);
	}
	if (!config) {
		fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.data);
		if (!path && !url) {
			fprintf(stderr,
				"popbridge: give a configuration with -c FILE, or a "
				"server: popbridge imaps://imap.example.com\n");
		}
	}
	config_errors_release(&errors);
	return config;
}
