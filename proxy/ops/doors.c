#include "proxy/ops/doors.h"

#include "proxy/base/memory.h"
#include "proxy/ops/activation.h"
#include "proxy/rt/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct door_sockets {
	struct address asked; // as the configuration says it; port 0 stays 0
	size_t nth;           // which of several listeners with this address (port 0)
	int *sockets;         // owned, one for each slot
};

static bool same_address(const struct address *a, const struct address *b)
{
	const unsigned bits = a->socket.ss_family == AF_INET ? 32 : 128;

	return a->socket.ss_family == b->socket.ss_family &&
	       address_port(a) == address_port(b) && address_in_network(a, b, bits);
}

/* Two listeners with port 0 are two listeners. */
static size_t nth_of(const struct config *config, size_t index)
{
	size_t nth = 0;

	for (size_t i = 0; i < index; i++) {
		nth += same_address(&config->listeners[i].address,
				    &config->listeners[index].address);
	}
	return nth;
}

static struct door_sockets *find(const struct doors *doors, const struct config *config,
				 size_t index)
{
	for (size_t i = 0; i < doors->count; i++) {
		struct door_sockets *door = &doors->list[i];

		if (same_address(&door->asked, &config->listeners[index].address) &&
		    door->nth == nth_of(config, index)) {
			return door;
		}
	}
	return NULL;
}

static void release(const struct doors *doors, struct door_sockets *door)
{
	for (size_t i = 0; i < doors->slots; i++) {
		close(door->sockets[i]);
	}
	free(door->sockets);
}

static bool is_wanted(const struct doors *doors, const struct door_sockets *door,
		      const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (find(doors, config, i) == door) {
			return true;
		}
	}
	return false;
}

static void close_unwanted(struct doors *doors, const struct config *config)
{
	size_t kept = 0;

	for (size_t i = 0; i < doors->count; i++) {
		if (is_wanted(doors, &doors->list[i], config)) {
			doors->list[kept++] = doors->list[i];
		} else {
			release(doors, &doors->list[i]);
		}
	}
	doors->count = kept;
}

bool doors_open(struct doors *doors, const struct config *config, size_t slots,
		struct failure *failure)
{
	const size_t before = doors->count;

	doors->slots = slots;
	doors->list = memory_resize(doors->list, (before + config->listener_count) *
							 sizeof(*doors->list));
	for (size_t i = 0; i < config->listener_count; i++) {
		if (find(doors, config, i)) {
			continue;
		}
		struct door_sockets *door = &doors->list[doors->count];

		*door = (struct door_sockets){
			.asked = config->listeners[i].address,
			.nth = nth_of(config, i),
			.sockets = memory_new_array(slots, sizeof(int)),
		};
		if (!activation_take(&door->asked, slots, door->sockets) &&
		    !listener_bind(&door->asked, slots, door->sockets, failure)) {
			free(door->sockets);
			while (doors->count > before) {
				release(doors, &doors->list[--doors->count]);
			}
			return failure_prefix(failure, "listen[%zu]", i);
		}
		doors->count++;
	}
	close_unwanted(doors, config);
	return true;
}

void doors_adopt(struct doors *doors, const struct config *config, size_t slots,
		 const int *sockets)
{
	doors->slots = slots;
	doors->count = config->listener_count;
	doors->list = memory_new_array(doors->count + 1, sizeof(*doors->list));
	for (size_t i = 0; i < doors->count; i++) {
		doors->list[i] = (struct door_sockets){
			.asked = config->listeners[i].address,
			.nth = nth_of(config, i),
			.sockets = memory_new_array(slots, sizeof(int)),
		};
		memcpy(doors->list[i].sockets, sockets + i * slots, slots * sizeof(int));
	}
}

int doors_socket(const struct doors *doors, const struct config *config, size_t index,
		 size_t slot)
{
	return find(doors, config, index)->sockets[slot];
}

static const char *const tls_names[] = {
	[CONFIG_TLS_NONE] = "none",
	[CONFIG_TLS_STARTTLS] = "starttls",
	[CONFIG_TLS_IMPLICIT] = "implicit",
};

void doors_log(const struct doors *doors, const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		struct address address = { .len = sizeof(address.socket) };
		char host[ADDRESS_TEXT_MAX];
		char text[ADDRESS_TEXT_MAX + 16];
		struct log_line line;

		getsockname(doors_socket(doors, config, i, 0),
			    (struct sockaddr *)&address.socket, &address.len);
		address_text(&address, host);
		snprintf(text, sizeof(text),
			 address.socket.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
			 address_port(&address));
		if (log_begin(&line, LOG_INFO, "listening")) {
			log_string(&line, "address", text);
			log_string(&line, "tls", tls_names[config->listeners[i].tls]);
			log_end(&line);
		}
	}
}

void doors_close(struct doors *doors)
{
	for (size_t i = 0; i < doors->count; i++) {
		release(doors, &doors->list[i]);
	}
	free(doors->list);
	*doors = (struct doors){ 0 };
}
