/*
 * The shape of a configuration file, as libcyaml wants it: what fills struct config_raw.
 * Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_SCHEMA_H
#define PROXY_CONFIG_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>

extern const cyaml_schema_value_t config_schema; // of the whole file

#endif
