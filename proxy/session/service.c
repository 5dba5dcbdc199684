#include "proxy/session/service.h"

#include "proxy/base/descriptors.h"
#include "proxy/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool open_upstreams(struct service *service, struct failure *failure)
{
	const struct config *config = service->config;

	service->upstreams =
		memory_new_array(config->route_count, sizeof(struct upstream));
	for (size_t i = 0; i < config->route_count; i++) {
		if (!upstream_init(&service->upstreams[i], &config->routes[i],
				   &config->limits, failure)) {
			return failure_prefix(failure, "routes[%zu]", i);
		}
	}
	return true;
}

static bool open_listener(const struct config *config, size_t index,
			  struct service_tls *tls, struct failure *failure)
{
	const struct config_listener *listener = &config->listeners[index];
	const struct tls_certificate *shown =
		&config->certificates[listener->certificate_first];

	if (listener->certificate_count == 0) {
		return true;
	}
	tls->strict = tls_server_new(shown, listener->certificate_count,
				     config->minimum_tls, failure);
	if (tls->strict && listener->legacy_tls_from.count > 0) {
		tls->legacy = tls_server_new(shown, listener->certificate_count,
					     TLS_LEGACY, failure);
		return tls->legacy != NULL;
	}
	return tls->strict != NULL;
}

static bool open_listeners(struct service *service, struct failure *failure)
{
	const struct config *config = service->config;

	service->tls = memory_new_array(config->listener_count, sizeof(*service->tls));
	for (size_t i = 0; i < config->listener_count; i++) {
		if (!open_listener(config, i, &service->tls[i], failure)) {
			return false;
		}
	}
	return true;
}

static void note_certificates(const struct service *service)
{
	const struct config *config = service->config;

	for (size_t i = 0; i < METRICS_CERTIFICATES; i++) {
		metrics_certificate(i, 0);
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->certificate_count; j++) {
			metrics_certificate(
				listener->certificate_first + j,
				tls_server_valid_until_s(service->tls[i].strict, j));
		}
	}
}

static void share_tickets(struct tls_server *server, size_t listener, const char *rules,
			  const unsigned char secret[TLS_TICKET_SECRET_BYTES])
{
	unsigned char own[KEYED_HASH_BYTES];
	char door[32];

	if (server) {
		snprintf(door, sizeof(door), "%s %zu", rules, listener);
		keyed_hash(secret, bytes_of("tickets"), bytes_of(door), own);
		tls_server_share_tickets(server, own);
		memory_wipe(own, sizeof(own));
	}
}

void service_share(struct service *service, const unsigned char secret[KEYED_HASH_BYTES])
{
	memcpy(service->secret, secret, KEYED_HASH_BYTES);
	for (size_t i = 0; i < service->config->route_count; i++) {
		memcpy(service->upstreams[i].secret, secret, KEYED_HASH_BYTES);
	}
	for (size_t i = 0; i < service->config->listener_count; i++) {
		share_tickets(service->tls[i].strict, i, "strict", secret);
		share_tickets(service->tls[i].legacy, i, "legacy", secret);
	}
}

uint32_t service_capacity(const struct config *config)
{
	const struct config_limits *limits = &config->limits;

	return descriptors_sessions(limits->parking_ms > 0 ? limits->parked : 0);
}

bool service_init(struct service *service, const struct config *config,
		  struct failure *failure)
{
	*service = (struct service){
		.config = config,
		.capacity = service_capacity(config),
	};
	TAILQ_INIT(&service->newcomers);
	if (!open_listeners(service, failure) || !open_upstreams(service, failure)) {
		service_release(service);
		return false;
	}
	note_certificates(service);
	return true;
}

void service_release(struct service *service)
{
	for (size_t i = 0; service->upstreams && i < service->config->route_count; i++) {
		upstream_release(&service->upstreams[i]);
	}
	free(service->upstreams);
	for (size_t i = 0; service->tls && i < service->config->listener_count; i++) {
		tls_server_free(service->tls[i].strict);
		tls_server_free(service->tls[i].legacy);
	}
	free(service->tls);
	memory_wipe(service->secret, sizeof(service->secret));
	*service = (struct service){ 0 };
}

struct upstream *service_route(const struct service *service, struct bytes user)
{
	const struct config_route *route = config_route_for(service->config, user);

	return route ? &service->upstreams[route - service->config->routes] : NULL;
}
