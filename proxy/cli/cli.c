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
			    "both %s and " CLI_DEFAULT_CONFIG
			    " are there: one of them, or -c FILE",
			    environment_given());
	} else if (environment_yaml(&environment, &failure) &&
		   buffer_append(&environment, (struct bytes){ "", 1 })) {
		source->path = ENVIRONMENT_NAME;
		source->text = environment.data;
		return true;
	}
	fprintf(stderr, "popbridge: %s\n", failure.text);
	return false;
}

/* Where the command line says nothing: the environment, else the file in its place. */
static bool find_source(struct source *source)
{
	struct failure failure;

	if (!environment_has_only_known_names(&failure)) {
		fprintf(stderr, "popbridge: %s\n", failure.text);
		return false;
	}
	if (environment_given()) {
		return take_environment(source);
	}
	source->path = CLI_DEFAULT_CONFIG;
	return true;
}

struct config *cli_load(struct source *source, int *text_fd)
{
	const bool nothing_said = !source->path && !source->url;
	struct config_errors errors = { 0 };
	struct config *config;
	int fd = -1;

	if (nothing_said && !find_source(source)) {
		return NULL;
	}
	config = source_load(source, &fd, &errors);
	if (!config) {
		fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.data);
		if (nothing_said && !source->text && access(source->path, F_OK) != 0) {
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
