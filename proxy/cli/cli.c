#include "proxy/cli/cli.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

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

void cli_protect_memory(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) // which needs ptrace
	prctl(PR_SET_DUMPABLE, 0);
#endif
}
