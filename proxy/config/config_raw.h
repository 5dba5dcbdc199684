/*
 * The configuration as the file spells it: every setting a text, NULL where absent.
 * What a text means is judged in config_check.c, so that all mistakes come at once.
 * Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_RAW_H
#define PROXY_CONFIG_CONFIG_RAW_H

#include "proxy/config/config.h"
#include "proxy/config/config_places.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20)   // octets of a configuration file
#define CONFIG_ERRORS_MAX ((size_t)1 << 16) // octets of all messages together

struct config_raw_certificate {
	char *certificate, *key;
};

struct config_raw_listener {
	char *address, *tls;
	struct config_raw_certificate *certificates;
	unsigned certificates_count;
	char **plain_from;
	unsigned plain_from_count;
	char **legacy_tls_from;
	unsigned legacy_tls_from_count;
	char **proxy_from;
	unsigned proxy_from_count;
};

struct config_raw_tls {
	char *certificate, *key, *minimum;
	struct config_raw_certificate *additional;
	unsigned additional_count;
};

struct config_raw_route {
	char *match, *server, *allow_plain, *user;
	char *ca_file, *client_certificate, *client_key;
	char **pins;
	unsigned pins_count;
	char *folder, *folder_separator, *unique_id, *uid_only, *mark_read, *read_ahead;
	char *without_uidplus, *forward_client, *when_locked, *nul, *login_delay;
	char *min_poll, *server_connections, *server_connections_per_account;
	char *server_sign_in_rate, *server_octets_per_day, *compress;
};

struct config_raw_provider {
	char *name, *kind, *tenant, *client_id, *client_secret_file;
	char *certificate, *key, *service_account_file, *app_only;
	char *discovery, *authorization_endpoint, *token_endpoint, *device_endpoint;
	char *revocation_endpoint, *issuer, *scope, *app_scope, *identity_claim;
	char *client_secret_expires, *consent_lasts;
	char *ca_file;
};

struct config_raw_limits {
	char *sessions, *sessions_per_address, *sessions_per_account;
	char *accept_rate, *accept_rate_per_address;
	char *idle, *write_stall, *sign_in, *upstream_sign_in, *drain;
	char *connect, *tls, *authenticate, *command;
	char *parking, *parked;
	char *minimum_rate, *sign_in_delay;
};

struct config_raw_log {
	char *format, *level, *addresses;
	char **trace;
	unsigned trace_count;
};

struct config_raw_web {
	char *address;
	char **host_names;
	unsigned host_names_count;
};

struct config_raw_consent {
	char *address, *url, *certificate, *key, *pop3_server, *invitation_life;
};

struct config_raw {
	struct config_raw_listener *listen;
	unsigned listen_count;
	struct config_raw_tls *tls; // NULL: section absent or empty, as below
	char *user, *state, *control, *workers;
	char **shared_addresses;
	unsigned shared_addresses_count;
	struct config_raw_route *routes;
	unsigned routes_count;
	struct config_raw_provider *providers;
	unsigned providers_count;
	char *master_key;
	struct config_raw_limits *limits;
	struct config_raw_log *log;
	struct config_raw_web *web;
	struct config_raw_consent *consent;
};

/*
 * YAML text to the raw form. Mistakes of form are reported as "name:line:column: path:
 * ..."; what they leave is in *out, NULL where that is nothing. False: no more can be
 * said, the text is no YAML or not read to its end. places is to be released in any case.
 */
bool config_yaml_read(struct bytes text, const char *name, struct config_raw **out,
		      struct config_places *places, struct config_errors *errors);
void config_yaml_free(struct config_raw *raw); // NULL is fine

/*
 * Judge the raw form. NULL where there are mistakes, of form or of meaning: each is
 * reported by its place and path. name is the file's; places NULL: the settings come from
 * the command line's URL, and messages say so.
 */
struct config *config_check(const struct config_raw *raw, const char *name,
			    const struct config_places *places,
			    struct config_errors *errors);

void config_provider_release(struct config_provider *provider);

/* config_load() without the file: name stands for the path in messages. */
struct config *config_parse(struct bytes text, const char *name,
			    struct config_errors *errors);

/* One more mistake: counts it and adds a line (dropped where text is full). */
void config_errors_add(struct config_errors *errors, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What may stand in a message: bounded, control octets escaped, in double quotes. */
struct config_quoted {
	char text[96];
};

struct config_quoted config_quote(struct bytes text);

/*
 * The word of the list that text was probably meant to be: a slip or two away. NULL:
 * none is near.
 */
const char *config_nearest(const char *text, const char *const *words, size_t count);

#endif
