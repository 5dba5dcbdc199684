/*
 * From the raw form to struct config. Nothing stops at the first mistake: each setting
 * is judged by itself, and the result is given up only at the end.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_values.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_MAX 256
#define MISTAKE_MAX 1024 // octets of one message
#define PATH_OCTETS_MAX 128

/* ---- what the checks share ---- */

/* As for refuse() in config_yaml.c, unless it only follows from a mistake of form. */
static void add_mistake(struct config_check *check, const char *path, const char *text)
{
	const struct config_place *place = config_places_find(check->places, path);
	if (place == NULL) {
		config_errors_add(check->errors, "%s: %s: %s", check->name, path, text);
	} else if (!place->is_refused) {
		config_errors_add(check->errors, "%s:%zu:%zu: %s: %s", check->name,
				  place->mark.line + 1, place->mark.column + 1, path,
				  text);
	}
}

void config_mistake(struct config_check *check, const char *key, const char *format, ...)
{
	char text[MISTAKE_MAX], path[PATH_OCTETS_MAX];
	va_list arguments;
	va_start(arguments, format);
	// A longer message would lose its end: the values quoted in it are bounded.
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (check->places == NULL) {
		config_errors_add(check->errors, "%s: %s", check->name, text);
		return;
	}
	snprintf(path, sizeof path, "%s%s%s", check->at,
		 *check->at != '\0' && *key != '\0' ? "." : "", key);
	add_mistake(check, path, text);
}

bool config_given(struct config_check *check, const char *key, const char *text)
{
	if (text != NULL && *text == '\0') {
		config_mistake(check, key,
			       "is empty: give it a value or remove the line");
	}
	return text != NULL && *text != '\0';
}

/* "leave", "careful" or "never" */
static void list_words(struct buffer *out, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buffer_printf(out, "%s\"%s\"",
			      i == 0          ? ""
			      : i + 1 < count ? ", "
					      : " or ",
			      words[i]);
	}
}

size_t config_word(struct config_check *check, const char *key, const char *text,
		   const char *const *words, size_t count, size_t otherwise)
{
	if (!config_given(check, key, text)) {
		return otherwise;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, words[i]) == 0) {
			return i;
		}
	}
	struct buffer list = { .max = 256 };
	list_words(&list, words, count);
	const char *near = config_nearest(text, words, count);
	config_mistake(check, key, "is %.*s, not %s%s%s%s", (int)list.len, list.data,
		       config_quote(bytes_of(text)).text,
		       near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
		       near != NULL ? "\"?" : "");
	buffer_release(&list);
	return otherwise;
}

bool config_bool(struct config_check *check, const char *key, const char *text)
{
	static const char *const words[] = { "false", "true" };
	return config_word(check, key, text, words, 2, 0) == 1;
}

static bool are_trusted;

void config_trust_files(void)
{
	are_trusted = true;
}

/* Can it be read? 0, or the errno that says why not. */
static int unreadable(const char *path)
{
	struct stat status;
	if (are_trusted) {
		return 0;
	}
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0 ||
	    stat(path, &status) != 0) {
		return errno;
	}
	return S_ISDIR(status.st_mode) ? EISDIR : 0;
}

char *config_file(struct config_check *check, const char *key, const char *path)
{
	if (!config_given(check, key, path)) {
		return NULL;
	}
	int error = unreadable(path);
	if (error != 0) {
		config_mistake(check, key, "cannot read %s: %s",
			       config_quote(bytes_of(path)).text, strerror(error));
	}
	return memory_copy_text(bytes_of(path));
}

void config_check_networks(struct config_check *check, const char *name,
			   char *const *texts, unsigned count,
			   struct config_networks *networks)
{
	if (count == 0) {
		return;
	}
	networks->list = memory_new_array(count, sizeof *networks->list);
	for (unsigned i = 0; i < count; i++) {
		struct bytes text = bytes_of(texts[i]);
		const char *why;
		char key[32];
		snprintf(key, sizeof key, "%s[%u]", name, i); // 22 octets at most
		if (!config_network_parse(text, &networks->list[networks->count], &why)) {
			config_mistake(check, key, "%s, not %s", why,
				       config_quote(text).text);
			continue;
		}
		networks->count++;
	}
}

void config_count(struct config_check *check, const char *key, const char *text,
		  uint32_t max, uint32_t *out)
{
	uint32_t number;
	if (!config_given(check, key, text)) {
		return;
	}
	struct bytes rest = bytes_of(text);
	if (strchr(text, ' ') != NULL || !bytes_take_u32(&rest, &number) || number == 0 ||
	    number > max) {
		config_mistake(check, key, "is a whole number from 1 to %u, not %s", max,
			       config_quote(bytes_of(text)).text);
		return;
	}
	*out = number;
}

/* ---- routes ---- */

/*
 * A route is dead when an earlier pattern takes everything it matches. Matching the
 * earlier pattern against the later one's text answers that: a "*" there is taken by a
 * "*" here or not at all.
 */
static void check_shadow(struct config_check *check, const struct config *config,
			 size_t index)
{
	const char *match = config->routes[index].match;
	for (size_t i = 0; match != NULL && i < index; i++) {
		const char *earlier = config->routes[i].match;
		if (earlier != NULL &&
		    config_pattern_matches(bytes_of(earlier), bytes_of(match))) {
			config_mistake(
				check, "match",
				"is never reached: routes[%zu] with %s comes before "
				"it and takes them all; put this route first",
				i, config_quote(bytes_of(earlier)).text);
			return;
		}
	}
}

static void check_routes(struct config_check *check, const struct config_raw *raw,
			 struct config *config)
{
	if (raw->routes_count == 0) {
		config_mistake(check, "routes",
			       "is missing: which users go to which IMAP server, as in\n"
			       "  routes:\n"
			       "    - match: \"*\"\n"
			       "      server: imaps://imap.example.com");
		return;
	}
	config->routes = memory_new_array(raw->routes_count, sizeof *config->routes);
	for (unsigned i = 0; i < raw->routes_count; i++) {
		snprintf(check->at, sizeof check->at, "routes[%u]", i);
		config_check_route(check, &raw->routes[i], &config->routes[i]);
		config->route_count++;
		check_shadow(check, config, i);
	}
}

/* ---- the whole ---- */

/* The cores this process may use. */
static uint32_t cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0) {
		return 1;
	}
	int count = CPU_COUNT(&set);
	return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
}

static void check_top(struct config_check *check, const struct config_raw *raw,
		      struct config *config)
{
	config->workers = cores();
	check->at[0] = '\0';
	config_count(check, "workers", raw->workers, WORKERS_MAX, &config->workers);
	if (config_given(check, "user", raw->user)) {
		config->user = memory_copy_text(bytes_of(raw->user));
	}
	if (config_given(check, "state", raw->state)) {
		config->state = memory_copy_text(bytes_of(raw->state));
	}
	config->master_key = config_file(check, "master-key", raw->master_key);
	config_check_control(check, raw->control, config);
	config_check_networks(check, "shared-addresses", raw->shared_addresses,
			      raw->shared_addresses_count, &config->shared_addresses);
}

struct config *config_check(const struct config_raw *raw, const char *name,
			    const struct config_places *places,
			    struct config_errors *errors)
{
	struct config_check check = { .errors = errors, .name = name, .places = places };
	struct config *config = memory_new(sizeof *config);
	check_top(&check, raw, config);
	config_check_listen(&check, raw, config);
	check.at[0] = '\0';
	check_routes(&check, raw, config);
	config_check_providers(&check, raw->providers, raw->providers_count, config);
	config_check_limits(&check, raw->limits, &config->limits);
	config_check_log(&check, raw->log, config);
	config_check_web(&check, raw->web, config);
	config_check_consent(&check, raw->consent, config);
	if (errors->count > 0) {
		config_free(config);
		return NULL;
	}
	return config;
}
