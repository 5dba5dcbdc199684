/*
 * Where in the file each setting stands, by its path: "routes[2].server".
 * Inside of proxy/config only.
 */
#ifndef PROXY_CONFIG_CONFIG_PLACES_H
#define PROXY_CONFIG_CONFIG_PLACES_H

#include "protocol/buffer.h"

struct config_mark {
	size_t line, column; // from 0
};

struct config_place {
	char *path; // owned
	struct config_mark mark;
	bool is_refused; // a mistake of form: what else is wrong with it comes of that
};

/* Zeroed: none. */
struct config_places {
	struct config_place *list; // owned; in the order of their paths once sorted
	size_t count, size;
};

void config_places_add(struct config_places *places, struct bytes path,
		       struct config_mark mark, bool is_refused);

/* After the last was added, before the first is looked for. */
void config_places_sort(struct config_places *places);

/* The place of this path, else of what is around it; NULL: the file as a whole. */
const struct config_place *config_places_find(const struct config_places *places,
					      const char *path);

void config_places_release(struct config_places *places);

#endif
