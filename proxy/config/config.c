#include "proxy/config/config.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_raw.h"
#include "proxy/config/config_values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config *config_parse(struct bytes text, const char *name,
			    struct config_errors *errors)
{
	static const struct config_raw nothing;
	struct config_places places = { 0 };
	struct config_raw *raw;
	struct config *config = NULL;
	*errors = (struct config_errors){ .text = { .max = CONFIG_ERRORS_MAX } };
	if (text.len > CONFIG_FILE_MAX) {
		config_errors_add(errors, "%s: is longer than 1 MiB", name);
		return NULL;
	}
	if (config_yaml_read(text, name, &raw, &places, errors)) {
		config =
			config_check(raw != NULL ? raw : &nothing, name, &places, errors);
	}
	config_yaml_free(raw);
	config_places_release(&places);
	return config;
}

/* All of it, or one octet more than is allowed. False: errno says why. */
static bool read_all(int fd, struct buffer *out)
{
	for (;;) {
		size_t room = 65536;
		if (room > out->max - out->len) {
			room = out->max - out->len;
		}
		if (room == 0 || !buffer_reserve(out, room)) {
			return true;
		}
		ssize_t got = read(fd, out->data + out->len, room);
		if (got == 0) {
			return true;
		}
		if (got > 0) {
			out->len += (size_t)got;
		} else if (errno != EINTR) {
			return false;
		}
	}
}

struct config *config_load(const char *path, struct config_errors *errors)
{
	struct buffer text = { .max = CONFIG_FILE_MAX + 1 };
	struct config *config = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !read_all(fd, &text)) {
		int error = errno;
		*errors = (struct config_errors){ .text = { .max = CONFIG_ERRORS_MAX } };
		config_errors_add(errors, "%s: cannot read this file: %s", path,
				  strerror(error));
	} else {
		config = config_parse(buffer_bytes(&text), path, errors);
	}
	if (fd >= 0) {
		close(fd);
	}
	buffer_release(&text);
	return config;
}

struct config *config_from_url(const char *url, struct config_errors *errors)
{
	char *server = memory_copy_text(bytes_of(url));
	char match[] = "*";
	char workers[] = "1";
	struct config_raw_route route = { .match = match, .server = server };
	struct config_raw raw = { .workers = workers,
				  .routes = &route,
				  .routes_count = 1 };
	*errors = (struct config_errors){ .text = { .max = CONFIG_ERRORS_MAX } };
	struct config *config = config_check(&raw, "IMAP URL", NULL, errors);
	free(server);
	return config;
}

static void route_release(struct config_route *route)
{
	for (size_t i = 0; i < route->pin_count; i++) {
		free(route->pins[i]);
	}
	free(route->pins);
	free(route->match);
	free(route->server);
	free(route->host);
	free(route->user);
	free(route->ca_file);
	free(route->client_certificate);
	free(route->client_key);
	free(route->folder);
}

void config_free(struct config *config)
{
	if (config == NULL) {
		return;
	}
	for (size_t i = 0; i < config->route_count; i++) {
		route_release(&config->routes[i]);
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		free(config->listeners[i].plain_from.list);
		free(config->listeners[i].legacy_tls_from.list);
		free(config->listeners[i].proxy_from.list);
	}
	for (size_t i = 0; i < config->certificate_count; i++) {
		// Theirs is a borrower's struct; here the texts are owned.
		free((char *)config->certificates[i].certificate);
		free((char *)config->certificates[i].key);
	}
	for (size_t i = 0; i < config->provider_count; i++) {
		config_provider_release(&config->providers[i]);
	}
	free(config->providers);
	free(config->master_key);
	for (size_t i = 0; i < config->web.host_name_count; i++) {
		free(config->web.host_names[i]);
	}
	free(config->web.host_names);
	free(config->consent.url);
	free(config->consent.certificate);
	free(config->consent.key);
	free(config->consent.pop3_host);
	for (size_t i = 0; i < config->log_trace_count; i++) {
		free(config->log_trace[i]);
	}
	free(config->log_trace);
	free(config->routes);
	free(config->listeners);
	free(config->certificates);
	free(config->shared_addresses.list);
	free(config->user);
	free(config->state);
	free(config->control);
	free(config);
}

bool config_is_traced(const struct config *config, struct bytes user)
{
	for (size_t i = 0; i < config->log_trace_count; i++) {
		if (user.len > 0 &&
		    config_pattern_matches(bytes_of(config->log_trace[i]), user)) {
			return true;
		}
	}
	return false;
}

const struct config_route *config_route_for(const struct config *config,
					    struct bytes user)
{
	for (size_t i = 0; i < config->route_count; i++) {
		if (config_pattern_matches(bytes_of(config->routes[i].match), user)) {
			return &config->routes[i];
		}
	}
	return NULL;
}

bool config_upstream_user(const struct config_route *route, struct bytes user,
			  struct buffer *out)
{
	return config_user_fill(bytes_of(route->user), user, out);
}

bool config_is_for_this_host(const struct config_listener *listener)
{
	return address_is_loopback(&listener->address) && listener->proxy_from.count == 0;
}

bool config_networks_contain(const struct config_networks *networks,
			     const struct address *address)
{
	for (size_t i = 0; i < networks->count; i++) {
		const struct config_network *network = &networks->list[i];
		if (address_in_network(address, &network->address,
				       network->prefix_bits)) {
			return true;
		}
	}
	return false;
}

bool config_network_is(struct bytes text, const char **why)
{
	struct config_network network;

	return config_network_parse(text, &network, why);
}

bool config_network_has(struct bytes text, const unsigned char octets[16])
{
	struct config_network network;
	struct address address;
	const char *ignored;

	address_from_octets(octets, 16, 0, &address);
	return config_network_parse(text, &network, &ignored) &&
	       address_in_network(&address, &network.address, network.prefix_bits);
}
