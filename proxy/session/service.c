#include "proxy/session/service.h"

#include "proxy/base/memory.h"

#include <stdlib.h>

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

static void note_certificates(const struct service *service)
{
	for (size_t i = 0; i < METRICS_CERTIFICATES; i++) {
		metrics_certificate(
			i, service->tls ? tls_server_valid_until_s(service->tls, i) : 0);
	}
}

bool service_init(struct service *service, const struct config *config,
		  struct failure *failure)
{
	*service = (struct service){
		.config = config,
		.leftovers = leftovers_new(),
	};
	if (config->certificate_count > 0) {
		service->tls =
			tls_server_new(config->certificates, config->certificate_count,
				       config->minimum_tls, failure);
		if (!service->tls) {
			service_release(service);
			return false;
		}
	}
	if (!open_upstreams(service, failure)) {
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
	if (service->tls) {
		tls_server_free(service->tls);
	}
	leftovers_free(service->leftovers);
	*service = (struct service){ 0 };
}

struct upstream *service_route(const struct service *service, struct bytes user)
{
	const struct config_route *route = config_route_for(service->config, user);

	return route ? &service->upstreams[route - service->config->routes] : NULL;
}
