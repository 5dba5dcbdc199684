#include "proxy/cli/cli.h"

#include "proxy/base/memory.h"
#include "proxy/cli/check_unique_ids.h"
#include "proxy/rt/pem_expiry.h"
#include "proxy/session/service.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DAY_S ((uint64_t)24 * 3600)
#define ACCEPT 1000 // has no letter

struct arguments {
	const char *path;
	bool accept_new_unique_ids;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ "accept-new-unique-ids", ACCEPT, NULL, 0,
	  "Tell the service that runs that this configuration may give known accounts "
	  "other unique-ids, so that it can be reloaded",
	  0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	if (key == 'c' || (key == ARGP_KEY_ARG && !arguments->path)) {
		arguments->path = value;
		return 0;
	}
	if (key == ACCEPT) {
		arguments->accept_new_unique_ids = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.args_doc = "[FILE]",
	.doc = "Reads a configuration, says every mistake in it, then what popbridge "
	       "would do with it.",
};

/* Certificates and CA files are opened too: what serve would trip over. */
static bool check_files(const struct config *config)
{
	struct service service;
	struct failure failure;

	if (!service_init(&service, config, &failure)) {
		fprintf(stderr, "%s\n", failure.text);
		return false;
	}
	service_release(&service);
	return true;
}

/* The certificate that serve will make in `state` is not missing. */
static bool check_files_to_come(const struct config *config)
{
	const size_t ours = config->certificate_count - 1;
	struct config here = *config; // borrows everything but the listeners
	bool good;

	if (!config->self_signed ||
	    access(config->certificates[ours].certificate, F_OK) == 0) {
		return check_files(config);
	}
	here.listeners =
		memory_new_array(config->listener_count, sizeof(*here.listeners));
	for (size_t i = 0; i < config->listener_count; i++) {
		here.listeners[i] = config->listeners[i];
		if (config->listeners[i].certificate_first == ours) {
			here.listeners[i].certificate_count = 0;
		}
	}
	good = check_files(&here);
	free(here.listeners);
	return good;
}

static void print_description(const struct config *config)
{
	struct buffer text;

	buffer_init(&text, 16u * 1024 * 1024);
	config_describe(config, &text);
	config_describe_exposed(config, "note: ", &text);
	fwrite(text.data, 1, text.len, stdout);
	buffer_release(&text);
}

/* What proves us to a provider and ends soon. */
static void print_ends(const struct config *config)
{
	const uint64_t now_s = (uint64_t)time(NULL);

	for (size_t i = 0; i < config->provider_count; i++) {
		const struct config_provider *provider = &config->providers[i];
		const uint64_t until_s =
			provider->certificate
				? pem_expiry_of_file_s(provider->certificate)
				: provider->client_secret_until_s;

		if (until_s > 0 && until_s < now_s + CONFIG_CREDENTIAL_WARN_S) {
			printf("note: providers[%zu] gives tokens to our %s for %" PRIu64
			       " more days: renew it there\n",
			       i, provider->certificate ? "certificate" : "client secret",
			       until_s > now_s ? (until_s - now_s) / DAY_S : 0);
		}
	}
}

int cli_check(int argc, char **argv)
{
	struct arguments arguments = { .path = NULL };
	struct source source;
	struct config *config;
	bool good;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	source = (struct source){ .path = arguments.path };
	config = cli_load(&source, NULL);
	if (!config) {
		return 1;
	}
	good = check_files_to_come(config) &&
	       check_unique_ids(config, arguments.accept_new_unique_ids);
	if (good) {
		print_description(config);
		print_ends(config);
	}
	config_free(config);
	return good ? 0 : 1;
}
