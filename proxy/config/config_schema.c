/*
 * Every setting there is, where it stands and whether it is one value, a list or a
 * section.
 */
#include "proxy/config/config_schema.h"

#include "proxy/config/config_raw.h"

#define TEXT_MAX 4096 // octets of one value
#define LIST_MAX 256  // entries of a small list
#define ROUTES_MAX 4096

#define TEXT(key, type, member)                                                          \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_OPTIONAL, struct type, member, 0, TEXT_MAX)
#define LIST(key, type, member, entry, most)                                             \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,         \
			     struct type, member, entry, 0, most)
#define SECTION(key, member, fields)                                                     \
	CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,      \
				struct config_raw, member, fields)

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, TEXT_MAX),
};

static const cyaml_schema_field_t certificate_fields[] = {
	TEXT("certificate", config_raw_certificate, certificate),
	TEXT("key", config_raw_certificate, key),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t certificate_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_certificate,
			    certificate_fields),
};

static const cyaml_schema_field_t listener_fields[] = {
	TEXT("address", config_raw_listener, address),
	TEXT("tls", config_raw_listener, tls),
	LIST("certificates", config_raw_listener, certificates, &certificate_entry,
	     LIST_MAX),
	LIST("plain-from", config_raw_listener, plain_from, &text_entry, LIST_MAX),
	LIST("legacy-tls-from", config_raw_listener, legacy_tls_from, &text_entry,
	     LIST_MAX),
	LIST("proxy-from", config_raw_listener, proxy_from, &text_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t listener_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_listener,
			    listener_fields),
};

static const cyaml_schema_field_t tls_fields[] = {
	TEXT("certificate", config_raw_tls, certificate),
	TEXT("key", config_raw_tls, key),
	TEXT("minimum", config_raw_tls, minimum),
	LIST("additional", config_raw_tls, additional, &certificate_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t route_fields[] = {
	TEXT("match", config_raw_route, match),
	TEXT("server", config_raw_route, server),
	TEXT("allow-plain", config_raw_route, allow_plain),
	TEXT("user", config_raw_route, user),
	TEXT("ca-file", config_raw_route, ca_file),
	TEXT("client-certificate", config_raw_route, client_certificate),
	TEXT("client-key", config_raw_route, client_key),
	LIST("pins", config_raw_route, pins, &text_entry, LIST_MAX),
	TEXT("folder", config_raw_route, folder),
	TEXT("folder-separator", config_raw_route, folder_separator),
	TEXT("unique-id", config_raw_route, unique_id),
	TEXT("uid-only", config_raw_route, uid_only),
	TEXT("mark-read", config_raw_route, mark_read),
	TEXT("read-ahead", config_raw_route, read_ahead),
	TEXT("without-uidplus", config_raw_route, without_uidplus),
	TEXT("forward-client", config_raw_route, forward_client),
	TEXT("when-locked", config_raw_route, when_locked),
	TEXT("nul", config_raw_route, nul),
	TEXT("login-delay", config_raw_route, login_delay),
	TEXT("min-poll", config_raw_route, min_poll),
	TEXT("compress", config_raw_route, compress),
	TEXT("server-connections", config_raw_route, server_connections),
	TEXT("server-connections-per-account", config_raw_route,
	     server_connections_per_account),
	TEXT("server-sign-in-rate", config_raw_route, server_sign_in_rate),
	TEXT("server-octets-per-day", config_raw_route, server_octets_per_day),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t route_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_route, route_fields),
};

static const cyaml_schema_field_t provider_fields[] = {
	TEXT("name", config_raw_provider, name),
	TEXT("kind", config_raw_provider, kind),
	TEXT("tenant", config_raw_provider, tenant),
	TEXT("client-id", config_raw_provider, client_id),
	TEXT("client-secret-file", config_raw_provider, client_secret_file),
	TEXT("client-secret-expires", config_raw_provider, client_secret_expires),
	TEXT("certificate", config_raw_provider, certificate),
	TEXT("key", config_raw_provider, key),
	TEXT("service-account-file", config_raw_provider, service_account_file),
	TEXT("app-only", config_raw_provider, app_only),
	TEXT("discovery", config_raw_provider, discovery),
	TEXT("authorization-endpoint", config_raw_provider, authorization_endpoint),
	TEXT("token-endpoint", config_raw_provider, token_endpoint),
	TEXT("device-endpoint", config_raw_provider, device_endpoint),
	TEXT("revocation-endpoint", config_raw_provider, revocation_endpoint),
	TEXT("issuer", config_raw_provider, issuer),
	TEXT("scope", config_raw_provider, scope),
	TEXT("app-scope", config_raw_provider, app_scope),
	TEXT("identity-claim", config_raw_provider, identity_claim),
	TEXT("consent-lasts", config_raw_provider, consent_lasts),
	TEXT("ca-file", config_raw_provider, ca_file),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t provider_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_provider,
			    provider_fields),
};

static const cyaml_schema_field_t limits_fields[] = {
	TEXT("sessions", config_raw_limits, sessions),
	TEXT("sessions-per-address", config_raw_limits, sessions_per_address),
	TEXT("sessions-per-account", config_raw_limits, sessions_per_account),
	TEXT("accept-rate", config_raw_limits, accept_rate),
	TEXT("accept-rate-per-address", config_raw_limits, accept_rate_per_address),
	TEXT("idle", config_raw_limits, idle),
	TEXT("write-stall", config_raw_limits, write_stall),
	TEXT("sign-in", config_raw_limits, sign_in),
	TEXT("upstream-sign-in", config_raw_limits, upstream_sign_in),
	TEXT("drain", config_raw_limits, drain),
	TEXT("connect", config_raw_limits, connect),
	TEXT("tls", config_raw_limits, tls),
	TEXT("authenticate", config_raw_limits, authenticate),
	TEXT("command", config_raw_limits, command),
	TEXT("parking", config_raw_limits, parking),
	TEXT("parked", config_raw_limits, parked),
	TEXT("minimum-rate", config_raw_limits, minimum_rate),
	TEXT("sign-in-delay", config_raw_limits, sign_in_delay),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t log_fields[] = {
	TEXT("format", config_raw_log, format),
	TEXT("level", config_raw_log, level),
	TEXT("addresses", config_raw_log, addresses),
	LIST("trace", config_raw_log, trace, &text_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t web_fields[] = {
	TEXT("address", config_raw_web, address),
	LIST("host-names", config_raw_web, host_names, &text_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t consent_fields[] = {
	TEXT("address", config_raw_consent, address),
	TEXT("url", config_raw_consent, url),
	TEXT("certificate", config_raw_consent, certificate),
	TEXT("key", config_raw_consent, key),
	TEXT("pop3-server", config_raw_consent, pop3_server),
	TEXT("invitation-life", config_raw_consent, invitation_life),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t top_fields[] = {
	LIST("listen", config_raw, listen, &listener_entry, LIST_MAX),
	SECTION("tls", tls, tls_fields),
	TEXT("user", config_raw, user),
	TEXT("state", config_raw, state),
	TEXT("control", config_raw, control),
	TEXT("workers", config_raw, workers),
	LIST("shared-addresses", config_raw, shared_addresses, &text_entry, LIST_MAX),
	LIST("routes", config_raw, routes, &route_entry, ROUTES_MAX),
	LIST("providers", config_raw, providers, &provider_entry, LIST_MAX),
	TEXT("master-key", config_raw, master_key),
	SECTION("limits", limits, limits_fields),
	SECTION("log", log, log_fields),
	SECTION("web", web, web_fields),
	SECTION("consent", consent, consent_fields),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL, struct config_raw, top_fields),
};
