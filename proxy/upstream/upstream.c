#include "proxy/upstream/upstream.h"

#define ANSWERS_LATE 3 // as many as any known server: Dovecot works on four at once

bool upstream_init(struct upstream *upstream, const struct config_route *route,
		   const struct config_limits *limits, struct failure *failure)
{
	const struct tls_client_settings settings = {
		.ca_file = route->ca_file,
		.client_certificate = route->client_certificate,
		.client_key = route->client_key,
		.pins = (const char *const *)route->pins,
		.pin_count = route->pin_count,
	};

	*upstream = (struct upstream){
		.route = route,
		.limits = limits,
		.answers_late = ANSWERS_LATE,
		.metrics = metrics_find_route(route->match, route->server),
	};
	if (route->security == CONFIG_IMAP_PLAIN) {
		return true;
	}
	upstream->tls = tls_client_new(&settings, failure);
	return upstream->tls != NULL;
}

void upstream_release(struct upstream *upstream)
{
	if (upstream->tls) {
		tls_client_free(upstream->tls);
	}
	*upstream = (struct upstream){ 0 };
}
