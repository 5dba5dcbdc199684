/*
 * YAML text -> struct config_raw, by libcyaml and a schema.
 *
 * Two passes. The first walks libyaml's events: it reports syntax errors with their
 * place, refuses what a configuration has no use for (aliases, further documents, control
 * octets, deep nesting) and remembers where each event begins. The second is libcyaml's
 * load. libcyaml 1.3 tells only its log what was wrong, and there places an unknown key
 * at the value before it; so its events are counted from the log, and the place comes
 * from the first pass.
 */
#include "proxy/base/memory.h"
#include "proxy/config/config_raw.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define NESTING_MAX 12
#define TEXT_MAX 4096 // octets of one value
#define LIST_MAX 256  // entries of a small list
#define ROUTES_MAX 4096
#define SECTION_KEYS_MAX 32

/* ---- the schema ---- */

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
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t top_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL, struct config_raw, top_fields),
};

/* ---- reporting ---- */

struct mark {
	size_t line, column; // from 0
};

struct reading {
	struct bytes text;
	const char *name;
	struct config_errors *errors;
	struct mark *marks; // owned: where each event begins
	size_t mark_count, mark_size;
};

static struct bytes line_of(struct bytes text, size_t line)
{
	while (line > 0 && text.len > 0) {
		const char *end = memchr(text.at, '\n', text.len);
		bytes_skip(&text, end != NULL ? (size_t)(end - text.at) + 1 : text.len);
		line--;
	}
	const char *end = text.len > 0 ? memchr(text.at, '\n', text.len) : NULL;
	return (struct bytes){ text.at,
			       end != NULL ? (size_t)(end - text.at) : text.len };
}

/*
 * What most often stands behind a strange complaint of a YAML parser: a tab, or a value
 * such as *@example.com or {user} or [::]:110 without quotes.
 */
static const char *advice(struct bytes text, size_t line_number)
{
	struct bytes line = line_of(text, line_number);
	while (line.len > 0 && (*line.at == ' ' || *line.at == '-')) {
		bytes_skip(&line, 1);
	}
	if (line.len > 0 && *line.at == '\t') {
		return " (indent with spaces, not with tabs)";
	}
	const char *colon = line.len > 0 ? memmem(line.at, line.len, ": ", 2) : NULL;
	if (colon != NULL) {
		bytes_skip(&line, (size_t)(colon - line.at) + 2);
	}
	while (line.len > 0 && *line.at == ' ') {
		bytes_skip(&line, 1);
	}
	if (line.len > 0 && memchr("*{[&!%@`", *line.at, 8) != NULL) {
		return " (a value that begins with * { [ & ! % @ or ` needs quotes "
		       "around it)";
	}
	return "";
}

static bool refuse_at(struct reading *reading, struct mark mark, const char *what,
		      const char *more)
{
	config_errors_add(reading->errors, "%s:%zu:%zu: %s%s", reading->name,
			  mark.line + 1, mark.column + 1, what, more);
	return false;
}

/* ---- first pass ---- */

/* A place given as an offset: the reader's complaints (encoding) have no line. */
static struct mark mark_of_offset(struct bytes text, size_t offset)
{
	struct mark mark = { 0 };
	for (size_t i = 0; i < offset && i < text.len; i++) {
		mark.column++;
		if (text.at[i] == '\n') {
			mark = (struct mark){ mark.line + 1, 0 };
		}
	}
	return mark;
}

static bool refuse_syntax(struct reading *reading, const yaml_parser_t *parser)
{
	struct mark mark = { parser->problem_mark.line, parser->problem_mark.column };
	struct mark begin = { parser->context_mark.line, parser->context_mark.column };
	const char *problem = parser->problem != NULL ? parser->problem : "no YAML";
	char text[256];
	if (parser->error == YAML_READER_ERROR) {
		mark = mark_of_offset(reading->text, parser->problem_offset);
		return refuse_at(reading, mark, problem,
				 " (the file is UTF-8 text without control characters)");
	}
	const char *hint = advice(reading->text, mark.line);
	if (parser->context == NULL || begin.line == mark.line) {
		return refuse_at(reading, mark, problem, hint);
	}
	// An open quote or bracket is noticed far from where it is.
	snprintf(text, sizeof text, "%.100s, %.100s that begins at %zu:%zu", problem,
		 parser->context, begin.line + 1, begin.column + 1);
	return refuse_at(reading, mark, text,
			 *hint != '\0' ? hint : advice(reading->text, begin.line));
}

static bool has_control_octet(const unsigned char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] == 0x7F) {
			return true;
		}
	}
	return false;
}

static bool is_null(const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (strcmp(value, "~") == 0 || strcmp(value, "null") == 0);
}

static void remember(struct reading *reading, struct mark mark)
{
	if (reading->mark_count == reading->mark_size) {
		reading->mark_size = reading->mark_size * 2 + 64;
		reading->marks =
			memory_resize(reading->marks, reading->mark_size * sizeof mark);
	}
	reading->marks[reading->mark_count++] = mark;
}

static bool judge_scalar(struct reading *reading, const yaml_event_t *event,
			 struct mark mark)
{
	if (has_control_octet(event->data.scalar.value, event->data.scalar.length)) {
		return refuse_at(reading, mark,
				 "a line break, NUL or other control character in a "
				 "setting: write it on one line",
				 "");
	}
	if (is_null(event)) {
		return refuse_at(reading, mark, "null: leave the setting out instead",
				 "");
	}
	return true;
}

/* depth counts open lists and mappings; documents those begun. */
static bool judge_event(struct reading *reading, const yaml_event_t *event,
			unsigned *depth, unsigned *documents)
{
	struct mark mark = { event->start_mark.line, event->start_mark.column };
	remember(reading, mark);
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse_at(reading, mark, "YAML aliases are not supported",
				 advice(reading->text, mark.line));
	case YAML_SCALAR_EVENT:
		return judge_scalar(reading, event, mark);
	case YAML_DOCUMENT_START_EVENT:
		return ++*documents < 2 ||
		       refuse_at(reading, mark, "a second YAML document",
				 ": one file holds one configuration");
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return ++*depth <= NESTING_MAX ||
		       refuse_at(reading, mark, "too deeply nested", "");
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		--*depth;
		return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return true;
}

static bool walk(struct reading *reading, yaml_parser_t *parser)
{
	unsigned depth = 0, documents = 0;
	bool ended = false, good = true;
	while (good && !ended) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event)) {
			return refuse_syntax(reading, parser);
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		good = judge_event(reading, &event, &depth, &documents);
		yaml_event_delete(&event);
	}
	return good;
}

static bool first_pass(struct reading *reading)
{
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser)) {
		config_errors_add(reading->errors, "%s: out of memory", reading->name);
		return false;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)reading->text.at,
				     reading->text.len);
	bool good = walk(reading, &parser);
	yaml_parser_delete(&parser);
	return good;
}

/* ---- second pass ---- */

/* What libcyaml's log said. */
struct overheard {
	size_t events;       // taken so far
	bool complained;     // the first error is in the fields below
	char word[80];       // its first argument: a key, an expected type
	char other[80];      // its second, where it has one: an event
	const char *section; // innermost key around it, NULL: top level. Static.
};

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void hear_complaint(struct overheard *heard, const char *format, va_list arguments)
{
	heard->complained = true;
	if (begins(format, "Load: Expecting %s") ||
	    begins(format, "Load: Unexpected key") ||
	    begins(format, "Load: Mapping field already seen")) {
		snprintf(heard->word, sizeof heard->word, "%s",
			 va_arg(arguments, const char *));
	}
	if (begins(format, "Load: Expecting %s")) {
		snprintf(heard->other, sizeof heard->other, "%s",
			 va_arg(arguments, const char *));
	}
}

static void hear(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
	struct overheard *heard = context;
	if (level == CYAML_LOG_DEBUG) {
		heard->events += begins(format, "Load: Event:");
	} else if (level == CYAML_LOG_ERROR && !heard->complained) {
		hear_complaint(heard, format, arguments);
	} else if (level == CYAML_LOG_ERROR && heard->section == NULL &&
		   begins(format, "  in mapping field '%s'")) {
		heard->section = va_arg(arguments, const char *);
	}
}

static const cyaml_schema_field_t *section_fields(const char *section)
{
	static const struct {
		const char *key;
		const cyaml_schema_field_t *fields;
	} sections[] = {
		{ "listen", listener_fields },
		{ "tls", tls_fields },
		{ "additional", certificate_fields },
		{ "certificates", certificate_fields },
		{ "routes", route_fields },
		{ "providers", provider_fields },
		{ "limits", limits_fields },
		{ "log", log_fields },
		{ "web", web_fields },
	};
	for (size_t i = 0; section != NULL && i < sizeof sections / sizeof *sections;
	     i++) {
		if (strcmp(sections[i].key, section) == 0) {
			return sections[i].fields;
		}
	}
	return top_fields;
}

static void refuse_key(struct reading *reading, struct mark mark,
		       const struct overheard *heard)
{
	const char *words[SECTION_KEYS_MAX];
	struct buffer known = { .max = 1024 };
	size_t count = 0;
	const cyaml_schema_field_t *field = section_fields(heard->section);
	for (; field->key != NULL && count < SECTION_KEYS_MAX; field++) {
		words[count++] = field->key;
		buffer_printf(&known, "%s%s", count > 1 ? ", " : "", field->key);
	}
	const char *near = config_nearest(heard->word, words, count);
	config_errors_add(
		reading->errors, "%s:%zu:%zu: unknown key %s%s%s; %s%s%.*s",
		reading->name, mark.line + 1, mark.column + 1,
		config_quote(bytes_of(heard->word)).text,
		heard->section != NULL ? " in " : "",
		heard->section != NULL ? heard->section : "",
		near != NULL ? "did you mean " : "known here: ", near != NULL ? near : "",
		near != NULL ? 0 : (int)known.len, known.data);
	buffer_release(&known);
}

static const char *expected_text(const char *type)
{
	return strcmp(type, "MAPPING") == 0 ? "\"key: value\" lines"
	       : strcmp(type, "SEQUENCE") == 0
		       ? "a list (entries that begin with \"- \", or [a, b])"
		       : "a single value";
}

static const char *found_text(const char *event)
{
	return strcmp(event, "SCALAR") == 0           ? "a single value"
	       : strcmp(event, "SEQUENCE_START") == 0 ? "a list"
						      : "\"key: value\" lines";
}

static void refuse_type(struct reading *reading, struct mark mark,
			const struct overheard *heard)
{
	const char *section = heard->section;
	bool text_wanted = strcmp(heard->word, "STRING") == 0;
	config_errors_add(reading->errors, "%s:%zu:%zu: %s%shere %s must stand, not %s%s",
			  reading->name, mark.line + 1, mark.column + 1,
			  section != NULL ? section : "", section != NULL ? ": " : "",
			  expected_text(heard->word), found_text(heard->other),
			  text_wanted ? advice(reading->text, mark.line) : "");
}

static void refuse_load(struct reading *reading, cyaml_err_t error,
			const struct overheard *heard)
{
	struct mark mark = { 0 };
	if (heard->events > 0 && heard->events <= reading->mark_count) {
		mark = reading->marks[heard->events - 1];
	}
	if (error == CYAML_ERR_INVALID_KEY) {
		refuse_key(reading, mark, heard);
	} else if (error == CYAML_ERR_INVALID_VALUE && heard->other[0] != '\0') {
		refuse_type(reading, mark, heard);
	} else if (error == CYAML_ERR_UNEXPECTED_EVENT && heard->word[0] != '\0') {
		refuse_at(reading, mark, heard->word, " is set a second time");
	} else if (error == CYAML_ERR_STRING_LENGTH_MAX) {
		refuse_at(reading, mark, "a value of more than 4096 octets", "");
	} else if (error == CYAML_ERR_INTERNAL_ERROR) {
		// libcyaml has no transition for a list or mapping in place of a key.
		refuse_at(reading, mark, "here a key must stand: a plain word",
			  advice(reading->text, mark.line));
	} else {
		refuse_at(reading, mark, cyaml_strerror(error), "");
	}
}

static cyaml_config_t settings(struct overheard *heard)
{
	return (cyaml_config_t){
		.log_fn = hear,
		.log_ctx = heard,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_DEBUG,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

static bool second_pass(struct reading *reading, struct config_raw **out)
{
	struct overheard heard = { 0 };
	cyaml_config_t config = settings(&heard);
	cyaml_data_t *loaded = NULL;
	cyaml_err_t error =
		cyaml_load_data((const uint8_t *)reading->text.at, reading->text.len,
				&config, &top_schema, &loaded, NULL);
	if (error != CYAML_OK) {
		refuse_load(reading, error, &heard);
		return false;
	}
	*out = loaded;
	return true;
}

bool config_yaml_read(struct bytes text, const char *name, struct config_raw **out,
		      struct config_errors *errors)
{
	struct reading reading = { .text = text, .name = name, .errors = errors };
	*out = NULL;
	if (text.len == 0) {
		return true;
	}
	bool good = first_pass(&reading) && second_pass(&reading, out);
	free(reading.marks);
	return good;
}

void config_yaml_free(struct config_raw *raw)
{
	struct overheard unheard = { 0 };
	cyaml_config_t config = settings(&unheard);
	if (raw != NULL) {
		cyaml_free(&config, &top_schema, raw, 0);
	}
}
