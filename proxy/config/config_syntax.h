/*
 * What is wrong with the YAML itself. Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_SYNTAX_H
#define PROXY_CONFIG_CONFIG_SYNTAX_H

#include "proxy/config/config.h"

#include <yaml.h>

/*
 * What most often stands behind a strange complaint about this line (from 0): a tab, or a
 * value such as *@example.com or {user} or [::]:110 without quotes. "" or " (...)".
 */
const char *config_advice(struct bytes text, size_t line_number);

/* What the parser of this text complains about, with its place. */
void config_syntax_mistake(struct bytes text, const char *name,
			   const yaml_parser_t *parser, struct config_errors *errors);

#endif
