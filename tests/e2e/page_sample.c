/*
 * The status page of a made-up service, for the screenshots: page_sample busy|empty|ill
 * writes it to standard output.
 */
#include "proxy/base/memory.h"
#include "proxy/config/config_raw.h"
#include "proxy/web/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_MAX ((size_t)4 << 20)
#define HOURS 5
#define MINUTE_S 60

static const char yaml[] =
	"web: {address: \"127.0.0.1:9110\"}\n"
	"routes:\n"
	"  - {match: scans, server: \"imaps://imap.example.com\"}\n"
	"  - {match: \"*@example.com\", server: \"imaps://outlook.office365.com\"}\n"
	"  - {match: \"*\", server: \"imap+starttls://mail.old-branch.example.net\"}\n";

/* A route that takes about this long for each step, and some ten times that. */
static void use_route(uint32_t route, uint64_t ms, unsigned times)
{
	static const unsigned share[METRICS_STEPS] = { 2, 4, 2, 1, 9, 6, 5, 8 };

	for (unsigned i = 0; i < times; i++) {
		const uint64_t slow = i % 17 == 0 ? 8 : 1;

		metrics_upstream_opened(route);
		for (size_t step = 0; step < METRICS_STEPS; step++) {
			metrics_step(route, (enum metrics_step)step,
				     ms * share[step] * slow / 4);
		}
	}
}

/* More at some times than at others. */
static unsigned wave_of(unsigned minute)
{
	const unsigned slope = minute % 50 < 25 ? minute % 25 : 25 - minute % 25;

	return 14 + slope + (minute * 2654435761u >> 28) % 8;
}

static void live_a_minute(unsigned minute)
{
	const unsigned wave = wave_of(minute);

	for (unsigned i = 0; i < wave; i++) {
		metrics_count(METRICS_CONNECTIONS);
		metrics_count(METRICS_SIGN_INS);
		metrics_ended(SESSION_QUIT);
		metrics_add(METRICS_MESSAGES_RETRIEVED, i % 9);
		metrics_add(METRICS_OCTETS_RETRIEVED, (uint64_t)(i % 9) * 61000);
	}
	metrics_add(METRICS_MESSAGES_DELETED, wave / 3);
	use_route(0, 9, 1);
	use_route(1, 46, wave / 8);
	if (minute % 11 == 3) {
		metrics_sign_in_failed(FAILURE_AUTH);
		metrics_sign_in_failed(FAILURE_AUTH);
		metrics_refused(FAILURE_PERMANENT);
		metrics_sign_in_failed(FAILURE_TIMEOUT);
		metrics_count(METRICS_THROTTLED);
		metrics_ended(SESSION_CLIENT_GONE);
		metrics_ended(SESSION_IDLE);
		metrics_count(METRICS_SIGN_INS_WITHOUT_TLS);
	}
}

/* The sessions of now. */
static void open_sessions(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		enum metrics_state state = METRICS_STATE_NONE;

		metrics_move(&state, i % 12 == 0   ? METRICS_STATE_AUTHORIZATION
				     : i % 17 == 0 ? METRICS_STATE_SIGNING_IN
						   : METRICS_STATE_TRANSACTION);
		metrics_gauge_up(METRICS_UPSTREAM_CONNECTIONS);
	}
}

static void close_sessions(void)
{
	metrics_use_row(1); // begins with no sessions
}

static struct history *live(unsigned minutes, uint64_t now_s,
			    struct metrics_values *values)
{
	const uint64_t start_s = now_s - now_s % MINUTE_S - (uint64_t)minutes * MINUTE_S;
	struct history *history;

	metrics_read(values);
	history = history_new(values, start_s);
	for (unsigned minute = 1; minute <= minutes; minute++) {
		close_sessions();
		open_sessions(60 + 4 * wave_of(minute));
		live_a_minute(minute);
		metrics_read(values);
		history_sample(history, values, start_s + minute * MINUTE_S);
	}
	history_sample(history, values, now_s);
	return history;
}

static void set_up_service(const struct config *config, uint64_t now_s, bool ill)
{
	for (size_t i = 0; i < config->route_count; i++) {
		metrics_add_route(config->routes[i].match, config->routes[i].server);
	}
	metrics_use_row(METRICS_MASTER_ROW);
	metrics_set(METRICS_WORKERS, ill ? 3 : 4);
	metrics_set(METRICS_WORKERS_WANTED, 4);
	metrics_set(METRICS_KEEPERS, 1);
	metrics_set(METRICS_RELOAD_BROKEN, ill);
	metrics_set(METRICS_STARTED_S, now_s - 12 * 24 * 3600 - HOURS * 3600);
	metrics_certificate(0, now_s + 61 * 24 * 3600);
	metrics_certificate(1, ill ? now_s - 3600 : now_s + 12 * 24 * 3600);
	metrics_use_row(1);
}

static void add_certificates(struct config *config)
{
	static const char *const files[] = { "/etc/popbridge/tls/fullchain.pem",
					     "/etc/popbridge/tls/example.net.pem" };

	free(config->certificates);
	config->certificates = memory_new_array(2, sizeof(*config->certificates));
	config->certificate_count = 2;
	for (size_t i = 0; i < 2; i++) {
		config->certificates[i].certificate =
			memory_copy_text(bytes_of(files[i]));
		config->certificates[i].key = memory_copy_text(bytes_of(files[i]));
	}
}

static void print_page(const struct config *config, const struct metrics_values *values,
		       const struct history *history, uint64_t now_s)
{
	struct view *view = memory_new(sizeof(*view));
	struct buffer page;

	buffer_init(&page, PAGE_MAX);
	*view = (struct view){
		.config = config, .now = values, .history = history, .now_s = now_s
	};
	health_judge(config, values, now_s, &view->health);
	page_write(view, "sample", &page);
	fwrite(page.data, 1, page.len, stdout);
	buffer_release(&page);
	free(view);
}

int main(int argc, char **argv)
{
	const char *scene = argc > 1 ? argv[1] : "busy";
	const bool ill = strcmp(scene, "ill") == 0;
	const bool empty = strcmp(scene, "empty") == 0;
	const uint64_t now_s = (uint64_t)time(NULL);
	struct metrics_values *values = memory_new(sizeof(*values));
	struct config_errors errors = { .text = { .max = 65536 } };
	struct history *history;
	struct config *config;
	int fd;

	config = config_parse(bytes_of(yaml), "sample", &errors);
	if (!config || !metrics_create(&fd) || !metrics_attach(fd)) {
		fprintf(stderr, "%.*s", (int)errors.text.len, errors.text.data);
		return 1;
	}
	add_certificates(config);
	set_up_service(config, now_s, ill);
	history = live(empty ? 0 : 95, now_s, values);
	if (ill) {
		metrics_upstream_failed(2, METRICS_STEP_CONNECT, FAILURE_TIMEOUT);
		metrics_read(values);
	}
	print_page(config, values, history, now_s);
	history_free(history);
	config_errors_release(&errors);
	config_free(config);
	free(values);
	metrics_detach();
	close(fd);
	return 0;
}
