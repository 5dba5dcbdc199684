/*
 * The control socket's place: `control`, or a file in `state`. An operator wants to see
 * into a service whose configuration on disk is broken by now, so it is also found there.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/rt/local.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define NAME "control"
#define PLACE_MAX 4096

static char *in_state(const char *state)
{
	struct buffer path = { .max = PLACE_MAX + sizeof(NAME) + 1 };
	char *copy;

	buffer_printf(&path, "%s/" NAME, state);
	copy = memory_copy_text(buffer_bytes(&path));
	buffer_release(&path);
	return copy;
}

void config_check_control(struct config_check *check, const char *path,
			  struct config *config)
{
	if (!path) {
		config->control = config->state ? in_state(config->state) : NULL;
		return;
	}
	if (!config_given(check, NAME, path)) {
		return;
	}
	if (strlen(path) > LOCAL_PATH_MAX) {
		config_mistake(check, NAME,
			       "a socket's path has %d octets at most, this one has %zu",
			       LOCAL_PATH_MAX, strlen(path));
	} else if (path[0] != '/') {
		config_mistake(check, NAME,
			       "the whole path must stand here, as in "
			       "/run/popbridge/control");
	} else {
		config->control = memory_copy_text(bytes_of(path));
	}
}

/* One look over the top level. */
struct search {
	yaml_parser_t parser;
	int depth;
	bool at_value;         // of the top level
	char *key;             // owned; the last one there
	char *state, *control; // owned
};

/* A key or a value of the top level; empty: one that is no plain text. */
static void take_part(struct search *search, struct bytes text)
{
	if (!search->at_value) {
		free(search->key);
		search->key = memory_copy_text(text);
	} else if (text.len == 0) {
		// nothing to be found there
	} else if (strcmp(search->key, "state") == 0 && !search->state) {
		search->state = memory_copy_text(text);
	} else if (strcmp(search->key, NAME) == 0 && !search->control) {
		search->control = memory_copy_text(text);
	}
	search->at_value = !search->at_value;
}

/* False: that was all, or a mistake of spelling. */
static bool take_event(struct search *search)
{
	yaml_event_t event;
	bool goes_on;

	if (!yaml_parser_parse(&search->parser, &event)) {
		return false;
	}
	goes_on = event.type != YAML_STREAM_END_EVENT;
	if (event.type == YAML_MAPPING_START_EVENT ||
	    event.type == YAML_SEQUENCE_START_EVENT) {
		search->depth++;
	} else if (event.type == YAML_MAPPING_END_EVENT ||
		   event.type == YAML_SEQUENCE_END_EVENT) {
		search->depth--;
		if (search->depth == 1) {
			take_part(search, bytes_of(""));
		}
	} else if (event.type == YAML_SCALAR_EVENT && search->depth == 1) {
		take_part(search, (struct bytes){ (const char *)event.data.scalar.value,
						  event.data.scalar.length });
	} else if (event.type == YAML_ALIAS_EVENT && search->depth == 1) {
		take_part(search, bytes_of(""));
	}
	yaml_event_delete(&event);
	return goes_on;
}

char *config_find_control(struct bytes text)
{
	struct search search = { .depth = 0 };
	char *found;

	if (!yaml_parser_initialize(&search.parser)) {
		return NULL;
	}
	yaml_parser_set_input_string(&search.parser, (const unsigned char *)text.at,
				     text.len);
	while (take_event(&search)) {
	}
	yaml_parser_delete(&search.parser);
	found = search.control;
	if (!found && search.state && strlen(search.state) < PLACE_MAX) {
		found = in_state(search.state);
	}
	free(search.state);
	free(search.key);
	return found;
}
