/*
 * The service, today as one process: listeners, sessions, signals. The master, workers
 * and keeper of proxy/DESIGN.md take over here: what a worker does is service_run().
 */
#include "proxy/cli/cli.h"

#include "proxy/base/memory.h"
#include "proxy/rt/listener.h"
#include "proxy/session/session.h"

#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

struct serve_arguments {
	const char *path;
	const char *url;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration (" CLI_DEFAULT_CONFIG ")", 0 },
	{ 0 },
};

static error_t take(int key, char *value, struct argp_state *state)
{
	struct serve_arguments *arguments = state->input;

	if (key == 'c') {
		arguments->path = value;
		return 0;
	}
	if (key == ARGP_KEY_ARG) {
		if (arguments->url) {
			argp_error(state, "one server at a time");
		}
		arguments->url = value;
		return 0;
	}
	if (key == ARGP_KEY_END && arguments->path && arguments->url) {
		argp_error(state, "either a configuration or a server");
	}
	return key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	.options = options,
	.parser = take,
	.args_doc = "[IMAP-URL]",
	.doc = "Speaks POP3 to clients and IMAP to servers. With IMAP-URL and no "
	       "configuration: POP3 on 127.0.0.1:1110, every user to that server, "
	       "nothing "
	       "kept.",
};

/* One listening socket and the task that accepts on it. */
struct door {
	struct service *service;
	const struct config_listener *settings;
	struct listener *listener; // owned
	struct task *task;
};

struct server {
	struct service service;
	struct door *doors; // owned
	size_t count;
};

/* A connection on its way from the door to its own task. */
struct visitor {
	struct door *door;
	struct stream *stream;
};

SUSPENDS static void run_session(void *argument)
{
	const struct visitor visitor = *(struct visitor *)argument;

	free(argument);
	session_run(visitor.door->service, visitor.door->settings, visitor.stream);
}

SUSPENDS static void run_door(void *argument)
{
	struct door *door = argument;
	struct failure failure;
	struct stream *stream;

	while ((stream = listener_accept(door->listener, &failure))) {
		struct visitor *visitor = memory_new(sizeof(*visitor));

		*visitor = (struct visitor){ door, stream };
		task_start(run_session, visitor);
	}
	listener_close(door->listener);
	door->listener = NULL;
	door->task = NULL;
}

static const char *const tls_names[] = {
	[CONFIG_TLS_NONE] = "none",
	[CONFIG_TLS_STARTTLS] = "starttls",
	[CONFIG_TLS_IMPLICIT] = "implicit",
};

static void log_listening(const struct door *door)
{
	const struct address *address = listener_address(door->listener);
	const bool six = address->socket.ss_family == AF_INET6;
	char host[ADDRESS_TEXT_MAX];
	char text[ADDRESS_TEXT_MAX + 16];
	struct log_line line;

	address_text(address, host);
	snprintf(text, sizeof(text), six ? "[%s]:%u" : "%s:%u", host,
		 address_port(address));
	if (log_begin(&line, LOG_INFO, "listening")) {
		log_string(&line, "address", text);
		log_string(&line, "tls", tls_names[door->settings->tls]);
		log_end(&line);
	}
}

static bool open_doors(struct server *server, const struct config *config,
		       struct failure *failure)
{
	server->doors = memory_new_array(config->listener_count, sizeof(struct door));
	for (size_t i = 0; i < config->listener_count; i++) {
		struct door *door = &server->doors[i];

		door->service = &server->service;
		door->settings = &config->listeners[i];
		door->listener = listener_open(&door->settings->address, failure);
		if (!door->listener) {
			return failure_prefix(failure, "listen[%zu]", i);
		}
		server->count++;
		log_listening(door);
	}
	return true;
}

/* SIGTERM, SIGINT: no new sessions; those that run end without UPDATE, a QUIT finishes.
 */
SUSPENDS static void stop(struct server *server)
{
	signal(SIGTERM, SIG_IGN); // we are at it: a commit under way must not be killed
	signal(SIGINT, SIG_IGN);
	log_say(LOG_INFO, "stopping", "%" PRIu32 " sessions end",
		server->service.session_count);
	for (size_t i = 0; i < server->count; i++) {
		if (server->doors[i].task) {
			task_cancel(server->doors[i].task);
		}
	}
	session_cancel_all(&server->service);
}

SUSPENDS static void run_server(void *argument)
{
	static const int stopping[] = { SIGTERM, SIGINT, 0 };
	struct server *server = argument;

	for (size_t i = 0; i < server->count; i++) {
		server->doors[i].task = task_start(run_door, &server->doors[i]);
	}
	log_say(LOG_INFO, "ready", "popbridge " POPBRIDGE_VERSION);
	signal_wait(stopping);
	stop(server);
}

SUSPENDS static void close_doors(void *argument)
{
	struct server *server = argument;

	for (size_t i = 0; i < server->count; i++) {
		listener_close(server->doors[i].listener);
	}
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(const struct config *config)
{
	struct server server = { 0 };
	struct failure failure;
	bool started = false;

	loop_open();
	if (service_init(&server.service, config, &failure)) {
		started = open_doors(&server, config, &failure);
		task_start(started ? run_server : close_doors, &server);
		loop_run();
		service_release(&server.service);
	}
	loop_close();
	free(server.doors);
	if (!started) {
		log_say(LOG_ERROR, "not started", "%s", failure.text);
	}
	return started ? 0 : 1;
}

int cli_serve(int argc, char **argv)
{
	struct serve_arguments arguments = { 0 };
	struct config *config;
	int result;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
		return 2;
	}
	config = cli_load(arguments.path, arguments.url);
	if (!config) {
		return 1;
	}
	log_setup(config->log_level, config->log_format);
	cli_protect_memory();
	raise_descriptor_limit();
	result = serve(config);
	config_free(config);
	return result;
}
