/*
 * OAuth2 providers as data: where they are asked, and for what.
 *
 * Well-known ones are known by their kind; a custom one names its endpoints, or a
 * discovery document (OpenID Connect Discovery 1.0, RFC 8414) that does.
 */
#ifndef PROXY_CONFIG_CONFIG_PROVIDER_H
#define PROXY_CONFIG_CONFIG_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_CREDENTIAL_WARN_S ((uint64_t)30 * 24 * 3600) // before its end

enum config_provider_kind {
	CONFIG_GOOGLE,
	CONFIG_MICROSOFT,
	CONFIG_YAHOO,
	CONFIG_FASTMAIL,
	CONFIG_CUSTOM,
};

/* All strings owned; NULL where absent. */
struct config_provider {
	char *name; // what accounts call it
	enum config_provider_kind kind;
	char *client_id;
	char *client_secret_file;       // read for each request; NULL: a public client
	uint64_t client_secret_until_s; // Unix time; 0: not said
	char *certificate, *key;        // sign the client's assertion (RFC 7523) instead
	char *service_account_file;     // Google's JSON key: no person consents
	bool app_only;                  // client credentials: no person consents
	char *discovery;                // https URL; NULL: the endpoints are all there is
	char *authorization_endpoint;   // NULL: no authorization code flow
	char *token_endpoint;           // NULL only with discovery
	char *device_endpoint;          // NULL: no device flow
	char *revocation_endpoint;      // NULL: nothing can be revoked
	char *issuer;                   // NULL: any
	char *scope;                    // of a person's consent
	char *app_scope;                // of app-only tokens
	char *authorization_extra;      // further parameters of the authorization URL
	char *identity_claim;           // of the id_token: who consented
	uint64_t consent_lasts_s;       // where the provider does not say; 0: for good
	char *ca_file;                  // NULL: the system's
};

struct config_provider_defaults {
	const char *kind; // as the file spells it
	const char *authorization_endpoint, *token_endpoint, *device_endpoint;
	const char *revocation_endpoint, *issuer, *scope, *app_scope;
	const char *authorization_extra, *identity_claim;
};

/* By enum config_provider_kind. "{tenant}" stands for Microsoft's tenant. */
extern const struct config_provider_defaults config_provider_kinds[CONFIG_CUSTOM + 1];

#endif
