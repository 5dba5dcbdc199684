#include "proxy/config/config_places.h"

#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>

void config_places_add(struct config_places *places, struct bytes path,
		       struct config_mark mark, bool is_refused)
{
	if (places->count == places->size) {
		places->size = places->size * 2 + 64;
		places->list = memory_resize(places->list,
					     places->size * sizeof(places->list[0]));
	}
	places->list[places->count++] =
		(struct config_place){ memory_copy_text(path), mark, is_refused };
}

static int by_path(const void *one, const void *other)
{
	const struct config_place *a = one, *b = other;

	return strcmp(a->path, b->path);
}

void config_places_sort(struct config_places *places)
{
	if (places->count > 0) {
		qsort(places->list, places->count, sizeof(places->list[0]), by_path);
	}
}

/* "routes[2].server" to "routes[2]" to "routes" to ""; false: that was all. */
static bool shorten(char *path)
{
	size_t end = strlen(path);

	if (end == 0) {
		return false;
	}
	while (end > 0 && path[end - 1] != '.' && path[end - 1] != '[') {
		end--;
	}
	path[end > 0 ? end - 1 : 0] = '\0';
	return true;
}

const struct config_place *config_places_find(const struct config_places *places,
					      const char *path)
{
	struct config_place wanted = { .path = memory_copy_text(bytes_of(path)) };
	const struct config_place *found = NULL;

	do {
		if (places->count > 0) {
			found = bsearch(&wanted, places->list, places->count,
					sizeof(wanted), by_path);
		}
	} while (!found && shorten(wanted.path));
	free(wanted.path);
	return found;
}

void config_places_release(struct config_places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		free(places->list[i].path);
	}
	free(places->list);
	*places = (struct config_places){ 0 };
}
