#include "proxy/session/destination.h"

#define NAME_MAX_OCTETS 1024

void destination_release(struct destination *destination)
{
	buffer_release(&destination->name);
	buffer_release(&destination->user);
	buffer_release(&destination->folder);
}

const char *destination_folder(const struct destination *destination)
{
	return destination->folder.len > 0 ? destination->folder.data
					   : destination->upstream->route->folder;
}

/* The folder is between the first separator and the next "@" or the end. */
static bool split(struct bytes whole, char separator, struct buffer *name,
		  struct buffer *folder)
{
	size_t start = 0;
	size_t end;

	while (start < whole.len && whole.at[start] != separator) {
		start++;
	}
	if (start == whole.len) {
		return false;
	}
	end = start + 1;
	while (end < whole.len && whole.at[end] != '@') {
		end++;
	}
	return end > start + 1 &&
	       buffer_append(folder,
			     (struct bytes){ whole.at + start + 1, end - start - 1 }) &&
	       buffer_append(folder, (struct bytes){ "", 1 }) &&
	       buffer_append(name, (struct bytes){ whole.at, start }) &&
	       buffer_append(name, (struct bytes){ whole.at + end, whole.len - end });
}

/* The route that matches once its own separator has split the name. */
static struct upstream *route_after_split(const struct service *service,
					  struct bytes whole, struct buffer *name,
					  struct buffer *folder)
{
	const struct config *config = service->config;

	for (size_t i = 0; i < config->route_count; i++) {
		const char separator = config->routes[i].folder_separator;

		buffer_clear(name);
		buffer_clear(folder);
		if (separator && split(whole, separator, name, folder) &&
		    service_route(service, buffer_bytes(name)) ==
			    &service->upstreams[i]) {
			return &service->upstreams[i];
		}
	}
	buffer_clear(name);
	buffer_clear(folder);
	buffer_append(name, whole);
	return service_route(service, whole);
}

bool destination_find(const struct service *service, struct bytes name,
		      struct destination *out, struct failure *failure)
{
	bool found;

	*out = (struct destination){ 0 };
	buffer_init(&out->name, NAME_MAX_OCTETS);
	buffer_init(&out->user, NAME_MAX_OCTETS);
	buffer_init(&out->folder, NAME_MAX_OCTETS);
	out->upstream = route_after_split(service, name, &out->name, &out->folder);
	found = out->upstream &&
		config_upstream_user(out->upstream->route, buffer_bytes(&out->name),
				     &out->user);
	if (found) {
		return true;
	}
	failure_set(failure, FAILURE_AUTH,
		    out->upstream ? "the route makes no upstream user of %.*s"
				  : "no route matches %.*s",
		    (int)name.len, name.at);
	return failure_advise(failure, "add a route whose match fits the user name");
}
