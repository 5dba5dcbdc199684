/*
 * YAML text -> struct config_raw, by libyaml, a schema and libcyaml.
 *
 * libyaml's events are followed along the schema. Each mistake of form is reported with
 * its place, and so is where every setting stands, for the mistakes of meaning. What is
 * right is written anew, as plain JSON, for libcyaml to fill the structs with: left to
 * itself it stops at the first mistake and knows no places.
 *
 * A mistake of syntax ends the walk, and so does what a configuration has no use for:
 * aliases, further documents, deep nesting.
 */
#include "proxy/base/memory.h"
#include "proxy/config/config_raw.h"
#include "proxy/config/config_schema.h"
#include "proxy/config/config_syntax.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 12
#define SECTION_KEYS_MAX 32
#define PATH_OCTETS_MAX 256
#define JSON_MAX (8 * CONFIG_FILE_MAX) // "[a," becomes ["a",

/* A list or a mapping that is open. */
struct level {
	const cyaml_schema_value_t *schema;
	const cyaml_schema_field_t *field; // the key whose value comes; NULL: a key comes
	uint32_t seen;                     // keys so far: bits by their places in schema
	unsigned count;                    // entries so far
	size_t path_len;
};

struct reading {
	struct bytes text;
	const char *name;
	struct config_errors *errors;
	struct config_places *places;
	struct buffer path; // of the value that was last looked at
	struct buffer json; // what is right so far
	struct level levels[NESTING_MAX];
	unsigned depth;   // of levels
	unsigned skipped; // lists and mappings open within a value that is not wanted
	unsigned documents;
};

/* The value of a key that was refused. */
static const cyaml_schema_field_t unwanted = { .key = "" };

/* NULL: nothing is open. */
static struct level *top(struct reading *reading)
{
	return reading->depth > 0 ? &reading->levels[reading->depth - 1] : NULL;
}

/* ---- reporting ---- */

/* The value that was last looked at. False, for those who give up. */
static bool refuse(const struct reading *reading, struct config_mark mark,
		   const char *what, const char *more)
{
	config_errors_add(reading->errors, "%s:%zu:%zu: %.*s%s%s%s", reading->name,
			  mark.line + 1, mark.column + 1, (int)reading->path.len,
			  reading->path.data, reading->path.len > 0 ? ": " : "", what,
			  more);
	return false;
}

static const char *expected_text(cyaml_type_e type)
{
	return type == CYAML_MAPPING    ? "\"key: value\" lines"
	       : type == CYAML_SEQUENCE ? "a list (entries that begin with \"- \", or "
					  "[a, b])"
					: "a single value";
}

static const char *found_text(yaml_event_type_t type)
{
	return type == YAML_SCALAR_EVENT           ? "a single value"
	       : type == YAML_SEQUENCE_START_EVENT ? "a list"
						   : "\"key: value\" lines";
}

static bool refuse_type(const struct reading *reading, struct config_mark mark,
			cyaml_type_e wanted, yaml_event_type_t found)
{
	char text[160];
	snprintf(text, sizeof text, "here %s must stand, not %s", expected_text(wanted),
		 found_text(found));
	return refuse(reading, mark, text,
		      wanted == CYAML_STRING ? config_advice(reading->text, mark.line)
					     : "");
}

/* ---- keys ---- */

static void set_path(struct reading *reading, const struct level *level, const char *key)
{
	reading->path.len = level->path_len;
	buffer_printf(&reading->path, "%s%s", level->path_len > 0 ? "." : "", key);
}

static const cyaml_schema_field_t *find_field(const struct level *level, struct bytes key)
{
	const cyaml_schema_field_t *field = level->schema->mapping.fields;
	while (field->key != NULL && !bytes_equal(bytes_of(field->key), key)) {
		field++;
	}
	return field->key != NULL ? field : NULL;
}

/* What is missing where another key was meant is not missing. */
static void forgive(struct reading *reading, struct config_mark mark,
		    const struct level *level, const char *key)
{
	set_path(reading, level, key);
	config_places_add(reading->places, buffer_bytes(&reading->path), mark, true);
	reading->path.len = level->path_len;
}

static void refuse_key(struct reading *reading, struct config_mark mark,
		       const struct level *level, const char *key)
{
	const char *words[SECTION_KEYS_MAX];
	struct buffer text = { .max = 1024 };
	size_t count = 0;
	const cyaml_schema_field_t *field = level->schema->mapping.fields;
	for (; field->key != NULL && count < SECTION_KEYS_MAX; field++) {
		words[count++] = field->key;
	}
	const char *near = config_nearest(key, words, count);
	buffer_printf(&text, "unknown key %s; %s%s", config_quote(bytes_of(key)).text,
		      near != NULL ? "did you mean " : "known here: ",
		      near != NULL ? near : words[0]);
	for (size_t i = 1; near == NULL && i < count; i++) {
		buffer_printf(&text, ", %s", words[i]);
	}
	buffer_append(&text, (struct bytes){ "", 1 });
	refuse(reading, mark, text.data, "");
	buffer_release(&text);
	if (near != NULL) {
		forgive(reading, mark, level, near);
	}
}

/* False: it is none, and nobody knows what would be its value. */
static bool take_key(struct reading *reading, struct level *level,
		     const yaml_event_t *event, struct config_mark mark)
{
	reading->path.len = level->path_len;
	if (event->type != YAML_SCALAR_EVENT) {
		return refuse(reading, mark, "here a key must stand: a plain word",
			      config_advice(reading->text, mark.line));
	}
	const char *key = (const char *)event->data.scalar.value;
	level->field =
		find_field(level, (struct bytes){ key, event->data.scalar.length });
	if (level->field == NULL) {
		refuse_key(reading, mark, level, key);
		level->field = &unwanted;
		return true;
	}
	const ptrdiff_t place = level->field - level->schema->mapping.fields;
	assert(place < SECTION_KEYS_MAX);
	if ((level->seen & 1u << place) != 0) {
		set_path(reading, level, key);
		refuse(reading, mark, "is set a second time", "");
		level->field = &unwanted;
	}
	level->seen |= 1u << place;
	return true;
}

/* ---- values ---- */

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

static bool is_scalar_fine(const struct reading *reading, const yaml_event_t *event,
			   const cyaml_schema_value_t *schema, struct config_mark mark)
{
	const size_t len = event->data.scalar.length;
	if (has_control_octet(event->data.scalar.value, len)) {
		return refuse(reading, mark,
			      "a line break, NUL or other control character in a "
			      "setting: write it on one line",
			      "");
	}
	if (is_null(event)) {
		return refuse(reading, mark, "null: leave the setting out instead", "");
	}
	if (schema->type != CYAML_STRING && len > 0) {
		return refuse_type(reading, mark, schema->type, event->type);
	}
	if (len > 0 && len > schema->string.max) {
		return refuse(reading, mark, "a value of more than 4096 octets", "");
	}
	return true;
}

static bool is_fine(const struct reading *reading, const yaml_event_t *event,
		    const cyaml_schema_value_t *schema, struct config_mark mark)
{
	if (event->type == YAML_SCALAR_EVENT) {
		return is_scalar_fine(reading, event, schema, mark);
	}
	if (schema->type ==
	    (event->type == YAML_SEQUENCE_START_EVENT ? CYAML_SEQUENCE : CYAML_MAPPING)) {
		return true;
	}
	return refuse_type(reading, mark, schema->type, event->type);
}

static void write_text(struct buffer *json, struct bytes text)
{
	buffer_append(json, bytes_of("\""));
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\') {
			buffer_append(json, bytes_of("\\"));
		}
		buffer_append(json, (struct bytes){ text.at + i, 1 });
	}
	buffer_append(json, bytes_of("\","));
}

/*
 * The value that begins here, or in the place of a refused one something of its type; a
 * section that is left empty is left out.
 */
static void write_value(struct reading *reading, const cyaml_schema_value_t *schema,
			const yaml_event_t *event, bool is_right)
{
	const struct level *level = top(reading);
	const bool is_scalar = event->type == YAML_SCALAR_EVENT;
	if (is_right && is_scalar && schema->type != CYAML_STRING) {
		return;
	}
	if (level != NULL && level->schema->type == CYAML_MAPPING) {
		buffer_printf(&reading->json, "\"%s\":", level->field->key);
	}
	if (schema->type == CYAML_STRING) {
		write_text(
			&reading->json,
			is_right ? (struct bytes){ (const char *)event->data.scalar.value,
						   event->data.scalar.length }
				 : (struct bytes){ 0 });
	} else {
		const bool is_list = schema->type == CYAML_SEQUENCE;
		buffer_printf(&reading->json, "%s%s", is_list ? "[" : "{",
			      is_right  ? ""
			      : is_list ? "],"
					: "},");
	}
}

/* What stands next by the schema; its path is set. NULL: nobody wants it. */
static const cyaml_schema_value_t *next_value(struct reading *reading,
					      struct config_mark mark)
{
	struct level *level = top(reading);
	if (level == NULL) {
		return &config_schema;
	}
	if (level->schema->type == CYAML_MAPPING) {
		if (level->field == &unwanted) {
			return NULL;
		}
		set_path(reading, level, level->field->key);
		return &level->field->value;
	}
	reading->path.len = level->path_len;
	if (level->count == level->schema->sequence.max) {
		refuse(reading, mark, "too many entries", "");
	}
	buffer_printf(&reading->path, "[%u]", level->count);
	return level->count++ < level->schema->sequence.max
		       ? level->schema->sequence.entry
		       : NULL;
}

static void take_value(struct reading *reading, const yaml_event_t *event,
		       struct config_mark mark)
{
	const cyaml_schema_value_t *schema = next_value(reading, mark);
	const bool is_right = schema != NULL && is_fine(reading, event, schema, mark);
	struct level *level = top(reading);
	if (schema != NULL) {
		config_places_add(reading->places, buffer_bytes(&reading->path), mark,
				  !is_right);
		write_value(reading, schema, event, is_right);
	}
	if (level != NULL) {
		level->field = NULL;
	}
	if (event->type != YAML_SCALAR_EVENT && is_right) {
		reading->levels[reading->depth++] =
			(struct level){ .schema = schema, .path_len = reading->path.len };
	} else if (event->type != YAML_SCALAR_EVENT) {
		reading->skipped = 1;
	}
}

/* ---- the walk ---- */

static bool take_node(struct reading *reading, const yaml_event_t *event,
		      struct config_mark mark)
{
	struct level *level = top(reading);
	if (reading->depth + reading->skipped == NESTING_MAX) {
		return refuse(reading, mark, "too deeply nested", "");
	}
	if (reading->skipped > 0) {
		reading->skipped += event->type != YAML_SCALAR_EVENT;
		return true;
	}
	if (level != NULL && level->schema->type == CYAML_MAPPING &&
	    level->field == NULL) {
		return take_key(reading, level, event, mark);
	}
	take_value(reading, event, mark);
	return true;
}

static void end_node(struct reading *reading)
{
	if (reading->skipped > 0) {
		reading->skipped--;
		return;
	}
	const struct level *ended = top(reading);
	assert(ended != NULL && ended->schema != NULL); // libyaml ends what it began
	buffer_append(&reading->json,
		      bytes_of(ended->schema->type == CYAML_SEQUENCE ? "]," : "},"));
	reading->depth--;
}

/* False: the walk ends here. */
static bool take_event(struct reading *reading, const yaml_event_t *event)
{
	const struct config_mark mark = { event->start_mark.line,
					  event->start_mark.column };
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse(reading, mark, "YAML aliases are not supported",
			      config_advice(reading->text, mark.line));
	case YAML_DOCUMENT_START_EVENT:
		reading->path.len = 0;
		return ++reading->documents < 2 ||
		       refuse(reading, mark,
			      "a second YAML document: one file holds one configuration",
			      "");
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return take_node(reading, event, mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		end_node(reading);
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
	bool ended = false, good = true;
	while (good && !ended) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event)) {
			config_syntax_mistake(reading->text, reading->name, parser,
					      reading->errors);
			return false;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		good = take_event(reading, &event);
		yaml_event_delete(&event);
	}
	return good;
}

static bool walk_all(struct reading *reading)
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
	config_places_sort(reading->places);
	return good;
}

/* ---- the structs ---- */

static const cyaml_config_t settings = { .mem_fn = cyaml_mem,
					 .flags = CYAML_CFG_NO_ALIAS };

static bool fill(const struct reading *reading, struct config_raw **out)
{
	cyaml_data_t *loaded = NULL;
	if (reading->json.len == 0) {
		return true; // nothing is set
	}
	cyaml_err_t error = cyaml_load_data((const uint8_t *)reading->json.data,
					    reading->json.len - 1, // the last comma
					    &settings, &config_schema, &loaded, NULL);
	if (error != CYAML_OK) {
		config_errors_add(reading->errors, "%s: %s", reading->name,
				  cyaml_strerror(error));
		return false;
	}
	*out = loaded;
	return true;
}

bool config_yaml_read(struct bytes text, const char *name, struct config_raw **out,
		      struct config_places *places, struct config_errors *errors)
{
	struct reading reading = {
		.text = text,
		.name = name,
		.errors = errors,
		.places = places,
		.path = { .max = PATH_OCTETS_MAX },
		.json = { .max = JSON_MAX },
	};
	*out = NULL;
	bool good = walk_all(&reading) && fill(&reading, out);
	buffer_release(&reading.path);
	buffer_release(&reading.json);
	return good;
}

void config_yaml_free(struct config_raw *raw)
{
	if (raw != NULL) {
		cyaml_free(&settings, &config_schema, raw, 0);
	}
}
