#include "proxy/config/config_syntax.h"

#include "proxy/config/config_raw.h"

#include <stdio.h>
#include <string.h>

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

const char *config_advice(struct bytes text, size_t line_number)
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

/* A place given as an offset: the reader's complaints (encoding) have no line. */
static struct config_mark mark_of_offset(struct bytes text, size_t offset)
{
	struct config_mark mark = { 0 };
	for (size_t i = 0; i < offset && i < text.len; i++) {
		mark.column++;
		if (text.at[i] == '\n') {
			mark = (struct config_mark){ mark.line + 1, 0 };
		}
	}
	return mark;
}

static void add(struct config_errors *errors, const char *name, struct config_mark mark,
		const char *problem, const char *more)
{
	config_errors_add(errors, "%s:%zu:%zu: %s%s", name, mark.line + 1,
			  mark.column + 1, problem, more);
}

void config_syntax_mistake(struct bytes text, const char *name,
			   const yaml_parser_t *parser, struct config_errors *errors)
{
	struct config_mark mark = { parser->problem_mark.line,
				    parser->problem_mark.column };
	const yaml_mark_t begin = parser->context_mark;
	const char *problem = parser->problem != NULL ? parser->problem : "no YAML";
	char far[256];
	if (parser->error == YAML_READER_ERROR) {
		add(errors, name, mark_of_offset(text, parser->problem_offset), problem,
		    " (the file is UTF-8 text without control characters)");
		return;
	}
	const char *hint = config_advice(text, mark.line);
	if (parser->context != NULL && begin.line != mark.line) {
		// An open quote or bracket is noticed far from where it is.
		snprintf(far, sizeof far, "%.100s, %.100s that begins at %zu:%zu",
			 problem, parser->context, begin.line + 1, begin.column + 1);
		problem = far;
		hint = *hint != '\0' ? hint : config_advice(text, begin.line);
	}
	add(errors, name, mark, problem, hint);
}
