/*
 * Files with secrets in them that every user of this machine may read. A group may: keys
 * are often shared by one.
 */
#include "proxy/config/config.h"
#include "proxy/config/config_provider.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void judge(const char *before, const char *key, const char *path,
		  struct buffer *out)
{
	struct stat status;

	if (path != NULL && stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
		buffer_printf(out,
			      "%s%s: every user of this machine may read %s; "
			      "run: chmod o-rwx %s\n",
			      before, key, path, path);
	}
}

/* "routes[2].client-key" */
static void judge_one_of(const char *before, const char *list, size_t index,
			 const char *key, const char *path, struct buffer *out)
{
	char text[64];

	snprintf(text, sizeof text, "%s[%zu].%s", list, index, key);
	judge(before, text, path, out);
}

/* Not that of the tls section, which is told already. */
static bool has_key_of_its_own(const struct config *config)
{
	return config->consent.key &&
	       (config->certificate_count == 0 || !config->certificates[0].key ||
		strcmp(config->consent.key, config->certificates[0].key) != 0);
}

void config_describe_exposed(const struct config *config, const char *before,
			     struct buffer *out)
{
	judge(before, "master-key", config->master_key, out);
	for (size_t i = 0; i < config->certificate_count; i++) {
		judge(before, "key", config->certificates[i].key, out);
	}
	if (has_key_of_its_own(config)) {
		judge(before, "consent.key", config->consent.key, out);
	}
	for (size_t i = 0; i < config->route_count; i++) {
		judge_one_of(before, "routes", i, "client-key",
			     config->routes[i].client_key, out);
	}
	for (size_t i = 0; i < config->provider_count; i++) {
		const struct config_provider *provider = &config->providers[i];

		judge_one_of(before, "providers", i, "key", provider->key, out);
		judge_one_of(before, "providers", i, "client-secret-file",
			     provider->client_secret_file, out);
		judge_one_of(before, "providers", i, "service-account-file",
			     provider->service_account_file, out);
	}
}
