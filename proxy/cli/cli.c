#include "proxy/cli/cli.h"

#include "proxy/cli/environment.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Borrowed by the source, for reloads: until the process ends. */
static struct buffer environment = { .max = ENVIRONMENT_MAX };

/* What a container is told; a file in the default place beside it would be ignored. */
static bool take_environment(struct source *source)
{
	struct failure failure;

	if (access(CLI_DEFAULT_CONFIG, F_OK) == 0) {
		failure_set(&failure, FAILURE_PERMANENT,
			    "both POPBRIDGE_UPSTREAM and " CLI_DEFAULT_CONFIG
			    " are there: one of them, or -c FILE");
	} else if (environment_yaml(&environment, &failure) &&
		   buffer_append(&environment, (struct bytes){ "", 1 })) {
		source->path = ENVIRONMENT_NAME;
		source->text = environment.data;
		return true;
	}
	fprintf(stderr, "%s\n", failure.text);
	return false;
}

struct config *cli_load(struct source *source, int *text_fd)
{
	bool nothing_said = !source->path && !source->url;
	struct config_errors errors = { 0 };
	struct config *config;
	int fd = -1;

	if (nothing_said && environment_is_given()) {
		if (!take_environment(source)) {
			return NULL;
		}
		nothing_said = false;
	} else if (nothing_said) {
		source->path = CLI_DEFAULT_CONFIG;
	}
	config = source_load(source, &fd, &errors);
	if (!config) {
		fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.data);
		if (nothing_said) {
			fprintf(stderr,
				"popbridge: give a configuration with -c FILE, or a "
				"server: popbridge imaps://imap.example.com\n");
		}
	}
	if (text_fd) {
		*text_fd = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	config_errors_release(&errors);
	return config;
}

void cli_protect_memory(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	umask(0077);               // what is kept is nobody else's business
#if !defined(__SANITIZE_ADDRESS__) // which needs ptrace
	prctl(PR_SET_DUMPABLE, 0);
#endif
}
