/*
 * What the files config_check*.c share: the place a mistake is reported
 * under, and the questions many settings have in common. Each returns false, or leaves
 * the default, after it reported a mistake. Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_CHECK_H
#define PROXY_CONFIG_CONFIG_CHECK_H

#include "proxy/config/config_raw.h"

struct config_check {
	struct config_errors *errors;
	const char *name;                   // what the settings come from
	const struct config_places *places; // NULL: the URL
	char at[48]; // what is being judged: "routes[2]", "" at the top
};

/* "file:3:5: routes[2].server: TEXT"; key "": "routes[2]: TEXT". */
void config_mistake(struct config_check *check, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it set, and not to an empty text (a mistake)? */
bool config_given(struct config_check *check, const char *key, const char *text);

/* The text's place among the words; the default where it is absent or none of them. */
size_t config_word(struct config_check *check, const char *key, const char *text,
		   const char *const *words, size_t count, size_t otherwise);

/* "true" or "false". */
bool config_bool(struct config_check *check, const char *key, const char *text);

/* A whole number from 1 to max. */
void config_count(struct config_check *check, const char *key, const char *text,
		  uint32_t max, uint32_t *out);

/* A file that can be read, copied; NULL where absent. */
char *config_file(struct config_check *check, const char *key, const char *path);

/* Addresses and networks; name stands for the list in messages. */
void config_check_networks(struct config_check *check, const char *name,
			   char *const *texts, unsigned count,
			   struct config_networks *networks);

/* Listeners and certificates. After config->state. */
void config_check_listen(struct config_check *check, const struct config_raw *raw,
			 struct config *config);

/* Where operators ask: after the state directory. */
void config_check_control(struct config_check *check, const char *path,
			  struct config *config);

void config_check_log(struct config_check *check, const struct config_raw_log *raw,
		      struct config *config);

/* NULL: nothing is served. After the listeners. */
void config_check_web(struct config_check *check, const struct config_raw_web *raw,
		      struct config *config);

/* NULL: no page. After the listeners and the providers. */
void config_check_consent(struct config_check *check,
			  const struct config_raw_consent *raw, struct config *config);

void config_check_providers(struct config_check *check,
			    const struct config_raw_provider *raw, unsigned count,
			    struct config *config);

/* Defaults where it is NULL. */
void config_check_limits(struct config_check *check, const struct config_raw_limits *raw,
			 struct config_limits *limits);

void config_check_route(struct config_check *check, const struct config_raw_route *raw,
			struct config_route *route);

#endif
