/*
 * The web role without a service: web_alone CONFIG [GAUGE=NUMBER...] serves a made-up
 * state until its standard input ends. GAUGE: workers, wanted, keepers, reload-broken,
 * files-broken, certificate (days left), server-down.
 */
#include "proxy/web/web.h"

#include "proxy/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void set_certificate(long days)
{
	metrics_certificate(0, (uint64_t)(time(NULL) + days * 24 * 60 * 60 + 60));
}

static bool set(const char *name, long value)
{
	static const struct {
		const char *name;
		enum metrics_gauge gauge;
	} gauges[] = {
		{ "workers", METRICS_WORKERS },
		{ "wanted", METRICS_WORKERS_WANTED },
		{ "keepers", METRICS_KEEPERS },
		{ "reload-broken", METRICS_RELOAD_BROKEN },
		{ "files-broken", METRICS_FILES_BROKEN },
		{ "drain-until", METRICS_DRAIN_UNTIL_S },
	};

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		if (strcmp(name, gauges[i].name) == 0) {
			metrics_set(gauges[i].gauge, (uint64_t)value);
			return true;
		}
	}
	if (strcmp(name, "certificate") == 0) {
		set_certificate(value);
	} else if (strcmp(name, "server-down") == 0) {
		metrics_upstream_failed(0, METRICS_STEP_CONNECT, FAILURE_PEER_GONE);
	} else {
		return false;
	}
	return true;
}

static bool take(char *argument)
{
	char *value = strchr(argument, '=');

	if (!value) {
		return false;
	}
	*value++ = '\0';
	return set(argument, strtol(value, NULL, 10));
}

static void begin(const struct config *config)
{
	for (size_t i = 0; i < config->route_count; i++) {
		metrics_add_route(config->routes[i].match, config->routes[i].server);
	}
	metrics_use_row(METRICS_MASTER_ROW);
	metrics_set(METRICS_STARTED_S, (uint64_t)time(NULL));
	metrics_set(METRICS_WORKERS, 2);
	metrics_set(METRICS_WORKERS_WANTED, 2);
	metrics_set(METRICS_KEEPERS, 1);
	metrics_step(0, METRICS_STEP_CONNECT, 3);
	metrics_step(0, METRICS_STEP_SIGN_IN, 40000);
}

int main(int argc, char **argv)
{
	struct config_errors errors = { 0 };
	struct config *config = argc > 1 ? config_load(argv[1], &errors) : NULL;
	struct web *web;
	int fd;

	if (!config || !metrics_create(&fd) || !metrics_attach(fd)) {
		fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.data);
		return 2;
	}
	begin(config);
	for (int i = 2; i < argc; i++) {
		if (!take(argv[i])) {
			fprintf(stderr, "what is %s?\n", argv[i]);
			return 2;
		}
	}
	web = web_open(config, fd, -1);
	if (web) {
		web_serve(web, STDIN_FILENO);
	}
	const int result = web ? 0 : 1;

	web_close(web);
	close(fd);
	config_errors_release(&errors);
	config_free(config);
	return result;
}
