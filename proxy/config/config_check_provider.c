/*
 * The providers section: well-known kinds get what is known about them, custom ones have
 * to say it. A URL that carries secrets is https, or leads no further than this host.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OCTETS 64
#define TENANT "{tenant}"

const struct config_provider_defaults config_provider_kinds[] = {
	/* Google's device flow does not offer the scope for mail. */
	[CONFIG_GOOGLE] = { .kind = "google",
			    .authorization_endpoint =
				    "https://accounts.google.com/o/oauth2/v2/auth",
			    .token_endpoint = "https://oauth2.googleapis.com/token",
			    .revocation_endpoint = "https://oauth2.googleapis.com/revoke",
			    .issuer = "https://accounts.google.com",
			    .scope = "https://mail.google.com/ openid email",
			    .app_scope = "https://mail.google.com/",
			    .authorization_extra = "access_type=offline&prompt=consent",
			    .identity_claim = "email" },
	/* Its tokens cannot be revoked one by one. `email` may be claimed by any tenant.
	 */
	[CONFIG_MICROSOFT] = { .kind = "microsoft",
			       .authorization_endpoint =
				       "https://login.microsoftonline.com/" TENANT
				       "/oauth2/v2.0/authorize",
			       .token_endpoint =
				       "https://login.microsoftonline.com/" TENANT
				       "/oauth2/v2.0/token",
			       .device_endpoint =
				       "https://login.microsoftonline.com/" TENANT
				       "/oauth2/v2.0/devicecode",
			       .issuer = "https://login.microsoftonline.com/*/v2.0",
			       .scope =
				       "https://outlook.office.com/IMAP.AccessAsUser.All "
				       "offline_access openid profile",
			       .app_scope = "https://outlook.office365.com/.default",
			       .authorization_extra = "prompt=select_account",
			       .identity_claim = "preferred_username" },
	[CONFIG_YAHOO] = { .kind = "yahoo",
			   .authorization_endpoint =
				   "https://api.login.yahoo.com/oauth2/request_auth",
			   .token_endpoint =
				   "https://api.login.yahoo.com/oauth2/get_token",
			   .revocation_endpoint =
				   "https://api.login.yahoo.com/oauth2/revoke",
			   .issuer = "https://api.login.yahoo.com",
			   .scope = "mail-w openid email",
			   .identity_claim = "email" },
	/* No OpenID Connect: the mailbox itself tells whose token it is. */
	[CONFIG_FASTMAIL] = { .kind = "fastmail",
			      .authorization_endpoint =
				      "https://api.fastmail.com/oauth/authorize",
			      .token_endpoint = "https://api.fastmail.com/oauth/refresh",
			      .revocation_endpoint =
				      "https://api.fastmail.com/oauth/revoke",
			      .scope = "https://www.fastmail.com/dev/protocol-imap "
				       "offline_access" },
	[CONFIG_CUSTOM] = { .kind = "custom", .identity_claim = "email" },
};

#define KINDS (sizeof(config_provider_kinds) / sizeof(*config_provider_kinds))

static bool is_name(const char *name)
{
	const size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' &&
		    name[i] != '_' && name[i] != '.') {
			return false;
		}
	}
	return len > 0 && len <= NAME_OCTETS;
}

static char *with_tenant(const char *text, const char *tenant)
{
	const char *at = strstr(text, TENANT);
	struct buffer out;
	char *copy;

	buffer_init(&out, strlen(text) + strlen(tenant) + 1);
	buffer_printf(&out, "%.*s%s%s", (int)(at ? at - text : (long)strlen(text)), text,
		      at ? tenant : "", at ? at + strlen(TENANT) : "");
	copy = memory_copy_text(buffer_bytes(&out));
	buffer_release(&out);
	return copy;
}

struct naming {
	struct config_check *check;
	const char *tenant;
};

/* What the file says, else what is known of the kind, else NULL. */
static char *value_of(const struct naming *naming, const char *key, const char *text,
		      const char *known)
{
	if (config_given(naming->check, key, text)) {
		return memory_copy_text(bytes_of(text));
	}
	return known ? with_tenant(known, naming->tenant) : NULL;
}

static char *url_of(const struct naming *naming, const char *key, const char *text,
		    const char *known)
{
	char *url = value_of(naming, key, text, known);

	if (url && !config_url_is_safe(url)) {
		config_mistake(naming->check, key,
			       "is an https:// URL (http:// only to 127.0.0.1 or [::1]), "
			       "not %s",
			       config_quote(bytes_of(url)).text);
	}
	return url;
}

static void check_endpoints(const struct naming *naming,
			    const struct config_raw_provider *raw,
			    struct config_provider *out)
{
	const struct config_provider_defaults *known = &config_provider_kinds[out->kind];

	out->discovery = url_of(naming, "discovery", raw->discovery, NULL);
	out->authorization_endpoint =
		url_of(naming, "authorization-endpoint", raw->authorization_endpoint,
		       known->authorization_endpoint);
	out->token_endpoint = url_of(naming, "token-endpoint", raw->token_endpoint,
				     known->token_endpoint);
	out->device_endpoint = url_of(naming, "device-endpoint", raw->device_endpoint,
				      known->device_endpoint);
	out->revocation_endpoint =
		url_of(naming, "revocation-endpoint", raw->revocation_endpoint,
		       known->revocation_endpoint);
	out->issuer = value_of(naming, "issuer", raw->issuer, known->issuer);
	out->scope = value_of(naming, "scope", raw->scope, known->scope);
	out->app_scope = value_of(naming, "app-scope", raw->app_scope, known->app_scope);
	out->identity_claim = value_of(naming, "identity-claim", raw->identity_claim,
				       known->identity_claim);
	out->authorization_extra = value_of(naming, "", NULL, known->authorization_extra);
}

static void check_client(struct config_check *check,
			 const struct config_raw_provider *raw,
			 struct config_provider *out)
{
	if (config_given(check, "client-id", raw->client_id)) {
		out->client_id = memory_copy_text(bytes_of(raw->client_id));
	}
	out->client_secret_file =
		config_file(check, "client-secret-file", raw->client_secret_file);
	out->certificate = config_file(check, "certificate", raw->certificate);
	out->key = config_file(check, "key", raw->key);
	out->service_account_file =
		config_file(check, "service-account-file", raw->service_account_file);
	out->ca_file = config_file(check, "ca-file", raw->ca_file);
	out->app_only = config_bool(check, "app-only", raw->app_only);
}

#define LASTS_MAX_MS ((uint64_t)10 * 366 * 24 * 3600 * 1000)

static void check_ends(struct config_check *check, const struct config_raw_provider *raw,
		       struct config_provider *out)
{
	const char *secret = raw->client_secret_expires;
	const char *lasts = raw->consent_lasts;
	const char *why;
	uint64_t ms = 0;

	if (config_given(check, "client-secret-expires", secret) &&
	    !config_date_parse(bytes_of(secret), &out->client_secret_until_s, &why)) {
		config_mistake(check, "client-secret-expires", "%s, not %s", why,
			       config_quote(bytes_of(secret)).text);
	}
	if (config_given(check, "consent-lasts", lasts) &&
	    (!config_duration_parse(bytes_of(lasts), &ms, &why) || ms > LASTS_MAX_MS ||
	     ms < 1000)) {
		config_mistake(check, "consent-lasts",
			       "is a duration of up to ten years as in 168h, not %s",
			       config_quote(bytes_of(lasts)).text);
	}
	out->consent_lasts_s = ms / 1000;
}

/* What is missing, or does not go together. */
static void check_whole(struct config_check *check,
			const struct config_provider *provider)
{
	const bool google_key = provider->service_account_file != NULL;

	if (!provider->client_id && !google_key) {
		config_mistake(check, "client-id",
			       "is missing: the id that the provider gave to this "
			       "gateway when it was registered there");
	}
	if (google_key && provider->kind != CONFIG_GOOGLE) {
		config_mistake(check, "service-account-file", "is for kind: google");
	}
	if ((provider->certificate != NULL) != (provider->key != NULL)) {
		config_mistake(check, provider->key ? "certificate" : "key",
			       "is missing: certificate and key go together");
	}
	if (provider->client_secret_file && provider->certificate) {
		config_mistake(
			check, "certificate",
			"and client-secret-file: one of the two proves who we are");
	}
	if (provider->client_secret_until_s > 0 && !provider->client_secret_file) {
		config_mistake(check, "client-secret-expires",
			       "goes with client-secret-file");
	}
	if (provider->app_only && !provider->client_secret_file &&
	    !provider->certificate) {
		config_mistake(check, "app-only",
			       "needs client-secret-file, or certificate and key");
	}
	if (provider->app_only && !provider->app_scope) {
		config_mistake(check, "app-scope",
			       "is missing: what app-only tokens are for");
	}
	if (!provider->token_endpoint && !provider->discovery) {
		config_mistake(
			check, "discovery",
			"or token-endpoint is missing: where tokens are asked for");
	}
	if (!provider->scope && !provider->app_only && !google_key) {
		config_mistake(check, "scope", "is missing: what consent is asked for");
	}
}

static void check_provider(struct config_check *check,
			   const struct config_raw_provider *raw,
			   struct config_provider *out)
{
	const char *kinds[KINDS];
	struct naming naming = { check, "common" };
	const size_t mistakes = check->errors->count;

	for (size_t i = 0; i < KINDS; i++) {
		kinds[i] = config_provider_kinds[i].kind;
	}
	out->kind = (enum config_provider_kind)config_word(check, "kind", raw->kind,
							   kinds, KINDS, CONFIG_CUSTOM);
	if (config_given(check, "tenant", raw->tenant)) {
		naming.tenant = raw->tenant;
		if (out->kind != CONFIG_MICROSOFT || !is_name(raw->tenant)) {
			config_mistake(check, "tenant",
				       "is a Microsoft tenant's id or domain, not %s",
				       config_quote(bytes_of(raw->tenant)).text);
		}
	}
	out->name = memory_copy_text(bytes_of(raw->name ? raw->name : kinds[out->kind]));
	if (!is_name(out->name)) {
		config_mistake(check, "name", "is letters, digits, - _ and ., not %s",
			       config_quote(bytes_of(out->name)).text);
	}
	check_endpoints(&naming, raw, out);
	check_client(check, raw, out);
	check_ends(check, raw, out);
	if (check->errors->count == mistakes) {
		check_whole(check, out);
	}
}

void config_check_providers(struct config_check *check,
			    const struct config_raw_provider *raw, unsigned count,
			    struct config *config)
{
	config->providers = memory_new_array(count, sizeof(*config->providers));
	for (unsigned i = 0; i < count; i++) {
		struct config_provider *provider = &config->providers[i];

		snprintf(check->at, sizeof(check->at), "providers[%u]", i);
		check_provider(check, &raw[i], provider);
		config->provider_count++;
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(config->providers[j].name, provider->name) == 0) {
				config_mistake(check, "name",
					       "is that of providers[%u], too", j);
			}
		}
	}
}

void config_provider_release(struct config_provider *provider)
{
	char *const owned[] = { provider->name,
				provider->client_id,
				provider->client_secret_file,
				provider->certificate,
				provider->key,
				provider->service_account_file,
				provider->discovery,
				provider->authorization_endpoint,
				provider->token_endpoint,
				provider->device_endpoint,
				provider->revocation_endpoint,
				provider->issuer,
				provider->scope,
				provider->app_scope,
				provider->authorization_extra,
				provider->identity_claim,
				provider->ca_file };

	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++) {
		free(owned[i]);
	}
}

const struct config_provider *config_provider_named(const struct config *config,
						    struct bytes name)
{
	for (size_t i = 0; i < config->provider_count; i++) {
		if (bytes_equal(bytes_of(config->providers[i].name), name)) {
			return &config->providers[i];
		}
	}
	return NULL;
}
